"""Published energy of one operation in each technology, with its source and how far it can be trusted.

A technology says for every operation either which price it is charged to or why it is not charged.
An operation that is charged to a price nobody has published makes a total None: never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from snnergy.artefacts.errors import UserError
from snnergy.energy.operations import Operation

Grade = Literal["published estimate", "pre-silicon estimate", "unpublished"]

_HOROWITZ = "Horowitz, Computing's energy problem, ISSCC 2014, figure 1.1.9, 45 nm at 0.9 V"
_DAVIES = "Davies et al., Loihi, IEEE Micro 38(1) 2018, table 2"
_LOIHI2 = "no per-operation energy has been published for Loihi 2"


@dataclass(frozen=True)
class Price:
    """Energy of one operation in picojoules, None where nobody has published it."""

    term: str
    pj: float | None
    source: str
    grade: Grade


@dataclass(frozen=True)
class Technology:
    """A price list and how the ledger is charged to it.

    charges: operation → term of a price. omitted: operation → why it is not charged.
    """

    name: str
    title: str
    prices: tuple[Price, ...]
    charges: Mapping[Operation, str]
    omitted: Mapping[Operation, str]

    def price(self, operation: Operation) -> Price | None:
        """The price that an operation is charged to, None if it is not charged."""
        term = self.charges.get(operation)
        return None if term is None else next(price for price in self.prices if price.term == term)


_ARITHMETIC_CHARGES: dict[Operation, str] = {
    "ac": "add",
    "ac_weighted": "add",
    "mac_dense": "multiply-add",
    "neuron_update": "add",
    "leak": "multiply-add",
    "bias_add": "add",
}
_ARITHMETIC_OMITTED: dict[Operation, str] = {
    "graded_events": "the same synapses as the weighted accumulates",
    "mac_effective": "a dense multiplier does not skip zeros",
    "spike": "a price list of arithmetic holds no data movement",
}
_CHIP_CHARGES: dict[Operation, str] = {
    "ac": "synaptic operation",
    "mac_effective": "graded synaptic operation",
    "neuron_update": "neuron update, active",
    "spike": "spike within a tile",
}
_INSIDE_UPDATE = "part of the neuron update"


def _arithmetic(precision: str, multiply_pj: float, add_pj: float, formula: str) -> Technology:
    return Technology(
        name=f"45nm-{precision}",
        title=f"45 nm CMOS, {precision} arithmetic",
        prices=(
            Price("multiply-add", multiply_pj, f"{_HOROWITZ} ({formula})", "published estimate"),
            Price("add", add_pj, _HOROWITZ, "published estimate"),
        ),
        charges=_ARITHMETIC_CHARGES,
        omitted=_ARITHMETIC_OMITTED,
    )


_LOIHI1 = Technology(
    name="loihi1",
    title="Intel Loihi 1, 14 nm",
    prices=(
        Price("synaptic operation", 23.6, f"{_DAVIES}, minimum", "pre-silicon estimate"),
        Price("graded synaptic operation", None, "Loihi 1 sends spikes without a payload", "unpublished"),
        Price("neuron update, active", 81.0, _DAVIES, "pre-silicon estimate"),
        Price("neuron update, inactive", 52.0, _DAVIES, "pre-silicon estimate"),
        Price("spike within a tile", 1.7, _DAVIES, "pre-silicon estimate"),
        Price("spike hop, east-west", 3.0, _DAVIES, "pre-silicon estimate"),
        Price("spike hop, north-south", 4.0, _DAVIES, "pre-silicon estimate"),
    ),
    charges=_CHIP_CHARGES | {"ac_weighted": "synaptic operation"},
    omitted={
        "graded_events": "Loihi 1 repeats a spike instead, see the weighted accumulates",
        "mac_dense": "the chip visits the synapses of events only",
        "leak": _INSIDE_UPDATE,
        "bias_add": _INSIDE_UPDATE,
    },
)

_LOIHI2_TECHNOLOGY = Technology(
    name="loihi2",
    title="Intel Loihi 2",
    prices=tuple(Price(term, None, _LOIHI2, "unpublished") for term in dict.fromkeys(_CHIP_CHARGES.values())),
    charges=_CHIP_CHARGES | {"graded_events": "graded synaptic operation"},
    omitted={
        "ac_weighted": "Loihi 2 sends the integer as one graded event",
        "mac_dense": "the chip visits the synapses of events only",
        "leak": _INSIDE_UPDATE,
        "bias_add": _INSIDE_UPDATE,
    },
)

FP32 = _arithmetic("fp32", 4.6, 0.9, "multiply 3.7 + add 0.9")
FP16 = _arithmetic("fp16", 1.5, 0.4, "multiply 1.1 + add 0.4")
INT8 = _arithmetic("int8", 0.23, 0.03, "multiply 0.2 + add 0.03")

TechnologyName = Literal["45nm-fp32", "45nm-fp16", "45nm-int8", "loihi1", "loihi2"]  # what the command line offers
TECHNOLOGIES: Mapping[str, Technology] = {
    technology.name: technology for technology in (FP32, FP16, INT8, _LOIHI1, _LOIHI2_TECHNOLOGY)
}


def technology_named(name: str) -> Technology:
    """The technology of that name.

    Raises:
        UserError: there is no such technology.
    """
    if name not in TECHNOLOGIES:
        raise UserError(f"technology {name!r} is not known; choose one of {', '.join(TECHNOLOGIES)}")
    return TECHNOLOGIES[name]
