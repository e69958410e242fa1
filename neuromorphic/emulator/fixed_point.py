"""Loihi's fixed-point neuron, as lava-nc 0.10.0 computes it (`PyLifModelBitAcc`, tag `fixed_pt`).

    u ← trunc(u·(4096 − du) / 4096) + (a_in << 6),   then one wrap into ±2²³
    v ← clip(trunc(v·(4096 − dv) / 4096) + u + (bias << 6), ±(2²³ − 1))
    spike where v > (vth << 6);  there v ← 0

All values are integers held in float64: products reach 2²³·2¹² = 2³⁵, far inside the 2⁵³ up to which float64
is exact, and float64 arithmetic is vectorised where 64-bit integer division is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snnergy.neuromorphic.ir import QuantPopulation
from snnergy.neuromorphic.limits import ALIGN_SHIFT, BIAS_EXPONENT, DECAY_ONE, STATE_MAX

_ALIGN = float(1 << ALIGN_SHIFT)
_WRAP = float(2 * (STATE_MAX + 1))


def decay(state: Tensor, rate: int) -> Tensor:
    """`state · (4096 − rate) / 4096` rounded toward zero; `rate` 4096 clears, 0 keeps."""
    if rate == DECAY_ONE:
        return torch.zeros_like(state)
    if rate == 0:
        return state
    return torch.trunc(state * ((DECAY_ONE - rate) / DECAY_ONE))


def wrap(current: Tensor) -> Tensor:
    """One wrap-around of a 24-bit current; a larger excess leaves 24 bits, as it does in Lava."""
    limit = float(STATE_MAX + 1)
    current = torch.where(current > limit, current - _WRAP, current)
    return torch.where(current <= -limit, current + _WRAP, current)


@dataclass
class NeuronState:
    """u and v of one population for a batch of samples, `(N, neurons)` float64 holding integers.

    wrapped, clipped: how often a current left 24 bits and a membrane met its limit so far.
    """

    u: Tensor
    v: Tensor
    wrapped: int = 0
    clipped: int = 0

    @classmethod
    def cleared(cls, samples: int, neurons: int) -> NeuronState:
        """The state at the start of a sample."""
        zeros = torch.zeros(samples, neurons, dtype=torch.float64)
        return cls(zeros, zeros)


def step(population: QuantPopulation, bias: Tensor, state: NeuronState, a_in: Tensor) -> Tensor:
    """Advance `state` by one time step and return the spikes.

    Args:
        bias: mantissas, `(neurons,)` or `(1,)` float64.
        a_in: summed synaptic input before alignment, `(N, neurons)` float64 holding integers.

    Returns:
        `(N, neurons)` bool.
    """
    current = decay(state.u, population.du) + a_in * _ALIGN
    if float(current.abs().max()) > STATE_MAX:
        state.wrapped += int((current.abs() > STATE_MAX).sum())
        current = wrap(current)
    state.u = current
    charged = decay(state.v, population.dv) + current + bias * float(1 << BIAS_EXPONENT)
    if float(charged.abs().max()) > STATE_MAX:
        state.clipped += int((charged.abs() > STATE_MAX).sum())
        charged = charged.clamp(-STATE_MAX, STATE_MAX)
    spikes = charged > population.vth * _ALIGN
    state.v = charged.masked_fill(spikes, 0.0)
    return spikes
