"""The neuron: its equation, its gradient, its reset, and what importing it brings along."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from snnergy.training.model.batch_norm import BatchNorm2d
from snnergy.training.model.lif_scan import Neuron, lif_scan
from snnergy.training.model.neurons import LIF, reset
from tests.training import reference

LIFNode = LIF.__base__


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("tau", "threshold"), [(2.0, 1.0), (2.0, 0.6), (3.0, 0.8)])
def test_equation(training, tau, threshold):
    current = torch.randn(7, 2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.5
    spikes = LIF(tau, threshold).train(training)(current)
    assert 0 < spikes.mean() < 1
    np.testing.assert_array_equal(spikes.numpy(), reference.lif(current.numpy(), tau, threshold))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("tau", "threshold"), [(2.0, 1.0), (3.0, 0.6)])
def test_scan_equals_spikingjellys_own_loop(training, tau, threshold):
    """Same spikes, membranes and gradients, on more neurons than one block of the scan holds."""
    generator = torch.Generator().manual_seed(2)
    current, weight = (torch.randn(6, 3, 1000, generator=generator) for _ in range(2))
    results = []
    for forward in (LIF.multi_step_forward, LIFNode.multi_step_forward):
        neuron, x = LIF(tau, threshold).train(training), current.clone().requires_grad_(training)
        spikes = forward(neuron, x)
        if training:
            (spikes * weight).sum().add(neuron.v.sum()).backward()
        results.append((spikes.detach(), neuron.v.detach(), x.grad))
    (spikes, v, grad), (expected_spikes, expected_v, expected_grad) = results
    assert 0 < spikes.mean() < 1
    assert torch.equal(spikes, expected_spikes)
    assert torch.equal(v, expected_v)
    if training:
        torch.testing.assert_close(grad, expected_grad, rtol=1e-5, atol=1e-6)


def test_scan_keeps_the_memory_layout_and_does_not_depend_on_it():
    generator = torch.Generator().manual_seed(4)
    plain, weight = (torch.randn(5, 2, 7, 4, 3, generator=generator) for _ in range(2))
    innermost = plain.movedim(2, -1).contiguous().movedim(-1, 2)
    assert not innermost.is_contiguous()
    results = []
    for current in (plain, innermost):
        neuron, x = LIF(2.0, 1.0), current.clone(memory_format=torch.preserve_format).requires_grad_()
        spikes = neuron(x)
        assert spikes.stride() == current.stride()
        (spikes * weight).sum().add(neuron.v.sum()).backward()
        results.append((spikes.detach(), neuron.v.detach(), x.grad))
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


@pytest.mark.parametrize("channels_innermost", [True, False])
@pytest.mark.parametrize(("channels", "side"), [(5, 1), (12, 9), (3000, 2)])
def test_scan_with_batch_norm_equals_one_after_the_other(channels, side, channels_innermost):
    """Spikes, membranes, gradients and running statistics, on channels that fill a block in part, and more than one.

    The reference is in double precision: in single, torch's sums depend on its threads and are up to 2e-4 off.
    """
    generator = torch.Generator().manual_seed(5)
    current, to_spikes = (torch.randn(4, 3, channels, side, side, generator=generator) for _ in range(2))
    current = 3 * current + 2 * torch.randn(channels, 1, 1, generator=generator)
    if channels_innermost:
        current = current.movedim(2, -1).contiguous().movedim(-1, 2)
    results = []
    for together, dtype in ((True, torch.float32), (False, torch.float64)):
        norm, neuron = BatchNorm2d(channels).to(dtype), LIF(2.0, 1.0)
        with torch.no_grad():
            norm.weight.copy_(torch.linspace(-0.5, 2.0, channels))
            norm.bias.copy_(torch.linspace(0.2, 1.0, channels))
        x = current.to(dtype, copy=True).requires_grad_()
        spikes = neuron(x, norm) if together else neuron(norm(x.flatten(0, 1)).unflatten(0, (4, 3)))
        (spikes * to_spikes).sum().add(neuron.v.sum()).backward()
        found = (spikes.detach(), neuron.v.detach(), x.grad, norm.weight.grad, norm.bias.grad, *norm.buffers())
        results.append([tensor.float() for tensor in found])
    (spikes, *others), (expected_spikes, *expected) = results
    assert 0 < spikes.mean() < 1
    assert torch.equal(spikes, expected_spikes)
    for found, wanted in zip(others, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_evaluation_normalises_by_running_statistics():
    norm, neuron = BatchNorm2d(2).eval(), LIF(2.0, 1.0)
    norm.running_mean.copy_(torch.tensor([1.0, -3.0]))
    before = [buffer.clone() for buffer in norm.buffers()]
    assert neuron(torch.full((1, 1, 2, 1, 1), 2.5), norm).flatten().tolist() == [0.0, 1.0]
    assert all(map(torch.equal, norm.buffers(), before))


@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_surrogate_is_the_sigmoids_derivative(slope):
    distance = torch.linspace(-12, 12, 2001)
    x = (2 * (distance + 1))[None].requires_grad_()
    lif_scan(x, Neuron(2.0, 1.0, slope))[0].sum().backward()
    sigma = torch.sigmoid(slope * (x.detach()[0] / 2 - 1).double())
    torch.testing.assert_close(x.grad[0], (slope * sigma * (1 - sigma) / 2).float(), rtol=1e-5, atol=1e-9)


def test_scan_and_loop_agree_across_a_call():
    """The second call goes on from the membranes of the first."""
    current = torch.randn(8, 50, generator=torch.Generator().manual_seed(3)) + 0.5
    whole, parts = LIF(2.0, 1.0), LIF(2.0, 1.0)
    assert torch.equal(whole(current), torch.cat([parts(current[:3]), parts(current[3:])]))


def test_fires_at_threshold_exactly():
    assert LIF(2.0, 1.0)(torch.full((1, 1), 2.0)).item() == 1
    assert LIF(2.0, 1.0)(torch.full((1, 1), 1.999)).item() == 0


def test_gradient_is_the_sigmoids_and_runs_through_time():
    current = torch.tensor([[0.4], [0.9]], requires_grad=True)
    LIF(2.0, 1.0)(current)[1].sum().backward()
    v = 0.2 + (0.9 - 0.2) / 2
    slope = torch.sigmoid(torch.tensor(4 * (v - 1)))
    expected = 4 * slope * (1 - slope)
    assert current.grad[1].item() == pytest.approx(expected.item() / 2)
    assert current.grad[0].item() == pytest.approx(expected.item() / 4)


def test_state_is_kept_until_reset():
    neuron, current = LIF(2.0, 1.0), torch.full((1, 1), 1.2)
    assert [neuron(current).item() for _ in range(3)] == [0, 0, 1]
    neuron(current)
    reset(neuron)
    assert [neuron(current).item() for _ in range(3)] == [0, 0, 1]


def test_import_does_not_bring_lava_into_the_process():
    code = "import sys, snnergy.training.model.neurons; print(any(m.split('.')[0] == 'lava' for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
