"""Integer synapses as floating-point products, in the narrowest type that is exact for the weights at hand.

A product of integers is exact while Σ|w·x| stays below 2²⁴ in float32 and 2⁵³ in float64, whatever the order of
the sums, so the fast matrix and convolution kernels carry integer synapses bit for bit.

On a GPU libraries may take tensor-core formats of fewer bits or transforms with fractions (TF32, Winograd, FFT) for
float32. There everything is float64, and rounded to the integer that it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from snnergy.neuromorphic.ir import Conv2d, Operator, QuantSynapse, Sparse
from snnergy.neuromorphic.taps import as_matrix, largest_row_sum

_EXACT_FLOAT32 = 1 << 24
# Bytes that rows on their way through a synapse take together, unless a single one takes more.
WORKSPACE = 8 << 20


def _exact_dtype(operator: Operator, largest_input: float, device: torch.device) -> torch.dtype:
    if device.type != "cpu":
        return torch.float64
    worst = largest_row_sum(operator, np.abs(operator.weight)) * largest_input
    return torch.float32 if worst < _EXACT_FLOAT32 else torch.float64


def row_bytes(operator: Operator) -> int:
    """Bytes that one row `(neurons,)` takes on its way through: itself, its result, and the patches of the input that
    torch lays out for a convolution, all in float64.
    """
    ends = math.prod(operator.input_shape) + math.prod(operator.output_shape)
    if not isinstance(operator, Conv2d):
        return 8 * ends
    return 8 * (ends + operator.input_shape[0] * math.prod(operator.weight.shape[2:] + operator.output_shape[1:]))


def rows_at_once(operator: Operator) -> int:
    """How many rows keep within the workspace, at least one."""
    return max(1, WORKSPACE // row_bytes(operator))


def _pieces(operator: Operator, x: Tensor) -> Iterator[slice]:
    at_once = rows_at_once(operator)
    return (slice(first, first + at_once) for first in range(0, x.shape[0], at_once))


def _product(operator: Operator, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """What makes of x `(B, neurons)`, of any type, `(B, outputs)` in weight's, prepared once for many of them."""
    if isinstance(operator, Conv2d) and operator.is_diagonal:  # torch handles each group by itself: there can be many
        gains = _gains(weight, math.prod(operator.input_shape))
        return lambda x: x * gains
    through = _through(operator, weight)

    def product(x: Tensor) -> Tensor:
        out = torch.empty(x.shape[0], math.prod(operator.output_shape), dtype=weight.dtype, device=weight.device)
        for chosen in _pieces(operator, x):
            out[chosen] = through(x[chosen].to(weight.dtype))
        return out

    return product


def _through(operator: Operator, weight: Tensor) -> Callable[[Tensor], Tensor]:
    if isinstance(operator, Conv2d):
        return lambda rows: _convolve(operator, weight, rows)
    if isinstance(operator, Sparse):
        matrix = as_matrix(operator, weight.cpu().numpy())
        if weight.device.type == "cpu":
            return lambda rows: torch.from_numpy(matrix @ rows.numpy().T).T
        entries = matrix.tocoo()
        ends = torch.from_numpy(np.stack([entries.row, entries.col]))
        with torch.sparse.check_sparse_tensor_invariants(True):  # type: ignore[no-untyped-call]
            values = torch.from_numpy(entries.data)
            there = torch.sparse_coo_tensor(ends, values, matrix.shape, device=weight.device).coalesce()
        return lambda rows: (there @ rows.T).T
    return lambda rows: rows @ weight.T


def _gains(weight: Tensor, neurons: int) -> Tensor:
    """The factor of each neuron, `(neurons,)`, of a diagonal that has one a channel."""
    return weight.reshape(-1, 1).expand(-1, neurons // weight.shape[0]).reshape(-1)


def _convolve(operator: Conv2d, kernel: Tensor, x: Tensor) -> Tensor:
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
    if operator.delays is None:
        return _product(operator, weight)(_shifted(x, delay).flatten(0, 1)).reshape(samples, steps, -1)
    delays, none = torch.from_numpy(operator.delays).to(weight.device), torch.zeros_like(weight)
    total = torch.zeros(samples * steps, math.prod(operator.output_shape), dtype=weight.dtype, device=weight.device)
    for d in np.unique(operator.delays):
        total += _product(operator, weight.where(delays == int(d), none))(_shifted(x, delay + int(d)).flatten(0, 1))
    return total.reshape(samples, steps, -1)


def drive(synapse: QuantSynapse, x: Tensor) -> Tensor:
    """Synaptic input that `synapse` adds to its target.

    Args:
        x: integers of the source in logical time, `(N, T, neurons)`.

    Returns:
        `(N, T, targets)` float64 holding integers.
    """
    mantissas = torch.from_numpy(synapse.operator.weight)
    dtype = _exact_dtype(synapse.operator, float(x.abs().max()) if x.numel() else 0.0, x.device)
    accumulated = propagate(synapse.operator, mantissas.to(x.device, dtype), x, synapse.delay).double()
    return accumulated.round_().mul_(2.0**synapse.exponent).floor_()


def driver(synapse: QuantSynapse, device: torch.device) -> Callable[[Tensor], Tensor]:
    """`drive` a step at a time, `(N, neurons)` → `(N, targets)`, for a synapse of one delay, applied when that is over.

    What every step shares is prepared here once, in float64, exact whatever the step brings.
    """
    product = _product(synapse.operator, torch.from_numpy(synapse.operator.weight).to(device, torch.float64))
    factor = 2.0**synapse.exponent
    return lambda x: product(x).round_().mul_(factor).floor_()


def single_delays(synapse: QuantSynapse) -> list[QuantSynapse]:
    """`synapse` as synapses that add up to it, all of one delay each: those of its targets that are as late."""
    operator = synapse.operator
    if isinstance(operator, Conv2d) or operator.delays is None:
        return [synapse]
    delays, weight = operator.delays, operator.weight
    return [
        replace(
            synapse,
            delay=synapse.delay + int(d),
            operator=replace(operator, weight=np.where(delays == d, weight, 0), delays=None),
        )
        for d in np.unique(delays)
    ]


def delivered(synapse: QuantSynapse, x: Tensor) -> tuple[Tensor, Tensor]:
    """Synaptic events that reach the targets of `synapse`, counted where they arrive.

    Returns:
        `(N, T)` int64 twice: all taps, and those of non-zero weight. A delayed event counts in the step in
        which it was sent.
    """
    samples, steps, _ = x.shape
    rows, operator = x.flatten(0, 1), synapse.operator
    kernels = [taps.to(x.device) for taps in _tap_counts(operator)]
    counts = torch.empty(len(kernels), samples * steps, dtype=torch.int64, device=x.device)
    for chosen in _pieces(operator, rows):
        events = (rows[chosen] != 0).double()
        for count, kernel in zip(counts, kernels, strict=True):
            count[chosen] = _arrived(operator, kernel, events).round().long()
    everything, alive = counts.reshape(-1, samples, steps)
    return everything, alive


def _tap_counts(operator: Operator) -> tuple[Tensor, Tensor]:
    """Synapses at each tap, all and those of non-zero weight, float64: `(groups, I/groups, kH, kW)` of a Conv2d, where
    all output channels of a group share their taps' geometry, so that one counts for all of them; else `(in,)`.
    """
    alive = torch.from_numpy(operator.weight != 0).double()
    if isinstance(operator, Sparse):
        every, counts = (as_matrix(operator, taps.numpy()).sum(axis=0) for taps in (torch.ones_like(alive), alive))
        return torch.from_numpy(np.ravel(every)), torch.from_numpy(np.ravel(counts))
    grouped = alive.reshape(operator.groups if isinstance(operator, Conv2d) else 1, -1, *alive.shape[1:])
    counts = grouped.sum(1)
    every = torch.full_like(counts, grouped.shape[1])
    return (every, counts) if isinstance(operator, Conv2d) else (every[0], counts[0])


def _arrived(operator: Operator, taps: Tensor, events: Tensor) -> Tensor:
    """Synaptic events of each row, `(B,)`."""
    if not isinstance(operator, Conv2d):
        return events @ taps
    return (events * _gains(taps, events.shape[1]) if operator.is_diagonal else _convolve(operator, taps, events)).sum(
        1
    )
