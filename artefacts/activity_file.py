"""activity.h5: the file of recorded activity, by this project's simulators or anyone else's.

HDF5, all names case-sensitive; attributes marked ? may be left out.

    /              format="snnergy-activity", version=1, time_steps, samples, backend, model, provenance? (JSON object)
    /label?        (samples,) int      /prediction?  (samples,) int      /logits?  (samples, classes)
    /nodes/NAME/   kind = input | neuron | readout, shape, value_class = binary | integer | real, role?, stage? and
                   block? (-1: unknown), modality?, memoryless?, biased? (neurons with a bias other than zero), scale?
        values     (samples, T, *shape) integers; readouts have none
        u?, v?     (samples, T, *shape) current and membrane after each step
    /edges/I/      source, target, kind = conv2d | dense, origin? (JSON list), learned, parameters, nonzero_parameters
        fan_out, fan_out_nonzero        (*shape of the source) synapses that each neuron reaches; without zero weights
        delivered?, delivered_nonzero?  (samples, T) synaptic events counted by the simulator itself, at the step in
                                        which the source sent them; a simulator that keeps no count leaves both out

All that is wrong with a file is reported at once. Writing goes batch by batch, so that memory does not grow with the
number of samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from snnergy.artefacts.activity import Activity, Edge, EdgeKind, Node, NodeKind, damaged
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5_fields import Fields
from snnergy.artefacts.kinds import ACTIVITY, ACTIVITY_FORMAT, require
from snnergy.artefacts.records import Records
from snnergy.artefacts.types import VALUE_CLASSES, FloatArray, IntArray, Shape

VERSION = 1

_REMAKE = "record it again with `snnergy simulate`"
# Spike trains are mostly zeros: the fastest setting already removes nearly all of their size.
_COMPRESSION: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def read_activity(path: Path | str) -> Activity:
    """Read everything of an activity file but its large arrays.

    Raises:
        UserError: not an activity file, truncated, or fields that are missing, malformed or contradict each other.
    """
    path = Path(path)
    require((path, ACTIVITY))
    if not h5py.is_hdf5(path):
        raise UserError(f"{path}: not an HDF5 file; `energy` reads what `simulate` records")
    try:
        with h5py.File(path, "r") as file:
            return activity_of(file, path, str(path))
    except OSError as error:
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
        self._check_format()
        root = self.root.attributes()
        steps, samples = (root.integer(name, at_least=1) for name in ("time_steps", "samples"))
        backend, model = root.text("backend"), root.text("model")
        provenance = root.json("provenance", {})
        self._stop_if_wrong()
        nodes = {name: self._node(name, fields, samples, steps) for name, fields in self._members("nodes")}
        edges = [self._edge(int(name), fields, nodes, samples, steps) for name, fields in self._members("edges")]
        edges.sort(key=lambda edge: edge.index)
        labels, predictions = (self._classes(name, samples) for name in ("label", "prediction"))
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
            scale=attributes.real("scale") if attributes.has("scale") else 1.0,
        )
        if node.biased is not None and not 0 <= node.biased <= node.size:
            attributes.refuse("biased", f"{node.biased}, but the population has {node.size} neurons")
        if node.kind != "readout":
            fields.dataset("values", (samples, steps, *node.shape))
        if len(self.violations) > already_wrong:
            self.unsound.add(name)
        return node

    def _edge(self, index: int, fields: Fields, nodes: Mapping[str, Node], samples: int, steps: int) -> Edge:
        attributes = fields.attributes()
        source, target = attributes.text("source"), attributes.text("target")
        for end, name, barred in (("source", source, "readout"), ("target", target, "input")):
            if name not in nodes:
                attributes.refuse(end, f"{name!r} is no node; /nodes holds {_listed(tuple(nodes))}")
            elif nodes[name].kind == barred and name not in self.unsound:
                attributes.refuse(end, f"{name!r} is of kind {barred!r}, which cannot be a {end}")
        parameters, alive = (attributes.integer(n, at_least=0) for n in ("parameters", "nonzero_parameters"))
        if alive > parameters:
            attributes.refuse("nonzero_parameters", f"{alive} exceeds parameters = {parameters}")
        sound = source in nodes and source not in self.unsound
        taps, nonzero_taps = _taps(fields, nodes[source].shape) if sound else (0, 0)
        counted = fields.has("delivered") or fields.has("delivered_nonzero")
        if counted:
            fields.dataset("delivered", (samples, steps))
            fields.dataset("delivered_nonzero", (samples, steps))
        kind = attributes.choice("kind", get_args(EdgeKind))
        origin, learned = tuple(attributes.json("origin", [])), attributes.flag("learned")
        return Edge(index, source, target, kind, origin, learned, parameters, alive, taps, nonzero_taps, counted)

    def _classes(self, name: str, samples: int) -> tuple[int, ...]:
        dataset = self.root.dataset(name, (samples,)) if self.root.has(name) else None
        return () if dataset is None else tuple(dataset[()].tolist())

    def _check_format(self) -> None:
        attributes = self.root.source.attrs
        found, version = attributes.get("format"), attributes.get("version")
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
            if name == "edges" and not key.isdecimal():
                parent.refuse(key, "is not numbered")
            elif (member := parent.group(key)) is not None:
                yield key, member

    def _stop_if_wrong(self) -> None:
        if self.violations:
            raise UserError(self.violations)


def _taps(fields: Fields, shape: Shape) -> tuple[int, int]:
    """Sums of `fan_out` and `fan_out_nonzero` over the source neurons."""
    found = [fields.dataset(name, shape) for name in ("fan_out", "fan_out_nonzero")]
    if found[0] is None or found[1] is None:
        return 0, 0
    taps, nonzero = (np.asarray(dataset, dtype=np.int64) for dataset in found)
    if min(taps.min(), nonzero.min()) < 0:
        fields.refuse("fan_out", "holds negative numbers of synapses")
    if (nonzero > taps).any():
        fields.refuse("fan_out_nonzero", "exceeds fan_out: it counts a part of the same synapses")
    return int(taps.sum()), int(nonzero.sum())


def _listed(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


class ActivityWriter:
    """Fills an open HDF5 file: what is known before the run, then batch by batch, then the outcome.

    Args:
        file: empty and open for writing.
        head: everything but the arrays; labels are stored if there are any, its own `file` is not used.
        fan_out: for each edge, synapses that every source neuron reaches, all and those of a weight other than zero.
        compress: for a file on disk.
    """

    def __init__(
        self, file: h5py.File, head: Activity, fan_out: Sequence[tuple[IntArray, IntArray]], *, compress: bool = True
    ) -> None:
        self._file, self._samples = file, head.samples
        self._storage = _COMPRESSION if compress else {}
        self._written = 0
        file.attrs.update(
            format=ACTIVITY_FORMAT, version=VERSION, time_steps=head.time_steps, samples=head.samples,
            backend=head.backend, model=head.model, provenance=json.dumps(dict(head.provenance)),
        )  # fmt: skip
        if head.labels:
            file["label"] = np.asarray(head.labels, np.int64)
        nodes, edges = file.create_group("nodes"), file.create_group("edges")
        for node in head.nodes:
            nodes.create_group(node.name).attrs.update(_node_attributes(node))
        for edge, (taps, nonzero) in zip(head.edges, fan_out, strict=True):
            group = edges.create_group(str(edge.index))
            group.attrs.update(_edge_attributes(edge))
            group["fan_out"], group["fan_out_nonzero"] = taps, nonzero

    def append(self, records: Records) -> None:
        """Store the next samples."""
        for quantity, arrays in (("values", records.values), ("u", records.u), ("v", records.v)):
            for name, array in arrays.items():
                self._store(self._file["nodes"][name], quantity, array, **self._storage)
        counted = (("delivered", records.delivered), ("delivered_nonzero", records.delivered_nonzero))
        for quantity, counts in counted:
            for index, array in enumerate(counts):
                self._store(self._file["edges"][str(index)], quantity, array)
        self._written += len(records)

    def finish(self, logits: FloatArray, predictions: IntArray) -> None:
        """Store what the network made of the samples, `(samples, classes)` and `(samples,)`."""
        assert self._written == self._samples, (self._written, self._samples)
        self._file["logits"], self._file["prediction"] = logits, predictions

    def _store(self, group: h5py.Group, quantity: str, array: IntArray, **storage: Any) -> None:
        if quantity not in group:
            chunks = (1, *array.shape[1:]) if storage else None
            shape = (self._samples, *array.shape[1:])
            group.create_dataset(quantity, shape, array.dtype, chunks=chunks, **storage)
        group[quantity][self._written : self._written + len(array)] = array


def _node_attributes(node: Node) -> dict[str, Any]:
    labels = node.labels
    found: dict[str, Any] = {"kind": node.kind, "shape": node.shape, "value_class": node.value_class}
    found |= {"role": labels.role, "modality": labels.modality, "memoryless": node.memoryless, "scale": node.scale}
    found |= {key: -1 if value is None else value for key, value in (("stage", labels.stage), ("block", labels.block))}
    return found if node.biased is None else found | {"biased": node.biased}


def _edge_attributes(edge: Edge) -> dict[str, Any]:
    return {
        "source": edge.source,
        "target": edge.target,
        "kind": edge.kind,
        "origin": json.dumps(edge.origin),
        "learned": edge.learned,
        "parameters": edge.parameters,
        "nonzero_parameters": edge.nonzero_parameters,
    }
