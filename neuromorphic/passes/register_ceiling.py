"""How large the scale of a population may be: the largest at which everything in it fits its registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic.emulator.on_torch.synapses import propagate
from snnergy.neuromorphic.ir import FloatPopulation, FloatSynapse, is_late, subtracts
from snnergy.neuromorphic.limits import ALIGN_SHIFT, BIAS_MANTISSA_MAX, STATE_MAX, THRESHOLD_MAX
from snnergy.neuromorphic.taps import largest_row_sum

# Unseen data may drive a current harder than calibration did; a wrap-around of u would be silent nonsense.
_CURRENT_HEADROOM = 2.0
# Without calibration a readout is assumed to integrate no longer than this many steps.
_UNCALIBRATED_STEPS = 64
# In size, of the numbers of networks whose range is measured in single precision.
_USUAL = 1e12
_STATE_RANGE = STATE_MAX >> ALIGN_SHIFT


@dataclass(frozen=True)
class Peaks:
    """Largest |u| and |v| of a population on calibration samples, in model units."""

    u: float = 0.0
    v: float = 0.0

    def and_those_of(
        self,
        population: FloatPopulation,
        synapses: tuple[FloatSynapse, ...],
        weights: list[FloatArray],
        sources: list[Tensor],
    ) -> Peaks:
        """Of further samples as well.

        Args:
            weights: of each synapse, for one integer step of its source.
            sources: calibrated values `(N, T, neurons)` of each synapse's source.
        """
        exact = _precision(population, weights)
        current, *more = (
            propagate(s.operator, torch.from_numpy(w).to(exact), x, s.delay)
            for s, w, x in zip(synapses, weights, sources, strict=True)
        )
        for each in more:
            current += each
        u, v = _peaks(population, current)
        return Peaks(max(self.u, u), max(self.v, v))


def register_ceiling(
    population: FloatPopulation,
    synapses: tuple[FloatSynapse, ...],
    weights: list[FloatArray],
    peaks: Peaks | None,
    payload: dict[str, float],
) -> float:
    """The largest scale at which bias, threshold and the range of u and v fit their registers.

    Args:
        weights: of each synapse, for one integer step of its source.
        peaks: on calibration samples; None for the worst case.
        payload: the largest value of each source that sends more than spikes.
    """
    if peaks is not None:
        peak_u, peak_v = peaks.u * _CURRENT_HEADROOM, peaks.v
    else:
        worst = sum(
            largest_row_sum(s.operator, np.abs(w)) * payload.get(s.source, 1.0)
            for s, w in zip(synapses, weights, strict=True)
        )
        peak_u = worst / max(float(population.decay_u.min()), 1 / _UNCALIBRATED_STEPS)
        drive = peak_u + float(np.abs(population.bias).max())
        peak_v = drive / max(float(population.decay_v.min()), 1 / _UNCALIBRATED_STEPS)
        if population.threshold is not None and population.spikes == "many":
            peak_v = population.threshold + drive  # less than the threshold is left from the step before
        elif population.threshold is not None and not subtracts(population.reset):
            peak_v = 0.0  # a spike ends the rise, and v only saturates below: harmless
    demands = [
        (peak_u, _STATE_RANGE),
        (peak_v, _STATE_RANGE),
        (float(np.abs(population.bias).max()), BIAS_MANTISSA_MAX),
        (population.threshold or 0.0, THRESHOLD_MAX),
    ]
    return min((limit / value for value, limit in demands if value > 0), default=float("inf"))


def _precision(population: FloatPopulation, weights: list[FloatArray]) -> torch.dtype:
    """Single precision is enough of a range, unless numbers are so large or small that they would leave it."""
    sizes = [float(np.abs(values).max(initial=0)) for values in (*weights, population.bias)]
    sizes.append(population.threshold or 0.0)
    return torch.float32 if all(size == 0 or 1 / _USUAL < size < _USUAL for size in sizes) else torch.float64


def _peaks(population: FloatPopulation, current: Tensor) -> tuple[float, float]:
    """Largest |u| and |v| over `current` `(N, T, neurons)`, in model units; `current` becomes u."""
    kept_u, kept_v, bias = (
        torch.from_numpy(values).to(current.dtype)
        for values in (
            1 - population.decay_u,
            1 - population.decay_v,
            np.broadcast_to(population.bias, population.shape).reshape(-1).copy(),
        )
    )
    if kept_u.any():
        for t in range(1, current.shape[1]):
            current[:, t] += kept_u * current[:, t - 1]
    v, biased = torch.zeros_like(current[:, 0]), bool(bias.any())
    lowest, highest = torch.zeros_like(v), torch.zeros_like(v)
    for u in current.unbind(1):
        charged = (v * kept_v).add_(u)
        if biased:
            charged += bias
        torch.minimum(lowest, charged, out=lowest)
        torch.maximum(highest, charged, out=highest)
        if population.threshold is None:
            v = charged
            continue
        v = _after_spikes(population, population.threshold, v if is_late(population.reset) else charged, charged)
        if population.counts_thresholds:  # what is left can lie below all that was charged
            torch.minimum(lowest, v, out=lowest)
    return float(current.abs().max()), float(torch.maximum(-lowest, highest).max())


def _after_spikes(population: FloatPopulation, threshold: float, fired: Tensor, v: Tensor) -> Tensor:
    """What is left of v once the spikes of the membranes `fired` have acted."""
    if not subtracts(population.reset):
        return v.masked_fill_(fired > threshold, 0.0)
    spikes = torch.floor(fired / threshold) if population.spikes == "many" else 1.0
    return torch.where(fired > threshold, v - spikes * threshold, v)
