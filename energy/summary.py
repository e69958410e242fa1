"""The energy report as numbers: one recorded run, counted, priced and set beside its counterparts.

`Summary` is what every rendering (page, terminal, JSON, CSV) reads; none of them computes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from snnergy.artefacts.activity import Activity
from snnergy.artefacts.display import listed
from snnergy.energy.bill import Bill, FloatArray, charge_ledger
from snnergy.energy.counterparts import Counterpart, break_even_rate, counterparts, spike_rate
from snnergy.energy.estimate import Estimate, estimate
from snnergy.energy.ledger import Ledger, Place, count
from snnergy.energy.operations import KIND, Operation
from snnergy.energy.paper_formula import PaperFormula, paper_formula
from snnergy.energy.prices import TECHNOLOGIES, Technology, technology_named
from snnergy.energy.rates import NodeRate, RateTable, node_rates, rate_table, stage_title

ESTIMATES_ONLY = (
    "These figures are estimates: exact counts of operations times published energies of single operations. They hold "
    "no static power, no memory access and no data movement beyond what the price list names, which dominate on real "
    "hardware. They rank designs; they do not replace a measurement."
)

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class BreakEven:
    """Spike rate at which the spiking network costs as much as a counterpart that makes so many passes.

    rate: with the technology of the report. rate_same_arithmetic: with the spiking network in the counterpart's own
    arithmetic. Both as `snnergy.energy.counterparts.break_even_rate` defines them.
    """

    against: str
    passes: int
    counterpart_pj: float
    rate: float | None
    rate_same_arithmetic: float | None


@dataclass(frozen=True)
class Part:
    """A part of the network: its counts for the mean sample, and its energy where every price is known.

    by_operation_pj: energy for the mean sample of each operation that has a price.
    """

    counts: Mapping[Operation, float]
    energy_pj: Estimate | None
    by_operation_pj: Mapping[Operation, float]
    unpriced: tuple[Operation, ...]

    def group_pj(self, group: str) -> float:
        """Energy of the priced operations of one group: synapse, neuron or traffic."""
        return sum(pj for operation, pj in self.by_operation_pj.items() if KIND[operation].group == group)


@dataclass(frozen=True, eq=False)
class Summary:
    """Energy of one inference, in picojoules, as means over the recorded samples.

    total, total_nonzero: with synapses of weight zero counted, and skipped.
    encoder_pj, encoder_once_pj: real-valued inputs into their first layers, at every step as recorded, and once.
    by_technology: the same run under every price list.
    """

    activity: Activity
    ledger: Ledger
    technology: Technology
    per_sample_pj: FloatArray | None
    total: Part
    total_nonzero: Part
    encoder_pj: float | None
    encoder_once_pj: float | None
    ann: Counterpart
    quantized_ann: Counterpart
    spike_rate: float | None
    break_even: tuple[BreakEven, ...]
    paper: PaperFormula
    rates: tuple[NodeRate, ...]
    rate_table: RateTable
    by_technology: Mapping[str, Part]
    notes: tuple[str, ...]

    @property
    def energy_snn_pj(self) -> float | None:
        """Mean energy of one sample, None if a price is missing."""
        return None if self.total.energy_pj is None else self.total.energy_pj.mean

    @property
    def energy_ann_pj(self) -> float:
        """The fp32 ANN of the same shape, all its passes."""
        return self.ann.energy_pj

    @property
    def energy_quantized_ann_pj(self) -> float:
        """The ceil(log2(T + 1))-bit ANN of the same shape, all its passes."""
        return self.quantized_ann.energy_pj

    @property
    def ratio_ann(self) -> float | None:
        """How many times the energy of the spiking network the fp32 ANN takes."""
        return _ratio(self.energy_ann_pj, self.energy_snn_pj)

    @property
    def ratio_quantized_ann(self) -> float | None:
        """How many times the energy of the spiking network the quantized ANN takes."""
        return _ratio(self.energy_quantized_ann_pj, self.energy_snn_pj)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """What happened and has no published price, a line for each operation with the reason."""
        return tuple(
            f"{KIND[operation].title}: {price.term} on {self.technology.title} ({price.source})"
            for operation in self.total.unpriced
            if (price := self.technology.price(operation)) is not None
        )

    def in_arithmetic_of(self, network: Counterpart) -> float | None:
        """Energy of the spiking network at the prices of a counterpart."""
        part = self.by_technology[network.technology.name]
        return None if part.energy_pj is None else part.energy_pj.mean

    @property
    def accuracy(self) -> float | None:
        """Fraction of the samples predicted correctly, None without labels or predictions."""
        return self.activity.accuracy

    @property
    def multiplying_edges(self) -> tuple[Place, ...]:
        """The edges that carry real values, and so need multiplications."""
        return tuple(entry.place for entry in self.ledger.entries if entry.operation == "mac_dense")

    def parts(self, key: Callable[[Place], _Key]) -> dict[_Key, Part]:
        """The parts of the network that are charged anything, by a property of the place, such as its stage."""
        parts = {value: _part(ledger, self.technology) for value, ledger in self.ledger.split(key).items()}
        return {value: part for value, part in parts.items() if part.counts.keys() & self.technology.charges.keys()}

    def stages(self) -> dict[int | None, Part]:
        """The network by stage, in order, what belongs to none at the end."""
        parts = self.parts(lambda place: place.stage)
        return {stage: parts[stage] for stage in sorted(parts, key=lambda stage: (stage is None, stage))}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was assumed of the network and found in its run, and casts doubt on every figure."""
        return self.activity.warnings

    @property
    def division(self) -> Literal["stage", "node"]:
        """What the network is divided by: its stages, or its nodes where no node has a stage."""
        return "node" if all(node.labels.stage is None for node in self.activity.nodes) else "stage"

    def region(self, place: Place) -> str:
        """The heading of the stage or node that a place belongs to; an operator belongs to the node that it drives."""
        return place.target if self.division == "node" else stage_title(place.stage)

    def in_order(self, found: Mapping[str, _Value]) -> dict[str, _Value]:
        """What is known by region, in the order of the signal."""
        if self.division == "node":
            order = self.activity.graph_order
        else:
            stages = {node.labels.stage for node in self.activity.nodes}
            order = tuple(stage_title(s) for s in sorted(stages, key=lambda stage: (stage is None, stage)))
        return {name: found[name] for name in order if name in found}

    def regions(self) -> dict[str, Part]:
        """The parts of the network that are charged anything, by stage or by node, in the order of the signal."""
        return self.in_order(self.parts(self.region))


def summarise(run: Activity, *, technology: str = "45nm-fp32") -> Summary:
    """Count, price and compare a recorded run.

    Args:
        run: what was recorded.
        technology: a key of `snnergy.energy.prices.TECHNOLOGIES`.

    Raises:
        UserError: no such technology, or recorded values that their class rules out.
        LedgerMismatch: the counts disagree with what the simulator delivered.
    """
    chosen = technology_named(technology)
    ledger = count(run)
    ann, quantized = counterparts(run, static_input=ledger.static_input)
    encoder = _encoder_pj(run, ledger, chosen)
    return Summary(
        activity=run,
        ledger=ledger,
        technology=chosen,
        per_sample_pj=charge_ledger(ledger, chosen).total_pj,
        total=_part(ledger, chosen),
        total_nonzero=_part(ledger, chosen, skip_zero_weights=True),
        encoder_pj=encoder,
        encoder_once_pj=None if encoder is None else encoder / run.time_steps,
        ann=ann,
        quantized_ann=quantized,
        spike_rate=spike_rate(run, ledger),
        break_even=_break_even(run, ledger, chosen, (ann, quantized)),
        paper=paper_formula(run, ledger),
        rates=node_rates(run, ledger),
        rate_table=rate_table(run, ledger),
        by_technology={name: _part(ledger, listed) for name, listed in TECHNOLOGIES.items()},
        notes=_notes(run, ledger, chosen),
    )


def _part(ledger: Ledger, prices: Technology, *, skip_zero_weights: bool = False) -> Part:
    bill: Bill = charge_ledger(ledger, prices, skip_zero_weights=skip_zero_weights)
    return Part(
        counts={
            operation: float(ledger.per_sample(operation, skip_zero_weights=skip_zero_weights).mean())
            for operation in ledger.operations()
        },
        energy_pj=None if bill.total_pj is None else estimate(bill.total_pj),
        by_operation_pj={operation: float(pj.mean()) for operation, pj in bill.by_operation_pj.items()},
        unpriced=bill.unpriced,
    )


def _encoder_pj(run: Activity, ledger: Ledger, prices: Technology) -> float | None:
    """Energy of the edges out of real-valued inputs, every time step charged."""
    encoders = {node.name for node in run.nodes if node.kind == "input" and node.value_class == "real"}
    part = ledger.where(lambda entry: entry.place.kind == "edge" and entry.place.source in encoders)
    total = charge_ledger(part, prices).total_pj
    return None if total is None else float(np.mean(total))


def _break_even(
    run: Activity, ledger: Ledger, prices: Technology, networks: tuple[Counterpart, ...]
) -> tuple[BreakEven, ...]:
    rows = [(network, passes) for network in networks for passes in sorted({network.passes, 1, run.time_steps})]
    return tuple(
        BreakEven(
            against=network.title,
            passes=passes,
            counterpart_pj=passes * network.one_pass_pj,
            rate=break_even_rate(run, ledger, prices, passes * network.one_pass_pj),
            rate_same_arithmetic=break_even_rate(run, ledger, network.technology, passes * network.one_pass_pj),
        )
        for network, passes in rows
    )


def _notes(run: Activity, ledger: Ledger, prices: Technology) -> tuple[str, ...]:
    """What a reader must know to judge the figures of this run."""
    counted = sum(edge.counted for edge in run.edges)
    notes = [
        f"On {counted} of {len(run.edges)} edges, at every sample and step, the count equals what the simulator "
        "delivered and counted by itself" + ("." if counted == len(run.edges) else "; on the others it kept none.")
    ]
    if ledger.static_input and run.time_steps > 1:
        notes.append(
            f"The input repeats one frame over all {run.time_steps} steps, so an ANN needs a single pass. The spiking "
            "network is charged for its first layer at every step, as it ran; the figure for one step stands beside it."
        )
    analog = [node.name for node in run.nodes if node.kind == "neuron" and node.value_class == "real"]
    if analog:
        notes.append(f"Not spike-driven throughout: real values leave {listed(analog)}; the next layers multiply.")
    if any(node.biased is None for node in run.nodes if node.kind != "input"):
        notes.append("The file does not say which neurons have a bias: all are charged one, in the ANNs as well.")
    if "neuron update, active" in prices.charges.values():
        notes.append("Every neuron update is charged as active, the dearer of the two kinds: an upper bound.")
    else:
        notes.append("Neuron updates are not split into driven and idle ones: the arithmetic is the same for both.")
    notes += [
        f"Not charged: {KIND[operation].title} ({reason})."
        for operation, reason in prices.omitted.items()
        if operation in ledger.operations()
    ]
    return tuple(notes)


def _ratio(numerator: float, denominator: float | None) -> float | None:
    return numerator / denominator if denominator else None
