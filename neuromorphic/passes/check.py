"""Holds a finished integer network against the chip's registers; every violation at once.

What passes is loaded as it is: no number in it would be clipped, truncated or wrapped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic import limits
from snnergy.neuromorphic.ir import QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.passes.infra import Condition, Pass


def _violations(net: QuantNet) -> list[str]:
    found = [v for population in net.populations for v in _population(population)]
    found += [v for synapse in net.synapses for v in _synapse(synapse)]
    return found + _wiring(net)


@dataclass(frozen=True)
class Check(Pass[QuantNet, QuantNet]):
    """Lets a network through that fits. It takes any, for a file can hold anything."""

    name = "check"
    requires = ()
    ensures = (Condition("every number fits its register", _violations),)

    def rewrite(self, ir: QuantNet) -> QuantNet:
        """`ir` itself.

        Raises:
            UserError: with every register that it exceeds and every loose end.
        """
        violations = _violations(ir)
        if violations:
            raise UserError(violations)
        return ir


def _outside(what: str, value: int, low: int, high: int, advice: str) -> list[str]:
    return [] if low <= value <= high else [f"{what} is {value}, the chip takes {low}..{high}; {advice}"]


def _population(p: QuantPopulation) -> list[str]:
    least = int(p.counts_thresholds)  # of what is taken off, and divided by
    found = _outside(f"{p.name}: threshold", p.vth, least, limits.THRESHOLD_MAX, "scale the layer down")
    for kind, decays in (("current", p.du), ("membrane", p.dv)):
        for value in {int(decays.min(initial=0)), int(decays.max(initial=0))}:
            found += _outside(f"{p.name}: {kind} decay", value, 0, limits.DECAY_ONE, "use a longer time constant")
        found += _one_or_each(f"{p.name}: {kind} decay", decays, p)
    peak = int(np.abs(p.bias.astype(np.int64)).max(initial=0))
    found += _outside(f"{p.name}: bias", peak, 0, limits.BIAS_MANTISSA_MAX + 1, "scale the layer down")
    return found + _one_or_each(f"{p.name}: bias", p.bias, p)


def _one_or_each(what: str, values: IntArray, p: QuantPopulation) -> list[str]:
    found = f"{what} has {values.size} values for {p.size} neurons; give one or one each"
    return [] if values.size in (1, p.size) else [found]


def _synapse(s: QuantSynapse) -> list[str]:
    name = f"{s.source} → {s.target}"
    low, high = limits.STOCK_WEIGHT_RANGE
    smallest, largest = int(s.operator.weight.min(initial=0)), int(s.operator.weight.max(initial=0))
    found = []
    if smallest < low or largest > high:
        found.append(f"{name}: weights {smallest}..{largest} exceed {low}..{high}; quantize to 8 bits")
    low, high = limits.WEIGHT_EXPONENT_MIN, limits.WEIGHT_EXPONENT_MAX
    found += _outside(f"{name}: weight exponent", s.exponent, low, high, "scale the layer")
    longest = s.delay + s.balance
    if s.operator.delays is not None:
        longest += int(s.operator.delays.max(initial=0))
        if s.exponent < 0:
            found.append(f"{name}: weight exponent {s.exponent} with delays of single synapses; use 0 or more")
    found += _outside(f"{name}: delay", longest, 0, limits.DELAY_MAX, "shorten the longer branch of the pipeline")
    return found


def _wiring(net: QuantNet) -> list[str]:
    sizes = {port.name: math.prod(port.shape) for port in net.inputs} | {p.name: p.size for p in net.populations}
    found = []
    for s in net.synapses:
        for end, shape, side in (
            (s.source, s.operator.input_shape, "takes"),
            (s.target, s.operator.output_shape, "feeds"),
        ):
            if end not in sizes:
                found.append(f"{s.source} → {s.target}: there is no population or input {end!r}")
            elif sizes[end] != math.prod(shape):
                found.append(f"{s.source} → {s.target}: {side} {shape}, but {end} has {sizes[end]} neurons")
    found += [f"output {name!r} is not a population" for name in net.outputs if name not in sizes]
    return found
