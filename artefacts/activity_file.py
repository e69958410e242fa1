"""activity.h5: the file of recorded activity, by this project's simulators or anyone else's.

HDF5, all names case-sensitive; attributes marked ? may be left out.

    /              format="snnergy-activity", version=1, time_steps, samples, backend, model, provenance? (JSON object)
    /label?        (samples,) int      /prediction?  (samples,) int      /logits?  (samples, classes)
    /nodes/NAME/   kind = input | neuron | readout, shape, value_class = binary | integer | real, role?, stage? and
                   block? (-1: unknown), modality?, memoryless?, biased? (neurons with a bias other than zero), scale?,
                   wrapped?, clipped? (how often u and v left the chip's 24 bits)
        values     (samples, T, *shape) integers; readouts have none
        u?, v?     (samples, T, *shape) current and membrane after each step
    /edges/I/      source, target, kind = conv2d | dense | sparse, origin? (JSON list), learned, parameters,
                   nonzero_parameters, macs? (multiplications of its learned layers, each by itself)
        fan_out, fan_out_nonzero        (*shape of the source) synapses that each neuron reaches; without zero weights
        delivered?, delivered_nonzero?  (samples, T) synaptic events counted by the simulator itself, at the step in
                                        which the source sent them; a simulator that keeps no count leaves both out

All that is wrong with a file is reported at once. Writing goes batch by batch, so that memory does not grow with the
number of samples.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, prod
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from snnergy.artefacts.activity import Activity, Counts, Edge, EdgeKind, Node, NodeKind, damaged
from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.display import listed
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import FAULTS, opened
from snnergy.artefacts.hdf5_fields import Fields
from snnergy.artefacts.kinds import ACTIVITY, ACTIVITY_FORMAT, require
from snnergy.artefacts.records import Records
from snnergy.artefacts.types import VALUE_CLASSES, FloatArray, IntArray, Shape

VERSION = 1
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_DEPTH_MAX = 32  # of JSON
_EXACT = 2**53  # integers below it are exact as floats too, in which they are summed
_COUNT = np.dtype(np.int64)
_COUNTS_SHARE = 0.25  # of the budget of memory, for one array of counts

_REMAKE = "record it again with `snnergy simulate`"
# Spike trains are mostly zeros: the fastest setting already removes nearly all of their size. Each chunk has a
# checksum: what a disk or a copy changes is an error when it is read, and no other result.
_STORAGE: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
_CHUNK_VALUES = 1 << 16


def read_activity(path: Path | str) -> Activity:
    """Read everything of an activity file but its large arrays.

    Raises:
        UserError: not an activity file, truncated, or fields that are missing, malformed or contradict each other.
    """
    path = Path(path)
    require((path, ACTIVITY))
    try:
        with opened(path, _REMAKE, title="readable HDF5 file, which `simulate` records", whole=False) as file:
            return activity_of(file, path, str(path))
    except FAULTS as error:
        raise damaged(str(path), error) from error


def activity_of(file: h5py.File, lies_in: Path | h5py.File, name: str) -> Activity:
    """The activity in an open file.

    Args:
        lies_in: where its arrays are read from later.
        name: how messages call it.

    Raises:
        UserError: as `read_activity`.
    """
    return _Reader(file, name).activity(lies_in)


class _Reader:
    """Turns groups into records, collects what is wrong, and goes on with a stand-in."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self.name = name
        self.violations: list[str] = []
        self.root = Fields(file, f"{name}: ", self.violations, _REMAKE)
        self.unsound: set[str] = set()  # nodes that edges are not held against: one mistake, one message

    def activity(self, lies_in: Path | h5py.File) -> Activity:
        root = self.root.attributes()
        self._check_format(root)
        steps, samples = (root.integer(name, at_least=1) for name in ("time_steps", "samples"))
        backend, model = root.text("backend"), root.text("model")
        provenance = root.json("provenance", {})
        if problem := _json_problem(provenance):
            root.refuse("provenance", f"{problem}; {_REMAKE}")
        self._stop_if_wrong()
        refuse_excess(
            f"{self.name}: to count {samples} samples of {steps} time steps",
            samples * steps * _COUNT.itemsize,
            _COUNTS_SHARE,
        )
        nodes = {name: self._node(name, fields, samples, steps) for name, fields in self._members("nodes")}
        if not nodes and not self.violations:
            self.root.refuse("nodes", f"holds no node; {_REMAKE}")
        edges = [self._edge(int(name), fields, nodes, samples, steps) for name, fields in self._members("edges")]
        edges.sort(key=lambda edge: edge.index)
        labels, predictions = (self._classes(name, samples) for name in ("label", "prediction"))
        self._check_logits(samples)
        self._stop_if_wrong()
        found = (backend, model, provenance, tuple(nodes.values()), tuple(edges), labels, predictions)
        return Activity(lies_in, self.name, steps, samples, *found)

    def _node(self, name: str, fields: Fields, samples: int, steps: int) -> Node:
        already_wrong = len(self.violations)
        attributes = fields.attributes()
        node = Node(
            name=name,
            kind=attributes.choice("kind", get_args(NodeKind)),
            shape=attributes.shape("shape"),
            value_class=attributes.choice("value_class", VALUE_CLASSES),
            labels=attributes.labels(),
            memoryless=attributes.has("memoryless") and attributes.flag("memoryless"),
            biased=attributes.integer("biased") if attributes.has("biased") else None,
            scale=attributes.scale("scale", inverting=True) if attributes.has("scale") else 1.0,
            wrapped=attributes.integer("wrapped", at_least=0) if attributes.has("wrapped") else 0,
            clipped=attributes.integer("clipped", at_least=0) if attributes.has("clipped") else 0,
        )
        if node.biased is not None and not 0 <= node.biased <= node.size:
            attributes.refuse("biased", f"{node.biased}, but the population has {node.size} neurons")
        for quantity in ("values", "u", "v"):
            if fields.has(quantity) if quantity in "uv" else node.kind != "readout":
                _whole(fields, quantity, (samples, steps, *node.shape))
        if len(self.violations) > already_wrong:
            self.unsound.add(name)
        return node

    def _edge(self, index: int, fields: Fields, nodes: Mapping[str, Node], samples: int, steps: int) -> Edge:
        attributes = fields.attributes()
        source, target = attributes.text("source"), attributes.text("target")
        for end, name, barred in (("source", source, "readout"), ("target", target, "input")):
            if name not in nodes:
                attributes.refuse(end, f"{name!r} is no node; /nodes holds {listed(tuple(nodes))}")
            elif nodes[name].kind == barred and name not in self.unsound:
                attributes.refuse(end, f"{name!r} is of kind {barred!r}, which cannot be a {end}")
        parameters, alive = (attributes.integer(n, at_least=0) for n in ("parameters", "nonzero_parameters"))
        if alive > parameters:
            attributes.refuse("nonzero_parameters", f"{alive} exceeds parameters = {parameters}")
        sound = all(end in nodes and end not in self.unsound for end in (source, target))
        taps, nonzero_taps = _taps(fields, nodes[source].shape, nodes[target].size) if sound else (0, 0)
        counted = fields.has("delivered") or fields.has("delivered_nonzero")
        if counted:
            for name in ("delivered", "delivered_nonzero"):
                _counts(fields, name, (samples, steps))
        kind = attributes.choice("kind", get_args(EdgeKind))
        origin, learned = tuple(attributes.json("origin", [])), attributes.flag("learned")
        if not all(isinstance(name, str) for name in origin):
            attributes.refuse("origin", "not a list of texts; name the nodes that were fused")
        if sound and learned and taps > parameters * nodes[target].size:
            attributes.refuse("parameters", f"{parameters} weights cannot make the {taps} synapses of fan_out")
        macs = attributes.count("macs") if attributes.has("macs") else None
        return Edge(index, source, target, kind, origin, learned, parameters, alive, taps, nonzero_taps, counted, macs)

    def _classes(self, name: str, samples: int) -> tuple[int, ...]:
        counts = _counts(self.root, name, (samples,)) if self.root.has(name) else None
        return () if counts is None else tuple(counts.tolist())

    def _check_logits(self, samples: int) -> None:
        """Logits are kept for others: nothing here reads them."""
        logits = self.root.source.get("logits")
        if logits is None:
            return
        if not isinstance(logits, h5py.Dataset) or logits.dtype.kind not in "iuf":
            self.root.refuse("logits", "is no dataset of numbers")
        elif logits.ndim != 2 or logits.shape[0] != samples:
            self.root.refuse("logits", f"shape {logits.shape}, must be ({samples}, classes)")

    def _check_format(self, root: Fields) -> None:
        found = root.text("format") if root.has("format") else None
        version = root.integer("version") if found == ACTIVITY_FORMAT else VERSION
        self._stop_if_wrong()
        if found != ACTIVITY_FORMAT:
            raise UserError(
                f"{self.name}: format is {found!r}, but must be {ACTIVITY_FORMAT!r}; is this an activity file?"
            )
        if version != VERSION:
            raise UserError(f"{self.name}: version {version} is not known, this program reads version {VERSION}")

    def _members(self, name: str) -> Iterator[tuple[str, Fields]]:
        parent = self.root.group(name)
        for key in () if parent is None else parent.source:
            assert parent is not None
            if name == "edges" and not _NUMBER.fullmatch(key):
                parent.refuse(key, "is not numbered; name edges 0, 1, 2, …")
            elif (member := parent.group(key)) is not None:
                yield key, member

    def _stop_if_wrong(self) -> None:
        if self.violations:
            raise UserError(self.violations)


def _json_problem(value: object) -> str:
    """Why a report, whose JSON repeats it, cannot hold a value; empty where it can."""
    level: list[object] = [value]
    for _ in range(_DEPTH_MAX):
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            return "holds a number that is NaN or infinite"
        level = [
            part
            for item in level
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
    return f"nested deeper than {_DEPTH_MAX} levels" if level else ""


def _taps(fields: Fields, shape: Shape, targets: int) -> tuple[int, int]:
    """Sums of `fan_out` and `fan_out_nonzero` over the source neurons."""
    every, nonzero = (_counts(fields, name, shape) for name in ("fan_out", "fan_out_nonzero"))
    if every is None or nonzero is None:
        return 0, 0
    if (nonzero > every).any():
        fields.refuse("fan_out_nonzero", "exceeds fan_out: it counts a part of the same synapses")
    if every.max() > targets:
        fields.refuse("fan_out", f"{every.max()} synapses of one neuron, but the target has {targets} neurons")
    return int(every.sum()), int(nonzero.sum())


def _counts(fields: Fields, name: str, shape: Shape) -> Counts | None:
    """Numbers from 0 up, none beyond what sums of 64 bits hold; None and a violation where they are not."""
    dataset = _whole(fields, name, shape)
    if dataset is None:
        return None
    refuse_excess(f"{fields.where}/{name}", prod(shape) * _COUNT.itemsize, _COUNTS_SHARE)
    try:
        stored = np.asarray(dataset)
    except FAULTS as error:
        raise damaged(f"{fields.where}/{name}", error) from error
    low, high = int(stored.min()), int(stored.max())
    if low < 0:
        fields.refuse(name, f"holds the negative number {low}")
    elif high >= _EXACT:
        fields.refuse(name, f"holds {high}; must be below 2⁵³")
    else:
        return stored.astype(_COUNT)
    return None


def _whole(fields: Fields, name: str, shape: Shape) -> h5py.Dataset | None:
    """A dataset of integers of that shape of which every chunk is stored: one that is not would read as zeros."""
    dataset = fields.dataset(name, shape)
    if dataset is None:
        return None
    try:
        wanted = prod(ceil(extent / chunk) for extent, chunk in zip(shape, dataset.chunks or shape, strict=True))
        stored = dataset.id.get_num_chunks() if dataset.chunks else int(dataset.id.get_storage_size() > 0)
    except FAULTS as error:
        raise damaged(f"{fields.where}/{name}", error) from error
    if stored < wanted:
        fields.refuse(name, f"{wanted - stored} of its {wanted} chunks were never written; {fields.remake}")
        return None
    return dataset


class ActivityWriter:
    """Fills an open HDF5 file: what is known before the run, then batch by batch, then the outcome.

    Args:
        file: empty and open for writing.
        head: everything but the arrays; labels are stored if there are any, its own `file` is not used.
        fan_out: for each edge, synapses that every source neuron reaches, all and those of a weight other than zero.
    """

    def __init__(self, file: h5py.File, head: Activity, fan_out: Sequence[tuple[IntArray, IntArray]]) -> None:
        self._file, self._samples = file, head.samples
        self._written = 0
        file.attrs.update(
            format=ACTIVITY_FORMAT, version=VERSION, time_steps=head.time_steps, samples=head.samples,
            backend=head.backend, model=head.model, provenance=json.dumps(dict(head.provenance)),
        )  # fmt: skip
        if head.labels:
            _store(file, "label", np.asarray(head.labels, np.int64))
        nodes, edges = file.create_group("nodes"), file.create_group("edges")
        for node in head.nodes:
            nodes.create_group(node.name).attrs.update(_node_attributes(node))
        for edge, (taps, nonzero) in zip(head.edges, fan_out, strict=True):
            group = edges.create_group(str(edge.index))
            group.attrs.update(_edge_attributes(edge))
            _store(group, "fan_out", taps)
            _store(group, "fan_out_nonzero", nonzero)

    def append(self, records: Records) -> None:
        """Store the next samples."""
        for quantity, arrays in (("values", records.values), ("u", records.u), ("v", records.v)):
            for name, array in arrays.items():
                self._append(self._file["nodes"][name], quantity, array, rows=1)
        counted = (("delivered", records.delivered), ("delivered_nonzero", records.delivered_nonzero))
        for quantity, counts in counted:
            for index, array in enumerate(counts):
                self._append(self._file["edges"][str(index)], quantity, array)
        self._written += len(records)

    def finish(
        self, logits: FloatArray, predictions: IntArray, overflows: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        """Store what the network made of the samples, `(samples, classes)` and `(samples,)`; where u and v left their
        range.
        """
        assert self._written == self._samples, (self._written, self._samples)
        for name, (wrapped, clipped) in (overflows or {}).items():
            self._file["nodes"][name].attrs.update(wrapped=wrapped, clipped=clipped)
        _store(self._file, "logits", logits)
        _store(self._file, "prediction", predictions)

    def _append(self, group: h5py.Group, quantity: str, array: IntArray, rows: int | None = None) -> None:
        if quantity not in group:
            _create(group, quantity, (self._samples, *array.shape[1:]), array.dtype, rows)
        group[quantity][self._written : self._written + len(array)] = array


def _store(group: h5py.Group, name: str, array: IntArray | FloatArray) -> None:
    _create(group, name, array.shape, array.dtype)[...] = array


def _create(group: h5py.Group, name: str, shape: Shape, dtype: np.dtype[Any], rows: int | None = None) -> h5py.Dataset:
    """A dataset in chunks of so many rows; by default of as many as a chunk holds without being slow to fill."""
    rows = rows or max(1, min(shape[0], _CHUNK_VALUES // prod(shape[1:])))
    return group.create_dataset(name, shape, dtype, chunks=(rows, *shape[1:]), **_STORAGE)


def _node_attributes(node: Node) -> dict[str, Any]:
    labels = node.labels
    found: dict[str, Any] = {"kind": node.kind, "shape": node.shape, "value_class": node.value_class}
    found |= {
        "role": labels.role,
        "modality": labels.modality,
        "memoryless": node.memoryless,
        "scale": node.scale,
    }
    found |= {key: -1 if value is None else value for key, value in (("stage", labels.stage), ("block", labels.block))}
    return found if node.biased is None else found | {"biased": node.biased}


def _edge_attributes(edge: Edge) -> dict[str, Any]:
    found = {
        "source": edge.source,
        "target": edge.target,
        "kind": edge.kind,
        "origin": json.dumps(edge.origin),
        "learned": edge.learned,
        "parameters": edge.parameters,
        "nonzero_parameters": edge.nonzero_parameters,
    }
    return found if edge.macs is None else found | {"macs": edge.macs}
