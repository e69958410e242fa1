"""Holds a network against the neurons that a chip has: Loihi 1 has one kind, Loihi 2 runs what is programmed.

Loihi 1's neuron sends one spike a step, without a payload, and is then cleared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.ir import FloatNet, FloatPopulation
from snnergy.neuromorphic.passes.conditions import FITTING, SORTED, SPIKES_ONLY
from snnergy.neuromorphic.passes.infra import Pass

Chip = Literal["loihi2", "loihi1"]
CHIPS: tuple[Chip, ...] = get_args(Chip)


@dataclass(frozen=True)
class FitChip(Pass[FloatNet, FloatNet]):
    """Refuses what `chip` has no neuron for, or makes Loihi 1's neurons of it where `approximate` allows that."""

    chip: Chip = "loihi2"
    approximate: bool = False
    name = "fit_chip"
    requires = (SORTED, FITTING, SPIKES_ONLY)
    ensures = (SORTED, FITTING, SPIKES_ONLY)

    def rewrite(self, ir: FloatNet) -> FloatNet:
        """`ir`, with stock neurons where they have to be.

        Raises:
            UserError: with every population and input that the chip cannot have.
        """
        if self.chip == "loihi1" and self.approximate:
            ir = replace(ir, populations=tuple(replace(p, reset="hard", spikes="one") for p in ir.populations))
        violations = list(_beyond_loihi1(ir)) if self.chip == "loihi1" else []
        if violations:
            raise UserError(violations)
        return ir


def _beyond_loihi1(net: FloatNet) -> Iterator[str]:
    for population in net.populations:
        if not population.stock:
            yield (
                f"{population.name}: {_program(population)}, which Loihi 1 has not; compile for loihi2, or allow an "
                "approximation, whose error calibration samples show"
            )
    for port in net.inputs:
        if port.value_class != "binary":
            yield (
                f"input {port.name!r}: graded, Loihi 1 has spikes without a payload; compile for loihi2, or encode the "
                "input as spikes"
            )


def _program(population: FloatPopulation) -> str:
    found = [] if population.reset == "hard" else [f"{population.reset} reset"]
    found += ["several spikes a step"] if population.spikes == "many" else []
    return " and ".join(found)
