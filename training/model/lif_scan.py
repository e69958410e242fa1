"""SpikingJelly's multi-step LIF on a CPU, with the BatchNorm before it where there is one, in few passes over memory.

    c[t] = scale·x[t] + shift                          scale = 1 and shift = 0 without a BatchNorm
    h[t] = v[t-1] + (c[t] - v[t-1]) / tau;   s[t] = 1 where h[t] >= threshold;   v[t] = h[t]·(1 - s[t])

    dL/dh[t] = dL/ds[t]·σ'(h[t] - threshold) + dL/dv[t]·(1 - s[t]),   σ' = a·σ(a·z)·(1 - σ(a·z))
    dL/dc[t] = dL/dh[t] / tau,   dL/dv[t-1] = dL/dh[t]·(1 - 1/tau)

The reset is detached: no gradient flows through s into v. A training step is bound by memory: a loop of tensor
operations reads and writes the whole sequence about ten times each way, and BatchNorm four times more. Here a block of
neurons is walked through time while it lies in the cache; the way back computes h again instead of keeping it. It runs
on one thread: numba's pool shares OpenMP's settings with torch's, and the two then wait for each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from snnergy.training.model.batch_norm import STILL

# Neurons of one block, about: a dozen arrays of them fit the second-level cache.
_BLOCK = 2048
_f = np.float32
_ZERO, _ONE = _f(0), _f(1)
# Division by zero gives infinity, as in C: a check of each division would keep loops from being vectorised.
_compiled = numba.njit(cache=True, error_model="numpy")


class Neuron(NamedTuple):
    """Constants of a population: time constant in steps, threshold, slope a of the surrogate."""

    tau: float
    threshold: float
    slope: float

    def rounded(self) -> tuple[np.float32, np.float32, np.float32]:
        """As the kernels compute with them."""
        return np.float32(self.tau), np.float32(self.threshold), np.float32(self.slope)


@_compiled
def _sigmoid_slope(u: Any) -> Any:
    """σ(u)·(1 - σ(u)) from sums and products alone, which, unlike a call of exp, the compiler vectorises.

    With e = exp(-|u|) it is e / (1 + e)². e is the 32nd power of a Taylor polynomial on [-1, 0]: relative error below
    1e-5 for |u| < 10, absolute error below 1e-9 beyond.
    """
    p = -np.abs(u) * _f(1 / 32)
    p = p if p > _f(-1) else _f(-1)
    e = ((((_f(1 / 720) * p + _f(1 / 120)) * p + _f(1 / 24)) * p + _f(1 / 6)) * p + _f(1 / 2)) * p
    e = (e + _ONE) * p + _ONE
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    return e / ((_ONE + e) * (_ONE + e))


@_compiled
def _charge_and_fire(x: Any, scale: Any, shift: Any, neuron: Any, spikes: Any, last: Any) -> None:
    """Walk each block of neurons, as long as `scale` and `shift`, through time."""
    tau, threshold, _ = neuron
    steps, neurons = x.shape
    size = len(scale)
    v = np.empty(size, np.float32)
    for start in range(0, neurons, size):
        length = min(size, neurons - start)
        v[:] = _ZERO
        for t in range(steps):
            row, fires = x[t, start : start + length], spikes[t, start : start + length]
            for i in range(length):
                h = v[i] + (row[i] * scale[i] + shift[i] - v[i]) / tau
                fired = h >= threshold
                fires[i] = _ONE if fired else _ZERO
                v[i] = _ZERO if fired else h
        last[start : start + length] = v[:length]


@_compiled
def _backward(x: Any, scale: Any, shift: Any, mean: Any, neuron: Any, to_spikes: Any, to_last: Any, grad: Any) -> Any:
    """grad ← dL/dc; returns its sum and that of grad·(x - mean), for each place in a block.

    to_spikes = dL/ds; to_last = dL/dv after the last step, empty where that is 0.
    """
    tau, threshold, slope = neuron
    steps, neurons = x.shape
    size = len(scale)
    keep = _ONE - _ONE / tau
    v = np.empty(size, np.float32)
    z = np.empty((steps, size), np.float32)
    total, weighted = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for start in range(0, neurons, size):
        length = min(size, neurons - start)
        v[:] = _ZERO
        for t in range(steps):
            row, above = x[t, start : start + length], z[t]
            for i in range(length):
                h = v[i] + (row[i] * scale[i] + shift[i] - v[i]) / tau
                above[i] = h - threshold
                v[i] = _ZERO if h >= threshold else h
        v[:] = _ZERO  # from here on dL/dv
        if len(to_last):
            v[:length] = to_last[start : start + length]
        for t in range(steps - 1, -1, -1):
            row, above, out = x[t, start : start + length], z[t], grad[t, start : start + length]
            from_spikes = to_spikes[t, start : start + length]
            # Three loops, because a compiler that must rule out overlaps vectorises only what touches few arrays.
            for i in range(length):
                out[i] = slope * _sigmoid_slope(slope * above[i]) * from_spikes[i]
            for i in range(length):
                before = v[i]  # read in any case, so that the choice needs no branch
                to_h = out[i] + (_ZERO if above[i] >= _ZERO else before)
                v[i] = to_h * keep
                out[i] = to_h / tau
            for i in range(length):
                total[i] += out[i]
                weighted[i] += out[i] * (row[i] - mean[i])
    return total, weighted


@_compiled
def _moments(x: Any, size: int) -> Any:
    """Sums of x - x[0] and of its square over all rows of `size` values, for each place in a row."""
    values = x.size
    flat = x.reshape(values)
    first = flat[:size].copy()
    total, squares = np.zeros(size, np.float64), np.zeros(size, np.float64)
    part, part_squares = np.zeros(size, np.float32), np.zeros(size, np.float32)
    rows = values // size
    for begin in range(0, rows, 64):  # short sums in single precision, their sum in double
        part[:] = _ZERO
        part_squares[:] = _ZERO
        for row in range(begin, min(begin + 64, rows)):
            line = flat[row * size : (row + 1) * size]
            for i in range(size):
                d = line[i] - first[i]
                part[i] += d
                part_squares[i] += d * d
        for i in range(size):
            total[i] += part[i]
            squares[i] += part_squares[i]
    return first, total, squares


@_compiled
def _combine(grad: Any, x: Any, of_grad: Any, of_x: Any, offset: Any) -> None:
    """grad ← of_grad·grad + of_x·x + offset, in rows as long as these three."""
    size = len(offset)
    to, source = grad.reshape(grad.size), x.reshape(x.size)
    for start in range(0, grad.size, size):
        length = min(size, grad.size - start)
        out, row = to[start : start + length], source[start : start + length]
        for i in range(length):
            out[i] = of_grad[i] * out[i] + of_x[i] * row[i] + offset[i]


def _rows(x: Tensor) -> Any:
    """A contiguous `(T, …)` as an array `(T, neurons)`."""
    return x.reshape(len(x), -1).numpy()


def _flat(x: Tensor | None) -> Any:
    return np.empty(0, np.float32) if x is None else x.contiguous().reshape(-1).numpy()


def _tiled(values: npt.NDArray[np.float64]) -> Any:
    """A value a channel, repeated to the length of a block, in single precision."""
    return np.tile(values.astype(np.float32), max(1, _BLOCK // len(values)))


# Scale, and shift or mean, of a current that no BatchNorm changes.
_SAME, _NOTHING = _tiled(np.ones(1)), _tiled(np.zeros(1))


class _LifScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, neuron: Neuron) -> tuple[Tensor, Tensor]:
        spikes, last = torch.empty_like(x), torch.empty_like(x[0])
        ctx.neuron = neuron.rounded()
        _charge_and_fire(_rows(x), _SAME, _NOTHING, ctx.neuron, _rows(spikes), last.view(-1).numpy())
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        return spikes, last

    @staticmethod
    def backward(ctx: Any, to_spikes: Tensor | None, to_last: Tensor | None) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        grad = torch.empty_like(x)
        to_spikes = torch.zeros_like(x) if to_spikes is None else to_spikes.contiguous()
        _backward(_rows(x), _SAME, _NOTHING, _NOTHING, ctx.neuron, _rows(to_spikes), _flat(to_last), _rows(grad))
        return grad, None


class _NormLifScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, neuron: Neuron
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first, total, squares = _moments(_rows(x), len(weight))
        count = x.numel() // len(weight)
        mean = first + total / count
        variance = np.maximum(squares / count - (total / count) ** 2, 0)  # a constant channel may round below 0
        inverse = 1 / np.sqrt(variance + eps)
        scale = weight.detach().double().numpy() * inverse
        shift = bias.detach().double().numpy() - mean * scale
        spikes, last = torch.empty_like(x), torch.empty_like(x[0])
        ctx.neuron = neuron.rounded()
        _charge_and_fire(_rows(x), _tiled(scale), _tiled(shift), ctx.neuron, _rows(spikes), last.view(-1).numpy())
        ctx.save_for_backward(x)
        ctx.statistics = mean, inverse, scale, shift, variance > STILL
        ctx.set_materialize_grads(False)
        moments = torch.from_numpy(mean).to(x.dtype), torch.from_numpy(variance).to(x.dtype)
        ctx.mark_non_differentiable(*moments)
        return spikes, last, *moments

    @staticmethod
    def backward(
        ctx: Any, to_spikes: Tensor | None, to_last: Tensor | None, *_: None
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (x,) = ctx.saved_tensors
        mean, inverse, scale, shift, varies = ctx.statistics
        grad = torch.empty_like(x)
        to_spikes = torch.zeros_like(x) if to_spikes is None else to_spikes.contiguous()
        sums = _backward(
            _rows(x),
            _tiled(scale),
            _tiled(shift),
            _tiled(mean),
            ctx.neuron,
            _rows(to_spikes),
            _flat(to_last),
            _rows(grad),
        )
        to_bias, to_weight = (part.reshape(-1, len(mean)).sum(axis=0, dtype=np.float64) for part in sums)
        to_weight *= inverse
        # dL/dx = scale·(dL/dc - mean of dL/dc - x̂·mean of dL/dc·x̂), x̂ = (x - mean)·inverse
        count = x.numel() // len(mean)
        scale = np.where(varies, scale, 0)
        of_x = -scale * inverse * to_weight / count
        offset = -scale * to_bias / count - of_x * mean
        _combine(_rows(grad), _rows(x), *map(_tiled, (scale, of_x, offset)))
        return grad, torch.from_numpy(to_weight).to(x.dtype), torch.from_numpy(to_bias).to(x.dtype), None, None


def lif_scan(x: Tensor, neuron: Neuron) -> tuple[Tensor, Tensor]:
    """Run a population from a cleared state.

    Args:
        x: current `(T, …)`, float32 on a CPU.
        neuron: its constants.

    Returns:
        Spikes, as x and in its memory layout; membrane after the last step, `(…)`.
    """
    # Neurons may lie in any order as long as time is outermost, so maps with channels innermost need no copy.
    if x.ndim == 5 and not x.is_contiguous() and x.movedim(2, -1).is_contiguous():
        spikes, last = _LifScan.apply(x.movedim(2, -1), neuron)
        return spikes.movedim(-1, 2), last.movedim(-1, 1)
    return _LifScan.apply(x.contiguous(), neuron)


def norm_lif_scan(x: Tensor, norm: nn.BatchNorm2d, neuron: Neuron) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normalise a current by the statistics of this batch, and run a population on it from a cleared state.

    Args:
        x: `(T, B, C, H, W)`, float32 on a CPU, best with channels innermost.
        norm: gives weight, bias and eps; its running statistics are left alone.
        neuron: its constants.

    Returns:
        Spikes, as x; membrane after the last step, `(B, C, H, W)`; mean and biased variance, `(C,)`.
    """
    rows = x.movedim(2, -1).contiguous()
    spikes, last, mean, variance = _NormLifScan.apply(rows, norm.weight, norm.bias, norm.eps, neuron)
    return spikes.movedim(-1, 2), last.movedim(-1, 1), mean, variance
