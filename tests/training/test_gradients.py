"""Gradients of every block against the equations written once more, one step, channel and position at a time.

The reference knows no layer of torch.nn and none of ours: it adds and multiplies scalars and rows of float64 tensors,
and autograd differentiates that. A spike is the step of h - threshold with the slope of σ(4 (h - threshold)).
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from snnergy.training.model import neurons
from snnergy.training.model.attention import CMQKA
from snnergy.training.model.layers import CausalProjection
from snnergy.training.model.self_attention import CrossModalSSA
from snnergy.training.model.spds import SPDS, StemSPDS
from tests.training.helpers import TINY, randomise

STEPS, SAMPLES = 4, 2


def lif(current, tau=2.0, threshold=1.0):
    spikes, v = [], torch.zeros_like(current[0])
    for x in current:
        h = v + (x - v) / tau
        slope = torch.sigmoid(4 * (h - threshold))
        spikes.append((h >= threshold).double() + (slope - slope.detach()))
        v = torch.where(h >= threshold, torch.zeros_like(h), h)
    return torch.stack(spikes)


def project(projection, x):
    weight, norm = projection.conv.weight, projection.norm
    (stride, _), (padding, _), kernel = projection.conv.stride, projection.conv.padding, weight.shape[-1]
    if isinstance(projection, CausalProjection):
        silence = torch.zeros_like(x[:1])
        x = torch.cat([torch.cat([silence] * lag + [x[: len(x) - lag]]) for lag in range(projection.steps)], dim=2)
    size = [(side + 2 * padding - kernel) // stride + 1 for side in x.shape[-2:]]
    current = torch.zeros(*x.shape[:2], len(weight), *size, dtype=torch.float64)
    for i in range(size[0]):
        for j in range(size[1]):
            for di in range(kernel):
                for dj in range(kernel):
                    row, column = i * stride + di - padding, j * stride + dj - padding
                    if 0 <= row < x.shape[-2] and 0 <= column < x.shape[-1]:
                        here = (x[:, :, None, :, row, column] * weight[:, :, di, dj]).sum(dim=-1)
                        current = current.index_put((*_all(3, current), torch.tensor(i), torch.tensor(j)), here, True)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return (current - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


def _all(dimensions, x):
    return torch.meshgrid(*(torch.arange(size) for size in x.shape[:dimensions]), indexing="ij")


def head_sums(x, heads):
    width = x.shape[2] // heads
    return torch.stack([sum(x[:, :, h * width + c] for c in range(width)) for h in range(heads)], dim=2)


def over_channels(bits, channels):
    return torch.stack([bits[:, :, c * bits.shape[2] // channels] for c in range(channels)], dim=2)


def query_key(path, asking, asked):
    k = lif(project(path.k_proj, asked))
    mask = lif(head_sums(lif(project(path.q_proj, asking)), path.heads), threshold=0.6)
    return over_channels(mask, k.shape[2]) * k


def fuse(fusion, config, spatial, temporal):
    positions = spatial.shape[3] * spatial.shape[4]
    mean = sum(spatial[..., i, j] for i in range(spatial.shape[3]) for j in range(spatial.shape[4])) / positions
    if config.profile == "paper":
        return mean[..., None, None] * (sum(temporal) / len(temporal))
    if config.fusion == "fixed_gate":
        return lif(fusion.gain_space * mean)[..., None, None] * lif(fusion.gain_time * temporal)
    norm = fusion.mean.norm
    current = (mean - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps) * norm.weight + norm.bias
    gated = lif(current)[..., None, None] * temporal
    return spatial + gated if config.fusion == "gated_sum" else gated


def self_attention(module, profile, asking, asked):
    q, k, v = (
        lif(project(projection, x))
        for projection, x in ((module.q_proj, asking), (module.k_proj, asked), (module.v_proj, asked))
    )
    positions = [(i, j) for i in range(q.shape[3]) for j in range(q.shape[4])]
    if profile == "loihi":
        memory = lif(sum(k[..., i, j] * v[..., i, j] for i, j in positions), threshold=0.6)
        count = head_sums(memory[..., None, None] * q, module.heads)
    else:
        columns = []
        for i, j in positions:
            column = 0
            for m, n in positions:
                score = head_sums((q[..., i, j] * k[..., m, n])[..., None], module.heads)
                column = column + over_channels(score, q.shape[2])[..., 0] * v[..., m, n]
            columns.append(column)
        count = torch.stack(columns, dim=-1).reshape(q.shape)
    return lif(project(module.out_proj, lif(module.scale * count)))


def residual(module, stream, attended):
    stream = stream + module.alpha * attended
    return stream + lif(project(module.mlp.out_proj, lif(project(module.mlp.hidden_proj, stream))))


def or_pool(spikes):
    """The window's first largest value takes the gradient, as in torch."""
    windows = [spikes[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    pooled = windows[0]
    for window in windows[1:]:
        pooled = torch.where(window > pooled, window, pooled)
    return pooled


def cmqka(module, config, asking, asked):
    paths = [query_key(path, asking, asked) for path in (module.spatial, module.temporal)]
    return residual(module, asking, fuse(module.fusion, config, *paths))


def ssa(module, config, asking, asked):
    return residual(module, asking, self_attention(module.ssa, config.profile, asking, asked))


def one_path(module, config, asking, asked):
    return residual(module, asking, query_key(getattr(module, config.variant), asking, asked))


def assert_same(module, ours, reference, *inputs):
    """Outputs and the gradients of a random functional of them, for every input and parameter."""
    for part in module.modules():
        part.train(not isinstance(part, nn.BatchNorm2d))  # spikes have gradients, statistics stand still
    neurons.reset(module)
    results = []
    for function in (ours, reference):
        given = [x.clone().requires_grad_() for x in inputs]
        module.zero_grad()
        out = function(*given)
        weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        (out * weight).sum().backward()
        parameters = {name: p.grad.clone() for name, p in module.named_parameters()}
        results.append((out.detach(), {str(i): x.grad for i, x in enumerate(given)} | parameters))
    (out, grads), (expected_out, expected_grads) = results
    torch.testing.assert_close(out, expected_out, rtol=0, atol=1e-10)
    assert 0 < out.count_nonzero() < out.numel()
    for name, grad in grads.items():
        assert grad.any(), name
        torch.testing.assert_close(
            grad, expected_grads[name], rtol=1e-8, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


def spikes(channels, side, seed):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(STEPS, SAMPLES, channels, side, side, generator=generator) < 0.5).double()


FIXED = {"fusion": "fixed_gate", "gain_space": 5.3, "gain_time": 3.1}
PAPER = {"profile": "paper"}


@pytest.mark.parametrize(
    ("build", "reference", "options"),
    [
        (CMQKA, cmqka, {}),
        (CMQKA, cmqka, FIXED),
        (CMQKA, cmqka, PAPER),
        (CMQKA, cmqka, {"temporal_kernel": 3}),
        (CMQKA, cmqka, {"temporal_kernel": 3} | PAPER),
        (CMQKA, one_path, {"variant": "spatial"}),
        (CMQKA, one_path, {"variant": "temporal"}),
        (CrossModalSSA, ssa, {}),
        (CrossModalSSA, ssa, PAPER),
    ],
)
def test_direction(build, reference, options):
    torch.manual_seed(0)
    config = replace(TINY, ssa_scale=1.3, **options)
    module = randomise(build(config, 4)).double()
    for name, parameter in module.named_parameters():
        if name.endswith("norm.bias"):
            parameter.data += 1.2  # so that every gate opens somewhere
    assert_same(module, module, lambda x, y: reference(module, config, x, y), spikes(4, 2, 0), spikes(4, 2, 1))


def test_spds():
    torch.manual_seed(1)
    module = randomise(SPDS(2, 4, 2.0, 1.0)).double()

    def reference(x):
        deep = project(module.conv1, or_pool(lif(project(module.conv0, x))))
        return lif(deep + project(module.shortcut, x))

    assert_same(module, module, reference, spikes(2, 4, 0))


def test_stem():
    torch.manual_seed(2)
    module = randomise(StemSPDS(1, 4, 2.0, 1.0)).double()

    def reference(x):
        deep = or_pool(lif(project(module.conv1, or_pool(lif(project(module.conv0, x))))))
        return lif(project(module.conv2, deep) + project(module.shortcut, x))

    image = torch.rand(STEPS, SAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_same(module, module, reference, image)
