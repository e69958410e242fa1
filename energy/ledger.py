"""Exact counts of every operation that a recorded run performed, per sample and time step.

For one edge, sample and step:   events = Σ_i [x_i ≠ 0] · fan_i
with x_i the value that source neuron i sent and fan_i the synapses it reaches, borders and strides included.
Each edge must satisfy `events = delivered`, the count that the simulator kept on its own while it ran, if it kept one.

Each count has two columns, because conventions differ on synapses whose weight is zero: `all`, where they
count, and `nonzero`, where they are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from snnergy.artefacts.activity import Activity, Edge, Node, impossible_counts
from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.display import printable
from snnergy.artefacts.errors import CheckFailed, UserError
from snnergy.artefacts.types import Counts, ValueClass
from snnergy.energy.operations import Operation

_Key = TypeVar("_Key")

# More operations in a whole run than int64 can add up, with room for sums of sums.
_MOST = 2.0**62
_COUNTS_SHARE = 0.5  # of the budget of memory


class LedgerMismatch(CheckFailed):
    """The ledger and the simulator's own count of synaptic events disagree."""


@dataclass(frozen=True)
class Place:
    """Where an operation happens. The labels of an edge are those of the population that it drives."""

    kind: Literal["edge", "node"]
    index: int
    name: str
    source: str
    target: str
    role: str
    stage: int | None
    block: int | None
    modality: str
    value_class: ValueClass


@dataclass(frozen=True, eq=False)
class Entry:
    """Counts of one operation at one place, `(samples, T)` each."""

    place: Place
    operation: Operation
    all: Counts
    nonzero: Counts


@dataclass(frozen=True, eq=False)
class Ledger:
    """Every count of a run.

    static_input: whether each input repeats its first frame at every step, in every sample.
    """

    entries: tuple[Entry, ...]
    samples: int
    time_steps: int
    static_input: bool

    def operations(self) -> tuple[Operation, ...]:
        """The operations that occur, in order of appearance."""
        return tuple(dict.fromkeys(entry.operation for entry in self.entries))

    def per_sample(self, operation: Operation, *, skip_zero_weights: bool = False) -> Counts:
        """Count of an operation in each sample, over all places and steps, `(samples,)`."""
        total = np.zeros(self.samples, dtype=np.int64)
        for entry in self.entries:
            if entry.operation == operation:
                total += (entry.nonzero if skip_zero_weights else entry.all).sum(axis=1)
        return total

    def where(self, wanted: Callable[[Entry], bool]) -> Ledger:
        """The part of the ledger that a condition selects."""
        return Ledger(tuple(filter(wanted, self.entries)), self.samples, self.time_steps, self.static_input)

    def split(self, key: Callable[[Place], _Key]) -> dict[_Key, Ledger]:
        """The ledger in parts by a property of the place; every entry is in exactly one part."""
        parts: dict[_Key, list[Entry]] = {}
        for entry in self.entries:
            parts.setdefault(key(entry.place), []).append(entry)
        return {
            value: Ledger(tuple(part), self.samples, self.time_steps, self.static_input)
            for value, part in parts.items()
        }


def count(activity: Activity) -> Ledger:
    """Count every operation of a recorded run.

    Raises:
        UserError: recorded values that their declared class rules out, more operations than can be counted or more
            memory than is allowed, or a damaged file.
        LedgerMismatch: an edge whose count is not what the simulator delivered.
    """
    _refuse_many_counts(activity)
    entries: list[Entry] = []
    impossible: list[str] = []
    mismatches: list[str] = []
    static_input = True
    for node in activity.nodes:
        entries += _neuron_entries(node, activity)
        if node.kind == "readout":
            continue
        sent = activity.sent(node)
        wrong = list(impossible_counts(f"{activity.name}: /nodes/{node.name}", node, sent))
        impossible += wrong
        if wrong:
            continue
        static_input &= node.kind != "input" or sent.static
        entries.append(Entry(_node_place(node), "spike", sent.events[..., 0], sent.events[..., 0]))
        for place, edge in enumerate(activity.outgoing(node.name)):
            columns = slice(1 + 2 * place, 3 + 2 * place)
            synaptic = _Synaptic(sent.events[..., columns], sent.weighted[..., columns])
            if edge.counted:
                mismatches += _mismatches(activity, edge, synaptic.events)
            entries += _synaptic_entries(activity, edge, node, synaptic)
    if impossible:
        raise UserError(impossible)
    if mismatches:
        raise LedgerMismatch("\n".join(map(printable, UserError(mismatches).lines)))
    if sum(float(entry.all.sum(dtype=np.float64)) for entry in entries) >= _MOST:
        raise UserError(f"{activity.name}: more operations than a 64-bit number counts; check values and fan-out")
    return Ledger(tuple(entries), activity.samples, activity.time_steps, static_input)


def _refuse_many_counts(activity: Activity) -> None:
    """Refuse, before anything is read, counts and a fan-out that do not fit into memory."""
    cells, widest = 0, 0
    for node in activity.nodes:
        columns = 1 + 2 * len(activity.outgoing(node.name))
        cells += columns * (1 if node.value_class == "binary" else 2)
        widest = max(widest, 0 if node.kind == "readout" else columns * node.size)
    size = f"{activity.samples} samples and {activity.time_steps} time steps"
    counts = activity.samples * activity.time_steps * cells * np.dtype(np.int64).itemsize
    refuse_excess(f"{activity.name}: to count {size} at {len(activity.nodes)} nodes", counts, _COUNTS_SHARE)
    # As integers, side by side, and as floats.
    refuse_excess(f"{activity.name}: the fan-out of a node", 3 * widest * np.dtype(np.int64).itemsize, _COUNTS_SHARE)


@dataclass(frozen=True, eq=False)
class _Synaptic:
    """Sums over the sources of an edge, `(samples, T, 2)`: all synapses, and those with a weight that is not zero."""

    events: Counts  # Σ [x ≠ 0] · fan
    weighted: Counts  # Σ |x| · fan; the same array where the values are binary


def _synaptic_entries(activity: Activity, edge: Edge, source: Node, sums: _Synaptic) -> Iterator[Entry]:
    place = _edge_place(edge, source, activity.node(edge.target))

    def entry(operation: Operation, counts: Counts) -> Entry:
        return Entry(place, operation, counts[..., 0], counts[..., 1])

    if source.value_class == "binary":
        yield entry("ac", sums.events)
    elif source.value_class == "integer":
        yield entry("ac_weighted", sums.weighted)
        yield entry("graded_events", sums.events)
    else:
        yield entry("mac_dense", np.broadcast_to(np.array([edge.taps, edge.nonzero_taps]), sums.events.shape))
        yield entry("mac_effective", sums.events)


def _neuron_entries(node: Node, activity: Activity) -> Iterator[Entry]:
    if node.kind == "input":
        return
    place = _node_place(node)
    # Where the file does not say which neurons have a bias, charging all of them is the safe side.
    biased = node.size if node.biased is None else node.biased
    neurons: tuple[tuple[Operation, int], ...] = (
        ("neuron_update", node.size),
        ("leak", 0 if node.memoryless else node.size),
        ("bias_add", biased),
    )
    for operation, each_step in neurons:
        if each_step:
            counts = np.broadcast_to(np.int64(each_step), (activity.samples, activity.time_steps))
            yield Entry(place, operation, counts, counts)


def _mismatches(activity: Activity, edge: Edge, events: Counts) -> Iterator[str]:
    delivered = activity.delivered(edge)
    wrong = np.argwhere(events != delivered)
    if wrong.size:
        sample, step, column = wrong[0]
        dataset = ("delivered", "delivered_nonzero")[column]
        yield (
            f"{activity.name}: /edges/{edge.index} ({edge.source} → {edge.target}): sample {sample}, step {step}: "
            f"{events[sample, step, column]} synaptic events follow from the values and the fan-out, but {dataset} is "
            f"{delivered[sample, step, column]} ({len(wrong)} such counts differ); one of the three is wrong"
        )


def _edge_place(edge: Edge, source: Node, target: Node) -> Place:
    return Place(
        kind="edge",
        index=edge.index,
        name=f"{edge.source} → {edge.target}",
        source=edge.source,
        target=edge.target,
        role=target.labels.role,
        stage=target.labels.stage,
        block=target.labels.block,
        modality=target.labels.modality,
        value_class=source.value_class,
    )


def _node_place(node: Node) -> Place:
    return Place(
        kind="node",
        index=-1,
        name=node.name,
        source=node.name,
        target=node.name,
        role=node.labels.role,
        stage=node.labels.stage,
        block=node.labels.block,
        modality=node.labels.modality,
        value_class=node.value_class,
    )
