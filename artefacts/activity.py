"""Recorded activity as typed records, on disk or in memory, its large arrays streamed a few samples at a time.

A *node* is an input, a population of neurons or a readout; an *edge* is one linear operator from a node to
another. Time is logical: every node handles step t of a sample at step t.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.display import listed, printable
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import FAULTS
from snnergy.artefacts.sent_counts import EXACT, SentCounts, fan_of, is_static, joined_counts, sent_counts
from snnergy.artefacts.types import Counts, IntArray, Labels, Recording, Shape, ValueClass

WARNINGS = "warnings"  # in the provenance of a network and of its activity: a line each
_LINES, _LINE = 20, 400  # and characters; HDF5 has 64 KiB for an attribute
NodeKind = Literal["input", "neuron", "readout"]
EdgeKind = Literal["conv2d", "dense", "sparse"]

# Values held at once while streaming: 32 MB as float64, far below what one activity file can hold.
_VALUES_AT_ONCE = 4_000_000
_INT32 = np.iinfo(np.int32)
_STREAM_SHARE = 0.25  # of the budget of memory: as much again is needed to look at the values


@dataclass(frozen=True)
class Node:
    """One input, population or readout.

    value_class: what one value can be: a spike, a count of spikes, or an analog number (stored in integer steps).
    memoryless: the membrane is cleared in each step. biased: neurons whose bias is not zero, None where that is not
    known. scale: what one integer step is worth in the model's units. wrapped, clipped: how often u wrapped around and
    v was clipped in the run.
    """

    name: str
    kind: NodeKind
    shape: Shape
    value_class: ValueClass
    labels: Labels = field(default_factory=Labels)
    memoryless: bool = False
    biased: int | None = None
    scale: float = 1.0
    wrapped: int = 0
    clipped: int = 0

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)


@dataclass(frozen=True)
class Edge:
    """One linear operator.

    origin: nodes of the model's graph that were fused into it, in the order of the signal.
    learned: whether it holds learned weights (a gate, pool or broadcast does not).
    parameters, nonzero_parameters: weights stored, and those that are not zero.
    taps, nonzero_taps: synapses, borders and strides included: the sum of the fan-out over all source neurons.
    counted: whether the simulator kept a count of its own.
    macs: multiplications of its learned nodes, were each computed by itself; None where that is not known.
    """

    index: int
    source: str
    target: str
    kind: EdgeKind
    origin: tuple[str, ...]
    learned: bool
    parameters: int
    nonzero_parameters: int
    taps: int
    nonzero_taps: int
    counted: bool
    macs: int | None = None


@dataclass(frozen=True, eq=False)
class Activity:
    """What a simulator recorded of `samples` samples over `time_steps` steps.

    file: where the arrays lie: a path, opened for each look, or an open file in memory. name: how messages call it.
    labels, predictions: class of each sample, empty where not recorded. recording: what was kept of the nodes.
    """

    file: Path | h5py.File
    name: str
    time_steps: int
    samples: int
    backend: str
    model: str
    provenance: Mapping[str, object]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    labels: tuple[int, ...] = ()
    predictions: tuple[int, ...] = ()
    recording: Recording = "full"

    @property
    def file_name(self) -> str:
        """The name without its folder."""
        return Path(self.name).name

    def open(self) -> AbstractContextManager[h5py.File]:
        """The HDF5 file; one in memory stays open afterwards."""
        return h5py.File(self.file, "r") if isinstance(self.file, Path) else nullcontext(self.file)

    def node(self, name: str) -> Node:
        """The node of that name."""
        return self._by_name[name]

    def outgoing(self, name: str) -> tuple[Edge, ...]:
        """The edges that leave a node."""
        return tuple(self._by_source.get(name, ()))

    @property
    def graph_order(self) -> tuple[str, ...]:
        """Names of the nodes in the order of the signal: inputs, then what edges drive, as these are numbered."""
        driven = dict.fromkeys(edge.target for edge in self.edges)
        return (*(node.name for node in self.nodes if node.name not in driven), *driven)

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _by_source(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge)
        return found

    @property
    def accuracy(self) -> float | None:
        """Fraction of the samples predicted correctly, or None without labels or predictions."""
        if not self.labels or not self.predictions:
            return None
        return float(np.mean(np.equal(self.labels, self.predictions)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be known wherever a result is shown: of the network as it was compiled, and of this run."""
        wrapped = [f"{node.name} ({node.wrapped} times)" for node in self.nodes if node.wrapped]
        clipped = [f"{node.name} ({node.clipped} times)" for node in self.nodes if node.clipped]
        found = str(self.provenance.get(WARNINGS, "")).splitlines()[: _LINES + 1]
        if wrapped:
            found.append(f"u wrapped around at 24 bits in this run, what follows is meaningless: {listed(wrapped)}")
        if clipped:
            found.append(f"v was clipped to 24 bits in this run: {listed(clipped)}")
        return tuple(found)

    def stream(self, node: Node) -> Iterator[tuple[slice, npt.NDArray[np.integer[Any]]]]:
        """Yield `(samples, values)` a few samples at a time, values `(samples, T, neurons)`; readouts have none.

        Whole chunks are read, because each read of a part unpacks all of it.

        Raises:
            UserError: the file cannot be read to its end, or a chunk or a sample does not fit into memory; it holds
                counts alone.
        """
        self._require_values()
        with self._readable(f"/nodes/{node.name}/values"), self.open() as file:
            values = file["nodes"][node.name]["values"]
            one_sample = self.time_steps * node.size
            rows = values.chunks[0] if values.chunks else 1
            at_once = max(rows, _VALUES_AT_ONCE // one_sample // rows * rows)
            refuse_excess(
                f"{self.name}: /nodes/{node.name}/values: to read {min(at_once, self.samples)} samples at once",
                min(at_once, self.samples) * one_sample * values.dtype.itemsize,
                _STREAM_SHARE,
            )
            for first in range(0, self.samples, at_once):
                chosen = slice(first, min(first + at_once, self.samples))
                yield chosen, np.asarray(values[chosen]).reshape(-1, self.time_steps, node.size)

    def values(self, name: str, quantity: str = "values") -> IntArray:
        """Everything recorded of one node, `(samples, T, *shape)`.

        Args:
            quantity: `values`, or `u` or `v` where the state was recorded.

        Raises:
            UserError: there is no such node, it was not recorded, or it does not fit into memory; the file holds counts
                alone.
        """
        with self._readable(f"/nodes/{name}"), self.open() as file:
            node = file["nodes"].get(name)
            if node is None:
                raise UserError(f"{self.name}: no node {name!r}; it has {', '.join(file['nodes'])}")
            self._require_values()
            if quantity not in node:
                raise UserError(f"{self.name}: {quantity} of {name!r} was not recorded; it has {', '.join(node)}")
            refuse_excess(f"{self.name}: /nodes/{name}/{quantity}", node[quantity].nbytes)
            return np.asarray(node[quantity])

    def sent(self, node: Node) -> SentCounts:
        """What a node sent in each sample and step, by itself and over the edges that leave it, in their order.

        Raises:
            UserError: as `stream`.
        """
        edges = self.outgoing(node.name)
        if self.recording == "counts":
            return self._counted(node, edges)
        fan = fan_of(node.size, [tuple(self.fan_out(edge).T) for edge in edges])
        parts, static = [], node.kind == "input"
        for _, values in self.stream(node):
            parts.append(sent_counts(values, fan, binary=node.value_class == "binary"))
            static = static and is_static(values)
        return replace(joined_counts(parts), static=static)

    def _counted(self, node: Node, edges: Sequence[Edge]) -> SentCounts:
        """The counts that the file keeps of a node."""
        with self._readable(f"/nodes/{node.name}"), self.open() as file:
            group = file["nodes"][node.name]
            spikes = np.asarray(group["events"], dtype=np.int64)
            static = bool(group.attrs.get("static", False))

        def columns(kind: str) -> Counts:
            of_edges = (self._dataset(edge, f"{kind}{part}") for edge in edges for part in ("", "_nonzero"))
            return np.stack((spikes, *of_edges), axis=2)

        events = columns("events")
        binary = node.value_class == "binary"
        return SentCounts(events, events if binary else columns("weighted"), 0, int(spikes.any()), static)

    def spikes(self, node: Node) -> int:
        """How many values other than zero a node sent in all; readouts send none."""
        if self.recording == "counts":
            with self._readable(f"/nodes/{node.name}"), self.open() as file:
                return int(np.asarray(file["nodes"][node.name]["events"]).sum(dtype=np.int64))
        return sum(int(np.count_nonzero(values)) for _, values in self.stream(node))

    def _require_values(self) -> None:
        if self.recording == "counts":
            raise UserError(
                f"{self.name}: was recorded with record = 'counts', so it holds no spike trains; record it again "
                "with 'full'"
            )

    def fan_out(self, edge: Edge) -> Counts:
        """Synapses that each source neuron reaches, `(neurons, 2)`: all, and those with a weight other than zero."""
        columns = (self._dataset(edge, name).ravel() for name in ("fan_out", "fan_out_nonzero"))
        return np.stack(tuple(columns), axis=1)

    def delivered(self, edge: Edge) -> Counts:
        """Synaptic events counted by the simulator on a `counted` edge, `(samples, T, 2)`, columns as in `fan_out`."""
        columns = (self._dataset(edge, name) for name in ("delivered", "delivered_nonzero"))
        return np.stack(tuple(columns), axis=2)

    def _dataset(self, edge: Edge, name: str) -> Counts:
        with self._readable(f"/edges/{edge.index}/{name}"), self.open() as file:
            return np.asarray(file["edges"][str(edge.index)][name], dtype=np.int64)

    @contextmanager
    def _readable(self, place: str) -> Iterator[None]:
        """Say of what cannot be read which file and object it is."""
        try:
            yield
        except FAULTS as error:
            raise damaged(f"{self.name}: {place}", error) from error


def impossible_counts(where: str, node: Node, sent: SentCounts) -> Iterator[str]:
    """What is wrong with what a node is said to have sent: values that its class rules out, or too many operations."""
    low, high, meaning = int(_INT32.min), int(_INT32.max), "sends integers of 32 bits; scale its values"
    if node.value_class == "binary":
        low, high, meaning = 0, 1, "sends 0 and 1; declare it 'integer' or 'real', or fold the factor into the weights"
    elif node.value_class == "integer" and node.kind == "neuron":  # an input may inject sums with a sign
        low, meaning = 0, "sends numbers of spikes; declare it 'real', or move the sign into the weights"
    values = [value for value in sorted({sent.least, sent.greatest}) if not low <= value <= high]
    for value in values:
        yield f"{where}: value {value} in a node of class {node.value_class!r}, which {meaning}"
    if not values and max(sent.events.max(initial=0), sent.weighted.max(initial=0)) >= EXACT:
        yield (
            f"{where}: more operations in one step than can be counted exactly, 2⁵³; check its values and the fan-out "
            "of its edges"
        )


class Recorded(Protocol):
    """Whatever a simulator's run is kept in."""

    @property
    def activity(self) -> Activity:
        """What was recorded."""
        ...


def warning_text(lines: Sequence[str]) -> str:
    """Lines as provenance holds them."""
    more = [f"and {len(lines) - _LINES} more, in the fidelity report"] if len(lines) > _LINES else []
    return "\n".join([*(printable(line, _LINE) for line in lines[:_LINES]), *more])


def damaged(name: str, error: Exception) -> UserError:
    """The error for a file, or an object in one, that ends early, does not decompress or fails its checksum."""
    reason = str(error).split("\n")[0]
    return UserError(f"{name}: truncated or damaged ({reason}); record it again with `snnergy simulate`")
