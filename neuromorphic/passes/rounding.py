"""A population in integers: the scales and exponents worth trying, and what is left of it when it is rounded to them.

A population with scale S holds the bias `round(b·S)`, the threshold just below `θ·S`, and in each of its synapses the
weights `round(w·S / 2^e)` as 8-bit mantissas with an exponent e; its u and v are the float ones times S (times 64, the
chip's alignment). Weights of fewer bits n are the multiples of 2^(8 − n) among them, as a chip keeps them: the lower
bits are 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.types import FloatArray, IntArray
from snnergy.neuromorphic.ir import (
    FloatPopulation,
    FloatSynapse,
    InputPort,
    Operator,
    QuantPopulation,
    QuantSynapse,
)
from snnergy.neuromorphic.limits import (
    BIAS_MANTISSA_MAX,
    DECAY_ONE,
    THRESHOLD_MAX,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
    WEIGHT_MANTISSA_MAX,
)

# Scales tried on calibration data, as multiples of the one that clips no weight; the coarser the grid, the more a clip
# may gain.
_SCALE_TRIALS = (1.15, 1.35, 1.6, 2.0)
_NARROW_SCALE_TRIALS = (*_SCALE_TRIALS, 2.5, 3.2)
# Exponent of the strongest synapse where registers allow; bias and threshold are then 16 times finer than its weights.
_FINE_EXPONENT = 4
_FINEST = 1e-200  # of a weight: a smaller one counts as this, so that a scale is finite


@dataclass(frozen=True)
class Quantized:
    """A population with its synapses in integers, and what that cost.

    error: fraction of calibration spikes that differ from the float model's when it is driven by the float model's own
        sources (readouts: relative RMS error); NaN uncalibrated.
    saturated: weights and biases that were clipped to their bits. vanished: those of `weights` other than zero that
        rounded to 0.
    drift: by how many spikes a neuron is ahead or behind, mean over steps: it tells two scales apart that both miss
        every step of a rare spike, one of them narrowly.
    mute: it never fires though the float model does; of rare spikes, none is fewer errors than one that is late.
    """

    population: QuantPopulation
    synapses: tuple[QuantSynapse, ...]
    error: float
    saturated: int
    vanished: int
    weights: int
    drift: float = 0.0
    mute: bool = False


@dataclass(frozen=True)
class Task:
    """A population to round.

    steps: real size of an integer step of each synapse's source. weights: for such a step. bits: that a weight has.
    """

    population: FloatPopulation
    synapses: tuple[FloatSynapse, ...]
    steps: list[float]
    weights: list[FloatArray]
    bits: int = 8

    @classmethod
    def of(
        cls,
        population: FloatPopulation,
        synapses: tuple[FloatSynapse, ...],
        ports: Sequence[InputPort],
        bits: int = 8,
    ) -> Task:
        """As the scales of the ports have it."""
        scales = {port.name: port.scale for port in ports}
        steps = [scales.get(s.source, 1.0) for s in synapses]
        weights = [s.operator.weight.astype(np.float64) * step for s, step in zip(synapses, steps, strict=True)]
        return cls(population, synapses, steps, weights, bits)

    @property
    def grid(self) -> int:
        """The smallest mantissa above 0."""
        return 1 << (8 - self.bits)

    @property
    def mantissa_max(self) -> int:
        """The largest mantissa, 127 of 8 bits."""
        return WEIGHT_MANTISSA_MAX // self.grid * self.grid

    def sent(self, values: Sequence[Tensor]) -> list[Tensor]:
        """`values` of the source of each synapse as the integers that travel."""
        return [
            x if step == 1.0 and not x.is_floating_point() else torch.round(x / step)
            for x, step in zip(values, self.steps, strict=True)
        ]


@dataclass(frozen=True)
class Setting:
    """A scale, with an exponent for each synapse. threshold: its mantissa, or None for those that come nearest."""

    scale: float
    exponents: Sequence[int]
    threshold: int | None = None


def settings(task: Task, ceiling: float, *, own_exponents: bool, tried: bool) -> list[Setting]:
    """What to round to, the safest first; all exponents are 0 unless each synapse may have its own.

    Args:
        ceiling: the largest scale that fits.
        tried: whether there are samples to try them on; otherwise the first is all there is.
    """
    peaks = [max(float(np.abs(w).max(initial=0)) or 1.0, _FINEST) for w in task.weights]
    wanted = task.mantissa_max * (1 << (_FINE_EXPONENT if own_exponents else 0)) / max(peaks)
    base = min(wanted, ceiling)
    exponents = [0] * len(peaks)
    if own_exponents:
        filling = [peak * base / task.mantissa_max for peak in peaks]
        exponents = [_filling_exponent(fill, s.operator) for fill, s in zip(filling, task.synapses, strict=True)]
    trials = _SCALE_TRIALS if task.bits == 8 else _NARROW_SCALE_TRIALS
    scales = [base, *(_other_scales(base, ceiling, exponents, trials) if tried else ())]
    return [Setting(_exact_threshold(task.population, scale), exponents) for scale in scales]


def _other_scales(base: float, ceiling: float, exponents: Sequence[int], trials: tuple[float, ...]) -> Iterator[float]:
    """Larger ones clip; where a sum loses bits to a shift, smaller ones may lose fewer of them."""
    yield from (trial * base for trial in trials if trial * base < ceiling)
    if base < ceiling < trials[-1] * base:
        yield ceiling
    if base == ceiling and min(exponents) < 0:
        yield from (base / trial for trial in trials)


def _exact_threshold(population: FloatPopulation, scale: float) -> float:
    """`scale`, or a little less, where it makes the threshold whole.

    Soft reset takes the threshold off the membrane, and several spikes are counted in it: its rounding would add up.
    """
    if not population.counts_thresholds or population.threshold is None:
        return scale
    return max(math.floor(population.threshold * scale), 1) / population.threshold


def _filling_exponent(fill: float, operator: Operator) -> int:
    """The smallest exponent at which a weight of `fill` times the largest mantissa has a mantissa."""
    needed = math.ceil(math.log2(max(fill, _FINEST)) - 1e-9)
    # A sum over several delays cannot be shifted as one.
    lowest = 0 if operator.delays is not None else WEIGHT_EXPONENT_MIN
    return max(lowest, min(needed, WEIGHT_EXPONENT_MAX))


def rounded(task: Task, setting: Setting) -> list[Quantized]:
    """The population at one setting, once for each threshold worth trying."""
    population, synapses, weights = task.population, task.synapses, task.weights
    scale, exponents, limit, grid = setting.scale, setting.exponents, task.mantissa_max, task.grid
    wanted = [np.rint(w * scale / 2.0**e / grid) * grid for w, e in zip(weights, exponents, strict=True)]
    saturated = sum(int((np.abs(w) > limit).sum()) for w in wanted)
    alive = sum(int(np.count_nonzero(w)) for w in weights)
    vanished = alive - sum(int(np.count_nonzero(w)) for w in wanted)
    quantized = tuple(
        QuantSynapse(
            s.source,
            s.target,
            replace(s.operator, weight=np.clip(w, -limit, limit).astype(np.int32)),
            exponent=e,
            delay=s.delay,
            balance=s.balance,
            origin=s.origin,
            learned=s.learned,
            macs=s.macs,
        )
        for s, w, e in zip(synapses, wanted, exponents, strict=True)
    )
    bias = np.rint(population.bias * scale)
    saturated += int((np.abs(bias) > BIAS_MANTISSA_MAX).sum())
    bias = np.clip(bias, -BIAS_MANTISSA_MAX, BIAS_MANTISSA_MAX).astype(np.int32)
    return [
        Quantized(
            QuantPopulation(
                population.name,
                population.shape,
                _rates(population.decay_u),
                _rates(population.decay_v),
                vth,
                bias,
                population.threshold is not None,
                scale,
                population.depth,
                population.labels,
                population.reset,
                population.spikes,
            ),
            quantized,
            float("nan"),
            saturated,
            vanished,
            alive,
        )
        for vth in (_thresholds(population, scale) if setting.threshold is None else (setting.threshold,))
    ]


def _rates(decays: FloatArray) -> IntArray:
    return np.asarray(np.rint(decays * DECAY_ONE), np.int32)


def _thresholds(population: FloatPopulation, scale: float) -> tuple[int, ...]:
    """Mantissas to try. The chip fires strictly above, on a grid: the float threshold lies between two of them, unless
    the scale makes it whole.
    """
    threshold = population.threshold
    if threshold is None:
        return (THRESHOLD_MAX,)
    if population.counts_thresholds:
        return (min(max(round(threshold * scale), 1), THRESHOLD_MAX),)
    below = int(np.ceil(threshold * scale)) - 1
    return tuple(min(max(v, 0), THRESHOLD_MAX) for v in (below, below + 1))
