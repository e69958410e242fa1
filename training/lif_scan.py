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
def _charge_and_fire(x: Any, tau: Any, threshold: Any, charged: Any, spikes: Any, last: Any) -> None:
    steps, neurons = x.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    for block in range((neurons + _BLOCK - 1) // _BLOCK):
        start, stop = block * _BLOCK, min((block + 1) * _BLOCK, neurons)
        v = np.zeros(stop - start, np.float32)
        for t in range(steps):
            for i in range(stop - start):
                h = v[i] + (x[t, start + i] - v[i]) / tau
                fired = h >= threshold
                charged[t, start + i] = h
                spikes[t, start + i] = one if fired else zero
                v[i] = zero if fired else h
        last[start:stop] = v


@numba.njit(cache=True)
def _backward(through_spikes: Any, charged: Any, from_last: Any, tau: Any, threshold: Any, grad: Any) -> None:
    """grad ← dL/dx; through_spikes = dL/ds·σ', from_last = dL/dv after the last step."""
    steps, neurons = charged.shape
    zero, keep = np.float32(0.0), np.float32(1.0) - np.float32(1.0) / tau
    for block in range((neurons + _BLOCK - 1) // _BLOCK):
        start, stop = block * _BLOCK, min((block + 1) * _BLOCK, neurons)
        from_v = from_last[start:stop].copy()
        for t in range(steps - 1, -1, -1):
            for i in range(stop - start):
                kept = zero if charged[t, start + i] >= threshold else from_v[i]
                to_h = through_spikes[t, start + i] + kept
                grad[t, start + i] = to_h / tau
                from_v[i] = to_h * keep


class LifScan(torch.autograd.Function):
    """`apply(x, tau, threshold, slope) -> (spikes, v)`, x `(T, …)` float32 on a CPU, from a cleared state.

    spikes: as x. v: membrane after the last step, `(…)`. slope: a of the surrogate.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, tau: float, threshold: float, slope: float) -> tuple[Tensor, Tensor]:
        """Scan `x` over time."""
        x = x.contiguous()
        charged, spikes, last = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x[0])
        flat = (array.reshape(len(x), -1).numpy() for array in (charged, spikes))
        _charge_and_fire(
            x.reshape(len(x), -1).numpy(), np.float32(tau), np.float32(threshold), *flat, last.reshape(-1).numpy()
        )
        ctx.save_for_backward(charged)
        ctx.constants = (tau, threshold, slope)
        return spikes, last

    @staticmethod
    def backward(ctx: Any, to_spikes: Tensor, to_last: Tensor) -> tuple[Tensor, None, None, None]:
        """Back-propagate through time."""
        (charged,) = ctx.saved_tensors
        tau, threshold, slope = ctx.constants
        sigma = charged.sub(threshold).mul_(slope).sigmoid_()
        through_spikes = (1 - sigma).mul_(sigma).mul_(slope).mul_(to_spikes)
        grad = torch.empty_like(charged)
        steps = len(charged)
        _backward(
            through_spikes.reshape(steps, -1).numpy(),
            charged.reshape(steps, -1).numpy(),
            to_last.reshape(-1).contiguous().numpy(),
            np.float32(tau),
            np.float32(threshold),
            grad.reshape(steps, -1).numpy(),
        )
        return grad, None, None, None
