"""Firing rates: of each population, and pooled by role (rows) and place (columns).

rate = events / (neurons · T), per sample; where several populations share a role and a place, over all their neurons.
The rows Q, K, Attn, MLP 1, MLP 2 come first and the columns run stage by stage, block by block, which is the layout
of table 4 of arXiv 2602.00701.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from snnergy.artefacts.activity import Activity, Node
from snnergy.artefacts.types import Counts
from snnergy.energy.estimate import Estimate, estimate
from snnergy.energy.ledger import Ledger

_Key = TypeVar("_Key", bound=Hashable)

ROLE_TITLES = {
    "q": "Q",
    "k": "K",
    "v": "V",
    "mask": "Mask",
    "attn": "Attn",
    "mlp1": "MLP 1",
    "mlp2": "MLP 2",
}


@dataclass(frozen=True)
class NodeRate:
    """Rate of one population or input: the fraction of its neurons that send a value other than zero in a step."""

    node: Node
    rate: Estimate


@dataclass(frozen=True, order=True)
class Column:
    """Where in the model; -1 and the empty string where the graph does not say."""

    stage: int
    block: int
    modality: str

    @property
    def title(self) -> str:
        """The parts that the graph says, for a heading."""
        parts = [
            f"stage {self.stage}" if self.stage >= 0 else "",
            f"block {self.block}" if self.block >= 0 else "",
            self.modality,
        ]
        return " · ".join(part for part in parts if part) or "unplaced"


@dataclass(frozen=True)
class RateTable:
    """cells: (role, column) → rate over samples; a role that a place lacks has no cell."""

    roles: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: dict[tuple[str, Column], Estimate]


def node_rates(activity: Activity, ledger: Ledger) -> tuple[NodeRate, ...]:
    """Rate of every node that sends values."""
    events = _events(ledger)
    senders = [activity.node(name) for name in activity.graph_order if activity.node(name).kind != "readout"]
    return tuple(NodeRate(node, _rate([node], events, activity.time_steps)) for node in senders)


def rate_table(activity: Activity, ledger: Ledger) -> RateTable:
    """Rates of the populations that have a role, laid out as a table."""
    events = _events(ledger)
    cells: dict[tuple[str, Column], list[Node]] = defaultdict(list)
    for node in activity.nodes:
        if node.kind == "neuron" and node.labels.role:
            cells[(node.labels.role, column(node))].append(node)
    roles = sorted({role for role, _ in cells}, key=_paper_order)
    return RateTable(
        roles=tuple(roles),
        columns=tuple(sorted({place for _, place in cells})),
        cells={key: _rate(nodes, events, activity.time_steps) for key, nodes in cells.items()},
    )


def rates_by_role_and_stage(activity: Activity, ledger: Ledger) -> dict[tuple[str, int], Estimate]:
    """Rates pooled over blocks and modalities, keyed by role and stage (-1 where the graph does not say)."""
    events = _events(ledger)
    groups: dict[tuple[str, int], list[Node]] = defaultdict(list)
    for node in activity.nodes:
        if node.kind == "neuron" and node.labels.role:
            groups[(node.labels.role, -1 if node.labels.stage is None else node.labels.stage)].append(node)
    ordered = sorted(groups, key=lambda key: (_paper_order(key[0]), key[1]))
    return {key: _rate(groups[key], events, activity.time_steps) for key in ordered}


def column(node: Node) -> Column:
    """The column of the table that a node belongs to."""
    stage, block = (-1 if number is None else number for number in (node.labels.stage, node.labels.block))
    return Column(stage, block, node.labels.modality)


def role_title(role: str) -> str:
    """A role as a heading."""
    return ROLE_TITLES.get(role, role)


def stage_title(stage: int | None) -> str:
    """A stage as a heading."""
    return "unplaced" if stage is None or stage < 0 else f"stage {stage}"


def _paper_order(role: str) -> tuple[int, str]:
    order = list(ROLE_TITLES)
    return (order.index(role) if role in order else len(order), role)


def _events(ledger: Ledger) -> dict[str, Counts]:
    """Events of each node, `(samples, T)`."""
    return {entry.place.name: entry.all for entry in ledger.entries if entry.operation == "spike"}


def _rate(nodes: Iterable[Node], events: dict[str, Counts], time_steps: int) -> Estimate:
    nodes = list(nodes)
    per_sample = np.sum([events[node.name].sum(axis=1) for node in nodes], axis=0)
    return estimate(per_sample / (sum(node.size for node in nodes) * time_steps))
