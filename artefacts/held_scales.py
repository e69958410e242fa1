"""How each population of a network was rounded while it was fine-tuned: what compiling the network holds to.

A checkpoint carries it, and the graph that is exported from it: in the metadata of the graph `held_bits`, in those
of each neuron `held_scale`, `held_threshold` and `held_exponents`, the last as whole numbers with blanks between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnergy.artefacts.errors import UserError

# Widths of a weight that are offered; a narrow one has the upper bits of a chip's 8, the others are 0.
WEIGHT_BITS = (8, 6, 4)
BITS = "held_bits"
SCALE, THRESHOLD, EXPONENTS = "held_scale", "held_threshold", "held_exponents"


def require_weight_bits(bits: int) -> None:
    """Raise `UserError` for a width that no weight has here."""
    if bits not in WEIGHT_BITS:
        raise UserError(f"bits = {bits}: weights have {', '.join(map(str, WEIGHT_BITS))} bits; take one of these")


@dataclass(frozen=True)
class HeldScale:
    """Of one population.

    scale: chip units for one model unit. threshold: mantissa. exponents: of its synapses, in the order in which the
    graph leads to it.
    """

    scale: float
    threshold: int
    exponents: tuple[int, ...]

    def metadata(self) -> dict[str, str | int | float]:
        """What the neuron's node carries."""
        return {SCALE: self.scale, THRESHOLD: self.threshold, EXPONENTS: " ".join(map(str, self.exponents))}


@dataclass(frozen=True)
class HeldScales:
    """Of a network. bits: width of its weights. populations: by name."""

    bits: int
    populations: Mapping[str, HeldScale]
