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
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.activity import Activity, Counts, Edge, Node
from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.display import printable
from snnergy.artefacts.errors import CheckFailed, UserError
from snnergy.artefacts.types import ValueClass
from snnergy.energy.operations import Operation

_Key = TypeVar("_Key")

# Sums of integers below this are exact in float64, whose matrix product is far faster than that of integers.
_EXACT = 2.0**53
# More operations in a whole run than int64 can add up, with room for sums of sums.
_MOST = 2.0**62
_VALUES_AT_ONCE = 4_000_000  # turned into float64: 32 MB
_COUNTS_SHARE = 0.5  # of the budget of memory
_INT32 = np.iinfo(np.int32)


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
        sent = _Sent(node, activity)
        impossible += sent.impossible
        if sent.impossible:
            continue
        static_input &= node.kind != "input" or sent.static
        entries.append(Entry(_node_place(node), "spike", sent.events, sent.events))
        for edge, synaptic in zip(sent.edges, sent.synaptic, strict=True):
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


class _Sent:
    """What one node sent: events `(samples, T)`, and their sums over the fan-out of each outgoing edge."""

    def __init__(self, node: Node, activity: Activity) -> None:
        samples, steps = activity.samples, activity.time_steps
        self.edges = activity.outgoing(node.name)
        fans = [activity.fan_out(edge) for edge in self.edges]
        fan = np.concatenate([np.ones((node.size, 1), np.int64), *fans], axis=1).astype(np.float64)
        events = np.empty((samples, steps, fan.shape[1]), dtype=np.int64)
        weighted = events if node.value_class == "binary" else np.empty_like(events)
        self.static = True
        self.impossible: list[str] = []
        for chosen, values in activity.stream(node):
            self.impossible = list(_impossible(activity, node, values))
            if self.impossible:
                return
            self.static = self.static and bool((values == values[:, :1]).all())
            events[chosen] = _exact_product(values, fan, np.bool_)
            if weighted is not events:
                weighted[chosen] = _exact_product(values, fan, np.float64)
        self.events = events[..., 0]
        self.synaptic = [
            _Synaptic(events[..., first : first + 2], weighted[..., first : first + 2])
            for first in range(1, fan.shape[1], 2)
        ]
        if max(events.max(initial=0), weighted.max(initial=0)) >= _EXACT:
            self.impossible = [
                f"{activity.name}: /nodes/{node.name}: more operations in one step than can be counted exactly, 2⁵³; "
                "check its values and the fan-out of its edges"
            ]


def _impossible(activity: Activity, node: Node, values: npt.NDArray[np.integer[Any]]) -> Iterator[str]:
    """The least and the greatest value, where the node's class rules them out."""
    low, high, meaning = int(_INT32.min), int(_INT32.max), "sends integers of 32 bits; scale its values"
    if node.value_class == "binary":
        low, high, meaning = 0, 1, "sends 0 and 1; declare it 'integer' or 'real', or fold the factor into the weights"
    elif node.value_class == "integer" and node.kind == "neuron":  # an input may inject sums with a sign
        low, meaning = 0, "sends numbers of spikes; declare it 'real', or move the sign into the weights"
    for value in sorted({int(values.min()), int(values.max())}):
        if not low <= value <= high:
            where = f"{activity.name}: /nodes/{node.name}"
            yield f"{where}: value {value} in a node of class {node.value_class!r}, which {meaning}"


def _exact_product(values: npt.NDArray[np.integer[Any]], fan: npt.NDArray[np.float64], what: type) -> Counts:
    """Sums of the magnitudes of `values` (as bool: of those other than zero) times `fan`, over the last axis.

    Exact below 2⁵³; what is more comes out as that or more.
    """
    rows = values.reshape(-1, values.shape[-1])
    product = np.empty((len(rows), fan.shape[1]), dtype=np.int64)
    at_once = max(1, _VALUES_AT_ONCE // rows.shape[1])
    for first in range(0, len(rows), at_once):
        chosen = slice(first, first + at_once)
        sums = np.abs(rows[chosen].astype(what).astype(np.float64)) @ fan
        product[chosen] = np.minimum(sums, _EXACT)
    return product.reshape(*values.shape[:-1], fan.shape[1])


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
