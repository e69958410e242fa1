"""Integer synapses as floating-point products, in the narrowest type that is exact for the weights at hand.

A product of integers is exact while Σ|w·x| stays below 2²⁴ in float32 and 2⁵³ in float64, whatever the order of
the sums, so the fast matrix and convolution kernels carry integer synapses bit for bit.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from snnergy.neuromorphic.ir import Conv2d, Dense, Operator, QuantSynapse

_EXACT_FLOAT32 = 1 << 24


def _exact_dtype(weight: Tensor, largest_input: float) -> torch.dtype:
    worst = weight.abs().flatten(1).sum(1).max().item() * largest_input
    return torch.float32 if worst < _EXACT_FLOAT32 else torch.float64


def _convolve(operator: Conv2d, kernel: Tensor, x: Tensor) -> Tensor:
    """x `(B, neurons)` → `(B, outputs)`; kernel and x in one dtype."""
    if operator.is_diagonal:  # torch handles each group by itself, and there can be one a neuron
        return x * kernel.reshape(-1, 1).expand(-1, x.shape[1] // kernel.shape[0]).reshape(-1)
    maps = x.reshape(-1, *operator.input_shape)
    out = F.conv2d(maps, kernel, None, operator.stride, operator.padding, operator.dilation, operator.groups)
    return out.flatten(1)


def _shifted(x: Tensor, steps: int) -> Tensor:
    """x `(N, T, …)` later by `steps`, zeros before."""
    if steps == 0:
        return x
    late = torch.zeros_like(x)
    if steps < x.shape[1]:
        late[:, steps:] = x[:, : x.shape[1] - steps]
    return late


def propagate(operator: Operator, weight: Tensor, x: Tensor, delay: int = 0) -> Tensor:
    """What `operator`, with `weight` in place of its own, makes of `x`, computed in weight's dtype.

    Args:
        x: values of the source in logical time, `(N, T, neurons)`.
        delay: steps by which x is late.

    Returns:
        `(N, T, targets)`.
    """
    samples, steps, _ = x.shape
    x = _shifted(x, delay)
    if isinstance(operator, Conv2d):
        maps = x.reshape(samples * steps, -1).to(weight.dtype)
        return _convolve(operator, weight, maps).reshape(samples, steps, -1)
    if operator.delays is None:
        return x.to(weight.dtype) @ weight.T
    delays = torch.from_numpy(operator.delays)
    none = torch.zeros_like(weight)
    groups = [
        _shifted(x, int(d)).to(weight.dtype) @ weight.where(delays == d, none).T for d in np.unique(operator.delays)
    ]
    return torch.stack(groups).sum(0)


def drive(synapse: QuantSynapse, x: Tensor) -> Tensor:
    """Synaptic input that `synapse` adds to its target.

    Args:
        x: integers of the source in logical time, `(N, T, neurons)`.

    Returns:
        `(N, T, targets)` float64 holding integers.
    """
    mantissas = torch.from_numpy(synapse.operator.weight)
    dtype = _exact_dtype(mantissas, float(x.abs().max()) if x.numel() else 0.0)
    accumulated = propagate(synapse.operator, mantissas.to(dtype), x, synapse.delay).double()
    return torch.floor(accumulated * 2.0**synapse.exponent)


def delivered(synapse: QuantSynapse, x: Tensor) -> tuple[Tensor, Tensor]:
    """Synaptic events that reach the targets of `synapse`, counted where they arrive.

    Returns:
        `(N, T)` int64 twice: all taps, and those of non-zero weight. A delayed event counts in the step in
        which it was sent.
    """
    samples, steps, _ = x.shape
    events = (x != 0).reshape(samples * steps, -1).double()
    operator = synapse.operator
    alive = torch.from_numpy(operator.weight != 0).double()
    counts = []
    for taps in (torch.ones_like(alive), alive):
        if isinstance(operator, Dense):
            arrived = events @ taps.sum(0)
        else:
            # All output channels of a group share their taps' geometry: one channel that carries the number
            # of synapses at each tap counts for all of them.
            grouped = taps.reshape(operator.groups, -1, *taps.shape[1:]).sum(1)
            arrived = _convolve(operator, grouped, events).sum(1)
        counts.append(arrived.round().long().reshape(samples, steps))
    return counts[0], counts[1]
