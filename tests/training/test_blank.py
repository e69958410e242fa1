"""A stream that is the same in every sample: what is constant must not drown the gradients of what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from snnergy.training.model import batch_norm, neurons
from snnergy.training.model.batch_norm import BatchNorm1d, BatchNorm2d
from snnergy.training.model.neurons import LIF
from snnergy.training.systems.build import build
from tests.training.helpers import TINY


def gradients(config):
    """Norms of the gradients of each parameter, for a batch in which the blank modality is zero."""
    torch.manual_seed(0)
    network = build(config).train()
    size = config.image_size
    images = {name: torch.rand(config.time_steps, 8, 1, size, size) for name in ("video", "audio")}
    if config.blank != "none":
        images[config.blank].zero_()
    outputs = network.outputs(images["video"], images["audio"])
    network.loss(outputs, torch.arange(8) % config.classes, 0.1, 0.0).backward()
    return torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize("loop", [False, True], ids=["scan", "loop"])
@pytest.mark.parametrize("blank", ["video", "audio"])
def test_a_blank_modality_leaves_gradients_as_large_as_they_are(blank, loop, monkeypatch):
    if loop:
        monkeypatch.setattr(LIF, "scans", lambda *_: False)
    whole = gradients(TINY).norm()
    assert whole / 3 < gradients(replace(TINY, blank=blank)).norm() < 3 * whole


@pytest.mark.parametrize("norm", [BatchNorm1d, BatchNorm2d])
def test_only_channels_that_vary_are_given_a_gradient(norm):
    torch.manual_seed(0)
    layer = norm(3).train()
    x = torch.randn(6, 3, *([2, 2] if norm is BatchNorm2d else []))
    x[:, 1] = 0.3
    plain = torch.nn.BatchNorm1d(3) if norm is BatchNorm1d else torch.nn.BatchNorm2d(3)
    weights = torch.randn_like(x)
    found, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    (layer(found) * weights).sum().backward()
    (plain(expected) * weights).sum().backward()
    torch.testing.assert_close(layer(x), plain(x))
    torch.testing.assert_close(found.grad[:, [0, 2]], expected.grad[:, [0, 2]])
    torch.testing.assert_close(layer.bias.grad, plain.bias.grad)
    assert not found.grad[:, 1].any()
    assert expected.grad[:, 1].abs().max() > 100 * expected.grad[:, 0].abs().max()  # without it


@pytest.mark.parametrize("loop", [False, True], ids=["scan", "loop"])
def test_a_population_agrees(loop, monkeypatch):
    if loop:
        monkeypatch.setattr(LIF, "scans", lambda *_: False)
    torch.manual_seed(0)
    current = torch.randn(4, 5, 3, 2, 2)
    current[:, :, 1] = 0.7
    current.requires_grad_()
    population = LIF(2.0, 1.0)
    population(current, BatchNorm2d(3).train()).sum().backward()
    neurons.reset(population)
    assert not current.grad[:, :, 1].any()
    assert current.grad[:, :, [0, 2]].any()


def test_a_single_spike_is_no_rounding():
    current = torch.full((16, 2, 12, 12), 5.0)
    current[3, 0, 5, 5] += 0.02  # by a weight that is small
    assert current[:, 0].var() > 1e3 * batch_norm.STILL
    current.requires_grad_()
    (BatchNorm2d(2).train()(current) * torch.rand_like(current)).sum().backward()
    assert current.grad[:, 0].any() and not current.grad[:, 1].any()
