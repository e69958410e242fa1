"""Loihi's fixed-point neuron, as lava-nc 0.10.0 computes it (`PyLifModelBitAcc`, tag `fixed_pt`).

    u ← trunc(u·(4096 − du) / 4096) + (a_in << 6),   then one wrap into ±2²³
    v ← clip(trunc(v·(4096 − dv) / 4096) + u + (bias << 6), ±(2²³ − 1))
    spike where v > (vth << 6);  there v ← 0

Lava has no neuron that is reset by subtraction or a step late, or fires several spikes a step. Those are ours, in
arithmetic that a microcode program of Loihi 2 can do by comparing and subtracting; `lava/processes/programmed.py` is
the same in Lava:

    where v > (vth << 6):  n = 1, or v div (vth << 6) for several spikes;  a spike of payload n;
                           v ← 0, or v − n·(vth << 6) for a soft reset

n is at most (2²³ − 1) div 64 = 131071, a payload of 17 bits. With a late reset v stays above the threshold, which says
in the next step that a spike is still to act, on the v that is charged and clipped by then:

    where v was > (vth << 6):  v ← 0, or clip(v − n·(vth << 6), ±(2²³ − 1)), n of the v that was

All values are integers held in float64: products reach 2²³·2¹² = 2³⁵, far inside the 2⁵³ up to which float64
is exact, and float64 arithmetic is vectorised where 64-bit integer division is not. Lava's are 32 bits wide, and what
leaves them wraps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.ir import QuantPopulation, is_late, subtracts
from snnergy.neuromorphic.limits import ALIGN_SHIFT, BIAS_EXPONENT, DECAY_ONE, STATE_MAX

_ALIGN = float(1 << ALIGN_SHIFT)
_WRAP = float(2 * (STATE_MAX + 1))
_HALF_32 = float(1 << 31)


def decay(state: Tensor, rates: IntArray) -> Tensor:
    """`state · (4096 − rate) / 4096` rounded toward zero; a rate of 4096 clears, 0 keeps.

    rates: one, or one a neuron.
    """
    if rates.size == 1 and rates[0] == DECAY_ONE:
        return torch.zeros_like(state)
    if not rates.any():
        return state
    kept = (DECAY_ONE - rates) / DECAY_ONE
    return torch.trunc(state * (float(kept[0]) if kept.size == 1 else torch.from_numpy(kept).to(state.device)))


def _wrapped_32(values: Tensor) -> Tensor:
    return torch.remainder(values + _HALF_32, 2 * _HALF_32) - _HALF_32


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
    wrapped: Tensor | int = 0
    clipped: Tensor | int = 0

    @classmethod
    def cleared(cls, samples: int, neurons: int, device: torch.device | None = None) -> NeuronState:
        """The state at the start of a sample."""
        zeros = torch.zeros(samples, neurons, dtype=torch.float64, device=device)
        return cls(zeros, zeros)


def step(population: QuantPopulation, bias: Tensor, state: NeuronState, a_in: Tensor) -> Tensor:
    """Advance `state` by one time step and return the spikes.

    Args:
        bias: mantissas, `(neurons,)` or `(1,)` float64.
        a_in: summed synaptic input before alignment, `(N, neurons)` float64 holding integers.

    Returns:
        `(N, neurons)`, bool, or float64 holding payloads where there can be several spikes.
    """
    current = decay(state.u, population.du) + a_in * _ALIGN
    if _may_leave(current):
        state.wrapped += (current.abs() > STATE_MAX).sum()
        current = wrap(_wrapped_32(current))
    state.u = current
    charged = decay(state.v, population.dv) + current + bias * float(1 << BIAS_EXPONENT)
    if _may_leave(charged):
        state.clipped += (charged.abs() > STATE_MAX).sum()
        charged = _wrapped_32(charged).clamp(-STATE_MAX, STATE_MAX)
    if is_late(population.reset):
        charged = _after(population, _spikes(population, state.v), charged).clamp(-STATE_MAX, STATE_MAX)
    spikes = _spikes(population, charged)
    state.v = charged if is_late(population.reset) else _after(population, spikes, charged)
    return spikes


def _may_leave(values: Tensor) -> bool:
    """Whether any may be beyond 24 bits. On another device, waiting for the answer takes longer than doing without."""
    return values.device.type != "cpu" or float(values.abs().max()) > STATE_MAX


def _spikes(population: QuantPopulation, v: Tensor) -> Tensor:
    """What a membrane sends: bool, or float64 where there can be several spikes."""
    threshold = population.vth * _ALIGN
    fired = v > threshold
    return fired if population.spikes == "one" else torch.floor(v / threshold) * fired


def _after(population: QuantPopulation, spikes: Tensor, v: Tensor) -> Tensor:
    """What the spikes leave of v."""
    if subtracts(population.reset):
        return v - spikes * (population.vth * _ALIGN)
    return v.masked_fill(spikes if spikes.dtype == torch.bool else spikes > 0, 0.0)
