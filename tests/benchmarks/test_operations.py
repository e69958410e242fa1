"""Operations of a forward pass, against counts by hand, torch's own counter, and the one that knows SNNergy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.network_activity import measure_activity
from benchmarks.operations import Operations, measure_operations, products
from snnergy.training.model.attention import MeanFusion
from snnergy.training.model.network import SNNergy
from snnergy.training.model.self_attention import SSA
from tests.training.helpers import TINY, randomise
from tests.training.small_systems import SYSTEMS, lively, network

# Readouts and layers that training alone uses: one product each.
_UNNEEDED = {
    "cmci": 6, "misnet-L": 2, "misnet-XL-split": 2, "taaf-concat": 8, "taaf-sum": 8, "ogm_ge-sum": 2, "ogm_ge-film": 2,
}  # fmt: skip


class Alone(nn.Module):
    """A function of an image and of weights, in the place of a network."""

    def __init__(self, function, **weights: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, weight in weights.items():
            setattr(self, name, nn.Parameter(weight))

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        return self.function(self, video, audio)


def count(function, **weights: Tensor) -> list[Operations]:
    image = torch.full((1, 1, 1, 4, 4), 0.5)
    return [product.operations for product in products(Alone(function, **weights), image, image)]


def spikes(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def test_a_convolution_counts_the_windows_that_see_each_spike():
    seen = torch.zeros(1, 2, 4, 4)
    seen[0, 0, 0, 0] = 1  # a corner: of 3×3 windows at stride 1, four see it
    seen[0, 1, 1, 2] = 2  # two spikes inside: nine windows each

    def convolution(net, *_):
        return nn.functional.conv2d(seen, net.weight, padding=1)

    assert count(convolution, weight=torch.ones(5, 2, 3, 3)) == [Operations(16 * 5 * 2 * 9, 5 * (4 + 2 * 9), 0.0)]
    seen[0, 1, 1, 2] = 1.5  # a real value anywhere makes all of them real
    assert count(convolution, weight=torch.ones(5, 2, 3, 3)) == [Operations(16 * 5 * 2 * 9, 0.0, 5 * (4 + 9))]


def test_groups_strides_and_lines():
    def convolution(net, *_):
        # Windows of 3 at 0, 2, 4 (less a position of padding): position 1 is in two of them, 2 in one.
        return nn.functional.conv1d(spikes([0, 1, 0, 0, 0], [0, 0, 1, 0, 0])[None], net.weight, None, 2, 1, groups=2)

    assert count(convolution, weight=torch.ones(4, 1, 3)) == [Operations(3 * 4 * 3, 2 * 2 + 2 * 1, 0.0)]


def test_every_pixel_of_an_image_is_multiplied_and_none_at_the_padding():
    def convolution(net, image, _):
        return nn.functional.conv2d(torch.zeros_like(image).flatten(0, 1) + image.flatten(0, 1), net.weight, padding=1)

    # Of nine windows at each of 16 positions, those of the four corners lack five pixels, of eight edges three.
    assert count(convolution, weight=torch.ones(1, 1, 3, 3)) == [Operations(144, 0.0, 144 - 4 * 5 - 8 * 3)]


def test_a_linear_layer():
    def layer(net, *_):
        return nn.functional.linear(spikes([1, 0, 3], [0, 0, 1]), net.weight, net.bias)

    assert count(layer, weight=torch.ones(7, 3), bias=torch.ones(7)) == [Operations(2 * 3 * 7, 5 * 7, 0.0)]


@pytest.mark.parametrize(("value", "expected"), [(1.0, (3.0, 0.0)), (2.0, (4.0, 0.0)), (0.5, (0.0, 3.0))])
def test_a_product_of_activations_counts_pairs(value, expected):
    def scores(net, *_):
        q, k = spikes([1, 0, 1], [0, 0, 1]), spikes([0, 1, 1], [value, 0, 0])
        return (net.weight * q) @ k.T

    assert count(scores, weight=torch.tensor(1.0)) == [Operations(2 * 2 * 3, *expected)]


def test_spike_trains_of_several_weights_are_counted_as_their_spikes():
    """A stream a + 1.5 b, moved about on its way; times what is no constant, it is real."""

    def stream(net, *_):
        a, b = spikes([1, 0, 1, 0]), spikes([1, 1, 0, 0])
        x = (a + net.alpha * b)[:, :3].clone()
        return nn.functional.linear(x, net.weight) + nn.functional.linear(x * x, net.weight)

    found = count(stream, alpha=torch.tensor(1.5), weight=torch.ones(2, 3))
    assert found == [Operations(6, 2 * 4, 0.0), Operations(6, 0.0, 2 * 3)]


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_product_of_any_system_is_missed(name):
    net = randomise(network(name))
    model = net.config
    video = torch.rand(model.time_steps, 2, 1, model.image_size, model.image_size)
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        net(video, video)
    found = products(net, video, video)
    assert 2 * sum(product.operations.dense_macs for product in found) == flops.get_total_flops() > 0
    assert sum(not product.needed for product in found) == _UNNEEDED.get(name, 0)
    spiking = not name.startswith(("joint", "ogm_ge", "pmr"))
    assert (sum(product.operations.accumulates for product in found) > 0) == spiking
    assert sum(product.operations.multiply_accumulates for product in found) > 0


@pytest.mark.parametrize(
    "options",
    [{}, {"temporal_kernel": 3}, {"stage3": "ssa"}, {"profile": "paper"}, {"profile": "paper", "stage3": "ssa"}],
    ids=str,
)
def test_snnergy_is_counted_as_by_what_knows_it(options):
    """The other counts no readout, and no product of activations in the paper's self-attention; but the fusion's."""
    torch.manual_seed(0)
    net = lively(randomise(SNNergy(replace(TINY, image_size=32, base_dim=8, ssa_scale=1.3, **options))))
    rng = np.random.default_rng(0)
    samples = {name: rng.integers(1, 256, (3, 3, 1, 32, 32), dtype=np.uint8) for name in ("video", "audio")}
    fused, attention = [], []
    hooks = []
    for _, module in net.named_modules():
        if isinstance(module, MeanFusion):
            hooks.append(module.register_forward_hook(lambda _, __, out: fused.append(out)))
        elif isinstance(module, SSA):
            for population in (module.q, module.k, module.v):
                hooks.append(population.register_forward_hook(lambda _, __, out: attention.append(out)))
    known = measure_activity(net, samples)
    for hook in hooks:
        hook.remove()
    assert all(out.any() for out in fused)  # otherwise the stream is one of spikes
    pairs = sum(pairs_of(net, *attention[at : at + 3]) for at in range(0, len(attention), 3))
    assert (pairs > 0) == ("paper" in options.values() and "ssa" in options.values())
    found = measure_operations(net, samples)
    readout = net.head.linear.weight.numel() - sum(out.numel() for out in fused) / 3
    assert found.accumulates == pytest.approx(known.accumulates + pairs / 3, rel=1e-9)
    assert found.multiply_accumulates == pytest.approx(known.multiply_accumulates + readout, rel=1e-9)


def pairs_of(net: SNNergy, *populations: Tensor) -> float:
    """Accumulates of (Q Kᵀ) V, in whichever order of the products is taken, from sums over each of its factors."""
    q, k, v = (x.flatten(3).unflatten(2, (net.config.heads, -1)) for x in populations)  # (T, B, heads, d, N)
    whole = torch.einsum("tbhdn,tbhdm,tbhem->", q, k, v).item()
    if q.shape[-1] < q.shape[-2]:
        return torch.einsum("tbhdn,tbhdm->", q, k).item() + whole
    return torch.einsum("tbhdm,tbhem->", k, v).item() + whole
