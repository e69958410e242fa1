"""SpikingJelly's multi-step LIF on a CPU in one pass over memory, forward and backward.

    h[t] = v[t-1] + (x[t] - v[t-1]) / tau;   s[t] = 1 where h[t] >= threshold;   v[t] = h[t]·(1 - s[t])

    dL/dh[t] = dL/ds[t]·σ'(h[t] - threshold) + dL/dv[t]·(1 - s[t]),   σ' = a·σ(a·z)·(1 - σ(a·z))
    dL/dx[t] = dL/dh[t] / tau,   dL/dv[t-1] = dL/dh[t]·(1 - 1/tau)

The reset is detached: no gradient flows through s into v. A loop of tensor operations reads and writes the whole
sequence about ten times each way, which is nearly half the time of a training step; this scan does it once. It runs on
one thread: numba's pool shares OpenMP's settings with torch's, and the two then wait for each other.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

# Neurons of one block: their membranes stay in the first-level cache while the scan walks through time.
_BLOCK = 2048


@numba.njit(cache=True)
def _charge_and_fire(x: Any, tau: Any, threshold: Any, slope: Any, scaled: Any, spikes: Any, last: Any) -> None:
    """scaled ← slope·(h - threshold), the argument of the surrogate's sigmoid."""
    steps, neurons = x.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    for block in range((neurons + _BLOCK - 1) // _BLOCK):
        start, stop = block * _BLOCK, min((block + 1) * _BLOCK, neurons)
        v = np.zeros(stop - start, np.float32)
        for t in range(steps):
            for i in range(stop - start):
                h = v[i] + (x[t, start + i] - v[i]) / tau
                fired = h >= threshold
                scaled[t, start + i] = slope * (h - threshold)
                spikes[t, start + i] = one if fired else zero
                v[i] = zero if fired else h
        last[start:stop] = v


@numba.njit(cache=True)
def _backward(to_spikes: Any, scaled: Any, sigma: Any, from_last: Any, tau: Any, slope: Any, grad: Any) -> None:
    """grad ← dL/dx; to_spikes = dL/ds, sigma = σ(scaled), from_last = dL/dv after the last step."""
    steps, neurons = scaled.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    keep = one - one / tau
    for block in range((neurons + _BLOCK - 1) // _BLOCK):
        start, stop = block * _BLOCK, min((block + 1) * _BLOCK, neurons)
        from_v = from_last[start:stop].copy()
        for t in range(steps - 1, -1, -1):
            for i in range(stop - start):
                j = start + i
                kept = zero if scaled[t, j] >= zero else from_v[i]
                to_h = (one - sigma[t, j]) * sigma[t, j] * slope * to_spikes[t, j] + kept
                grad[t, j] = to_h / tau
                from_v[i] = to_h * keep


def _rows(x: Tensor) -> Any:
    """A contiguous `(T, …)` as an array `(T, neurons)`."""
    return x.reshape(len(x), -1).numpy()


class _LifScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tau: float, threshold: float, slope: float) -> tuple[Tensor, Tensor]:
        scaled, spikes, last = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x[0])
        constants = np.float32(tau), np.float32(threshold), np.float32(slope)
        _charge_and_fire(_rows(x), *constants, _rows(scaled), _rows(spikes), last.reshape(-1).numpy())
        ctx.save_for_backward(scaled)
        ctx.tau, _, ctx.slope = constants
        return spikes, last

    @staticmethod
    def backward(ctx: Any, to_spikes: Tensor, to_last: Tensor) -> tuple[Tensor, None, None, None]:
        (scaled,) = ctx.saved_tensors
        grad = torch.empty_like(scaled)
        _backward(
            _rows(to_spikes.contiguous()),
            _rows(scaled),
            _rows(scaled.sigmoid()),
            to_last.reshape(-1).contiguous().numpy(),
            ctx.tau,
            ctx.slope,
            _rows(grad),
        )
        return grad, None, None, None


def lif_scan(x: Tensor, tau: float, threshold: float, slope: float) -> tuple[Tensor, Tensor]:
    """Run a population from a cleared state.

    Args:
        x: current `(T, …)`, float32 on a CPU.
        tau: membrane time constant in steps.
        threshold: of the spike.
        slope: a of the surrogate.

    Returns:
        Spikes, as x and in its memory layout; membrane after the last step, `(…)`.
    """
    # Neurons may lie in any order as long as time is outermost, so maps with channels innermost need no copy.
    if x.ndim == 5 and not x.is_contiguous() and x.movedim(2, -1).is_contiguous():
        spikes, last = _LifScan.apply(x.movedim(2, -1), tau, threshold, slope)
        return spikes.movedim(-1, 2), last.movedim(-1, 1)
    return _LifScan.apply(x.contiguous(), tau, threshold, slope)
