"""The one step from model units to chip integers: chooses a scale for each population and rounds to it.

`rounding.py` says what a population with scale S holds. S is as large as bias, threshold and the calibrated range of u
and v allow, up to the point where a finer grid no longer matters; each synapse then takes the exponent that fills its 8
bits. So a population can mix strong and weak synapses (a graded input counts in steps of 1/255, a spike in steps of 1).
Calibration then tries larger scales, which clip a few outlying weights to resolve the others better, and keeps whatever
reproduces the float spikes best.

A sequential network can load in stock netx, which has no exponents: there e is 0, unless that costs accuracy: weights
far below the threshold, or below the bias, would round to nothing where these fill their registers.

A network that was fine-tuned for its rounding says what each population was rounded to, and nothing is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.held_scales import HeldScale, HeldScales
from snnergy.neuromorphic.ir import FloatNet, FloatSynapse, InputPort, QuantNet, Sparse
from snnergy.neuromorphic.limits import (
    BIAS_MANTISSA_MAX,
    THRESHOLD_MAX,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
    WEIGHT_MANTISSA_MAX,
)
from snnergy.neuromorphic.passes.calibration import Calibration
from snnergy.neuromorphic.passes.conditions import BALANCED, FITTING, SORTED, SPIKES_ONLY
from snnergy.neuromorphic.passes.contest import Contest
from snnergy.neuromorphic.passes.infra import Condition, Pass
from snnergy.neuromorphic.passes.register_ceiling import Peaks, register_ceiling
from snnergy.neuromorphic.passes.round_decays import ON_GRID
from snnergy.neuromorphic.passes.rounding import Quantized, Setting, Task, rounded, settings

# A sequential network keeps the exponent 0, which stock netx can read, unless others at least halve the error.
_STOCK_GAIN = 0.5
# Without calibration: unless its largest mantissa is below this. A negative exponent costs up to 1 of each sum.
_COARSE = 8
# Nor are several spikes a step more than these.
_UNCALIBRATED_SPIKES = 8.0

# Called with the number of populations that were rounded since the last call, and of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class QuantizeResult:
    """The integer network and, for each population, how it came about. bits: that a weight has."""

    net: QuantNet
    populations: dict[str, Quantized]
    bits: int = 8


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
    bits: that a weight has, one of `WEIGHT_BITS`.
    held: what populations are rounded to, of which then nothing is chosen.
    progress: called with the number of populations that were rounded since the last call, and of all.
    """

    calibration: Calibration | None = None
    bits: int = 8
    held: HeldScales = field(default_factory=lambda: HeldScales(8, {}))
    progress: Progress | None = None
    name = "quantize"
    requires = (SORTED, FITTING, SPIKES_ONLY, BALANCED, ON_GRID)
    ensures = (
        Condition[QuantizeResult]("weights, exponents, biases and thresholds fit their registers", _wide_numbers),
        *(_of_net(condition) for condition in (SORTED, FITTING, BALANCED)),
    )

    def rewrite(self, ir: FloatNet) -> QuantizeResult:
        """The integer network of `ir`, with an account of each population.

        Raises:
            UserError: an analog input has no declared scale and there is no calibration data to take it from; or what a
                population is to be rounded to was not made for it.
        """
        ports = tuple(_port(port, self.calibration) for port in ir.inputs)
        payload = {port.name: float((1 << port.bits) - 1) for port in ports}
        payload |= {p.name: _UNCALIBRATED_SPIKES for p in ir.populations if p.spikes == "many"}
        stock = _is_sequential(ir)
        tasks = tasks_of(replace(ir, inputs=ports), self.bits)
        held = self._settings(tasks)
        searched = [task for name, task in tasks.items() if name not in held]
        told = self.progress or (lambda finished, of: None)
        told(0, len(tasks))
        peaks = {} if self.calibration is None else _peaks(searched, self.calibration)
        done: dict[str, Quantized] = {}
        for name, task in tasks.items():
            if name in held:
                done[name] = _as_held(task, held[name], self.calibration)
            else:
                done[name] = _quantize_population(task, peaks.get(name), payload, self.calibration, stock)
            told(1, len(tasks))
        quantized = QuantNet(
            ports,
            tuple(q.population for q in done.values()),
            tuple(s for q in done.values() for s in q.synapses),
            ir.outputs,
        )
        return QuantizeResult(quantized, done, self.bits)

    def _settings(self, tasks: dict[str, Task]) -> dict[str, Setting]:
        """Of the populations that are held to one."""
        if self.held.bits != self.bits:
            return {}
        found = {name: scale for name, scale in self.held.populations.items() if name in tasks and tasks[name].synapses}
        if violations := [line for name, scale in found.items() for line in _misfits(tasks[name], scale)]:
            raise UserError(violations)
        return {name: Setting(held.scale, held.exponents, held.threshold) for name, held in found.items()}


def tasks_of(net: FloatNet, bits: int = 8) -> dict[str, Task]:
    """Every population with all that leads to it, as what is to be rounded; each input has its scale."""
    incoming: dict[str, list[FloatSynapse]] = {population.name: [] for population in net.populations}
    for synapse in net.synapses:
        incoming[synapse.target].append(synapse)
    return {p.name: Task.of(p, tuple(incoming[p.name]), net.inputs, bits) for p in net.populations}


def _misfits(task: Task, held: HeldScale) -> Iterator[str]:
    """Why a population cannot be rounded to what it is held to."""
    name, advice = task.population.name, "fine-tune the network again, or give it other bits"
    if len(held.exponents) != len(task.synapses):
        yield (
            f"{name}: {len(task.synapses)} synapses lead to it, and {len(held.exponents)} exponents are held; {advice}"
        )
    elif any(e < 0 for e, s in zip(held.exponents, task.synapses, strict=True) if s.operator.delays is not None):
        yield f"{name}: an exponent below 0 is held for delays of single synapses; {advice}"


def _as_held(task: Task, setting: Setting, calibration: Calibration | None) -> Quantized:
    if calibration is None:
        return rounded(task, setting)[0]
    return Contest(task, calibration, [[setting]]).winners()[0]


def _port(port: InputPort, calibration: Calibration | None) -> InputPort:
    if port.value_class == "binary" or port.scale > 0:
        return port
    if calibration is None:
        raise UserError(
            f"input {port.name!r}: analog and without a declared scale; give calibration samples that are typical"
        )
    low, high = calibration.extents[port.name]
    signed = low < 0
    steps = (1 << (port.bits - 1)) - 1 if signed else (1 << port.bits) - 1
    return replace(port, scale=max(high, -low) / steps or 1.0, signed=signed)


def _peaks(tasks: Sequence[Task], calibration: Calibration) -> dict[str, Peaks]:
    """Of every population that anything leads to."""
    found = {task.population.name: Peaks() for task in tasks if task.synapses}
    for activity in calibration.batches():
        for task in tasks:
            name, synapses = task.population.name, task.synapses
            if synapses:
                sources = task.sent([activity[s.source] for s in synapses])
                found[name] = found[name].and_those_of(task.population, synapses, task.weights, sources)
    return found


def _quantize_population(
    task: Task, peaks: Peaks | None, payload: dict[str, float], calibration: Calibration | None, stock: bool
) -> Quantized:
    if not task.synapses:  # a source, whose one number is exact
        (only, *_) = rounded(task, Setting(1.0, []))
        return only if calibration is None else replace(only, error=0.0)
    ceiling = register_ceiling(task.population, task.synapses, task.weights, peaks, payload)
    tried = calibration is not None
    free = settings(task, ceiling, own_exponents=True, tried=tried)
    own = settings(task, ceiling, own_exponents=False, tried=tried) if stock else []
    if calibration is None:
        best = rounded(task, (own or free)[0])[0]
        return rounded(task, free[0])[0] if own and _mantissa(best) < _COARSE else best
    best, *other = Contest(task, calibration, [each for each in (own, free) if each]).winners()
    return _preferred(best, *other) if other else best


def _preferred(best: Quantized, free: Quantized) -> Quantized:
    """`best`, which stock netx can read, unless `free` is clearly better."""
    nearer = free.error <= best.error and free.drift < _STOCK_GAIN * best.drift
    return free if free.mute < best.mute or nearer or free.error < _STOCK_GAIN * best.error else best


def _mantissa(quantized: Quantized) -> int:
    return max(int(np.abs(s.operator.weight).max(initial=0)) for s in quantized.synapses)


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
