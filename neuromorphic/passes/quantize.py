"""The one step from model units to chip integers: chooses a scale for each population and rounds to it.

A population with scale S holds the bias `round(b·S)`, the threshold just below `θ·S`, and in each of its synapses the
weights `round(w·S / 2^e)` as 8-bit mantissas with an exponent e; its u and v are the float ones times S (times 64, the
chip's alignment).

S is as large as bias, threshold and the calibrated range of u and v allow, up to the point where a finer grid no longer
matters; each synapse then takes the exponent that fills its 8 bits. So a population can mix strong and weak synapses (a
graded input counts in steps of 1/255, a spike in steps of 1). Calibration then tries larger scales, which clip a few
outlying weights to resolve the others better, and keeps whatever reproduces the float spikes best.

A sequential network can load in stock netx, which has no exponents: there e is 0, unless that costs accuracy: weights
far below the threshold, or below the bias, would round to nothing where these fill their registers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray, IntArray
from snnergy.neuromorphic.ir import (
    FloatNet,
    FloatPopulation,
    FloatSynapse,
    InputPort,
    Operator,
    QuantNet,
    QuantPopulation,
    QuantSynapse,
    Sparse,
)
from snnergy.neuromorphic.limits import (
    BIAS_MANTISSA_MAX,
    DECAY_ONE,
    THRESHOLD_MAX,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
    WEIGHT_MANTISSA_MAX,
)
from snnergy.neuromorphic.passes.conditions import BALANCED, FITTING, SORTED, SPIKES_ONLY
from snnergy.neuromorphic.passes.infra import Condition, Pass
from snnergy.neuromorphic.passes.judge import Judge
from snnergy.neuromorphic.passes.register_ceiling import register_ceiling
from snnergy.neuromorphic.passes.round_decays import ON_GRID

# Scales tried on calibration data, as multiples of the one that clips no weight.
_SCALE_TRIALS = (1.15, 1.35, 1.6, 2.0)
# Calibration samples that the trials are judged on; ranges are taken from all.
_SEARCH_SAMPLES = 24
# Exponent of the strongest synapse where registers allow; bias and threshold are then 16 times finer than its weights.
_FINE_EXPONENT = 4
# A sequential network keeps the exponent 0, which stock netx can read, unless others at least halve the error.
_STOCK_GAIN = 0.5
# Without calibration: unless its largest mantissa is below this. A negative exponent costs up to 1 of each sum.
_COARSE = 8
# Nor are several spikes a step more than these.
_UNCALIBRATED_SPIKES = 8.0
_FINEST = 1e-200  # of a weight: a smaller one counts as this, so that a scale is finite


@dataclass(frozen=True)
class Calibration:
    """Float activity of the network on calibration samples.

    values: `(N, T, neurons)` float32 of each input (real units) and each spiking population (0 or 1), and the membrane
        of each readout.
    """

    values: dict[str, Tensor]


@dataclass(frozen=True)
class Quantized:
    """A population with its synapses in integers, and what that cost.

    error: fraction of calibration spikes that differ from the float model's when it is driven by the float model's own
        sources (readouts: relative RMS error); NaN uncalibrated.
    saturated: weights that were clipped to 8 bits. vanished: those of `weights` other than zero that rounded to 0.
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

    @property
    def score(self) -> tuple[bool, float, float]:
        """What the best choice has least of."""
        return self.mute, self.error, self.drift


@dataclass(frozen=True)
class QuantizeResult:
    """The integer network and, for each population, how it came about."""

    net: QuantNet
    populations: dict[str, Quantized]


def _wide_numbers(result: QuantizeResult) -> Iterator[str]:
    for synapse in result.net.synapses:
        widest = int(np.abs(synapse.operator.weight).max(initial=0))
        if widest > WEIGHT_MANTISSA_MAX or not WEIGHT_EXPONENT_MIN <= synapse.exponent <= WEIGHT_EXPONENT_MAX:
            yield f"{synapse.source} → {synapse.target}: |weight| up to {widest} · 2^{synapse.exponent}"
    for population in result.net.populations:
        widest = int(np.abs(population.bias).max(initial=0))
        if widest > BIAS_MANTISSA_MAX or not 0 <= population.vth <= THRESHOLD_MAX:
            yield f"{population.name}: |bias| up to {widest}, threshold {population.vth}"


def _of_net(condition: Condition[QuantNet]) -> Condition[QuantizeResult]:
    return Condition(condition.name, lambda result: condition.violations(result.net))


@dataclass(frozen=True)
class Quantize(Pass[FloatNet, QuantizeResult]):
    """Rounds every population to integers.

    calibration: float activity that scales are chosen on; None makes them safe for the worst case.
    """

    calibration: Calibration | None = None
    name = "quantize"
    requires = (SORTED, FITTING, SPIKES_ONLY, BALANCED, ON_GRID)
    ensures = (
        Condition[QuantizeResult]("weights, exponents, biases and thresholds fit their registers", _wide_numbers),
        *(_of_net(condition) for condition in (SORTED, FITTING, BALANCED)),
    )

    def rewrite(self, ir: FloatNet) -> QuantizeResult:
        """The integer network of `ir`, with an account of each population.

        Raises:
            UserError: an analog input has no declared scale and there is no calibration data to take it from.
        """
        ports = tuple(_port(port, self.calibration) for port in ir.inputs)
        payload = {port.name: float((1 << port.bits) - 1) for port in ports}
        payload |= {p.name: _UNCALIBRATED_SPIKES for p in ir.populations if p.spikes == "many"}
        stock = _is_sequential(ir)
        incoming: dict[str, list[FloatSynapse]] = {population.name: [] for population in ir.populations}
        for synapse in ir.synapses:
            incoming[synapse.target].append(synapse)
        done = {
            p.name: _quantize_population(p, tuple(incoming[p.name]), ports, payload, self.calibration, stock)
            for p in ir.populations
        }
        quantized = QuantNet(
            ports,
            tuple(q.population for q in done.values()),
            tuple(s for q in done.values() for s in q.synapses),
            ir.outputs,
        )
        return QuantizeResult(quantized, done)


def _port(port: InputPort, calibration: Calibration | None) -> InputPort:
    if port.value_class == "binary" or port.scale > 0:
        return port
    if calibration is None:
        raise UserError(
            f"input {port.name!r}: analog and without a declared scale; give calibration samples that are typical"
        )
    values = calibration.values[port.name]
    signed = bool((values < 0).any())
    steps = (1 << (port.bits - 1)) - 1 if signed else (1 << port.bits) - 1
    return replace(port, scale=float(values.abs().max()) / steps or 1.0, signed=signed)


def _quantize_population(
    population: FloatPopulation,
    synapses: tuple[FloatSynapse, ...],
    ports: tuple[InputPort, ...],
    payload: dict[str, float],
    calibration: Calibration | None,
    stock: bool,
) -> Quantized:
    if not synapses:  # a source, whose one number is exact
        (only, *_) = _rounded(population, (), [], [], 1.0)
        return only if calibration is None else replace(only, error=0.0)
    steps = {port.name: port.scale for port in ports}
    # Weights for one integer step of the source.
    weights = [s.operator.weight.astype(np.float64) * steps.get(s.source, 1.0) for s in synapses]
    sources = None
    if calibration is not None:
        sources = [torch.round(calibration.values[s.source] / steps.get(s.source, 1.0)) for s in synapses]
    ceiling = register_ceiling(population, synapses, weights, sources, payload)
    judge = None
    if calibration is not None and sources is not None:
        own = calibration.values[population.name][:_SEARCH_SAMPLES]
        judge = Judge.of(population, synapses, [x[:_SEARCH_SAMPLES] for x in sources], own)
    task = _Task(population, synapses, weights, judge, ceiling)
    best = _best_scale(task, own_exponents=not stock)
    if not stock or best.error == 0.0:
        return best
    free = _best_scale(task, own_exponents=True)
    if judge is None:
        return free if _mantissa(best) < _COARSE else best
    nearer = free.error <= best.error and free.drift < _STOCK_GAIN * best.drift
    return free if free.mute < best.mute or nearer or free.error < _STOCK_GAIN * best.error else best


@dataclass(frozen=True)
class _Task:
    """A population to round. weights: for one integer step of the source. ceiling: the largest scale that fits.

    judge: None without calibration.
    """

    population: FloatPopulation
    synapses: tuple[FloatSynapse, ...]
    weights: list[FloatArray]
    judge: Judge | None
    ceiling: float


def _best_scale(task: _Task, *, own_exponents: bool) -> Quantized:
    """The population at the scale that keeps its spikes best, all exponents 0 unless each synapse may have its own."""
    peaks = [max(float(np.abs(w).max(initial=0)) or 1.0, _FINEST) for w in task.weights]
    wanted = WEIGHT_MANTISSA_MAX * (1 << (_FINE_EXPONENT if own_exponents else 0)) / max(peaks)
    base = min(wanted, task.ceiling)
    exponents = [0] * len(peaks)
    if own_exponents:
        exponents = [_filling_exponent(peak * base, s.operator) for peak, s in zip(peaks, task.synapses, strict=True)]
    best: Quantized | None = None
    for scale in _scales(task, base, exponents):
        held = _exact_threshold(task.population, scale)
        for candidate in _judged(_rounded(task.population, task.synapses, task.weights, exponents, held), task):
            if best is None or candidate.score < best.score:
                best = candidate
        if best is not None and best.error == 0.0:
            break
    assert best is not None
    return best


def _exact_threshold(population: FloatPopulation, scale: float) -> float:
    """`scale`, or a little less, where it makes the threshold whole.

    Soft reset takes the threshold off the membrane, and several spikes are counted in it: its rounding would add up.
    """
    if not population.counts_thresholds or population.threshold is None:
        return scale
    return max(math.floor(population.threshold * scale), 1) / population.threshold


def _scales(task: _Task, base: float, exponents: list[int]) -> Iterator[float]:
    """Scales to try, the safest first: larger ones clip; where a sum loses bits to a shift, smaller ones may lose
    fewer of them."""
    yield base
    if task.judge is None:
        return
    yield from (trial * base for trial in _SCALE_TRIALS if trial * base < task.ceiling)
    if base < task.ceiling < _SCALE_TRIALS[-1] * base:
        yield task.ceiling
    if base == task.ceiling and min(exponents) < 0:
        yield from (base / trial for trial in _SCALE_TRIALS)


def _mantissa(quantized: Quantized) -> int:
    return max(int(np.abs(s.operator.weight).max(initial=0)) for s in quantized.synapses)


def _filling_exponent(peak: float, operator: Operator) -> int:
    """The smallest exponent at which a weight of `peak` chip units has an 8-bit mantissa."""
    needed = math.ceil(math.log2(max(peak, _FINEST) / WEIGHT_MANTISSA_MAX) - 1e-9)
    # A sum over several delays cannot be shifted as one.
    lowest = 0 if operator.delays is not None else WEIGHT_EXPONENT_MIN
    return max(lowest, min(needed, WEIGHT_EXPONENT_MAX))


def _is_sequential(net: FloatNet) -> bool:
    """Whether stock netx could hold the network: one input, and each population, of stock neurons, fed by the one
    before.
    """
    if not all(p.stock and p.decay_u.size == p.decay_v.size == 1 for p in net.populations):
        return False
    if any(isinstance(s.operator, Sparse) for s in net.synapses):
        return False
    chain = [port.name for port in net.inputs] + [p.name for p in net.populations]
    return len(net.inputs) == 1 and [(s.source, s.target) for s in net.synapses] == list(pairwise(chain))


def _rounded(
    population: FloatPopulation,
    synapses: tuple[FloatSynapse, ...],
    weights: list[FloatArray],
    exponents: list[int],
    scale: float,
) -> list[Quantized]:
    """The population at `scale`, once for each threshold worth trying."""
    limit = WEIGHT_MANTISSA_MAX
    wanted = [np.rint(w * scale / 2.0**e) for w, e in zip(weights, exponents, strict=True)]
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
    bias = np.clip(np.rint(population.bias * scale), -BIAS_MANTISSA_MAX, BIAS_MANTISSA_MAX).astype(np.int32)
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
        for vth in _thresholds(population, scale)
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


def _judged(candidates: list[Quantized], task: _Task) -> list[Quantized]:
    """`candidates`, which differ in nothing but the threshold, each with its error on the float model's activity."""
    if task.judge is None:
        return candidates
    verdicts = task.judge.verdicts([c.population for c in candidates], candidates[0].synapses)
    return [replace(candidate, **vars(verdict)) for candidate, verdict in zip(candidates, verdicts, strict=True)]
