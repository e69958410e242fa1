"""activity.h5: the file of recorded activity, by this project's simulators or anyone else's.

HDF5, all names case-sensitive; attributes marked ? may be left out.

    /              format="snnergy-activity", version=1, time_steps, samples, backend, model, provenance? (JSON object),
                   recording? = full (unless it is there) | counts
    /label?        (samples,) int      /prediction?  (samples,) int      /logits?  (samples, classes)
    /nodes/NAME/   kind = input | neuron | readout, shape, value_class = binary | integer | real, role?, stage? and
                   block? (-1: unknown), modality?, memoryless?, biased? (neurons with a bias other than zero), scale?,
                   wrapped?, clipped? (how often u and v left the chip's 24 bits), static? (counts of an input: whether
                   every sample repeats its first step)
        values     (samples, T, *shape) integers; readouts have none
        events     instead of values where counts are recorded: (samples, T) how many were other than zero
        u?, v?     (samples, T, *shape) current and membrane after each step
    /edges/I/      source, target, kind = conv2d | dense | sparse, origin? (JSON list), learned, parameters,
                   nonzero_parameters, macs? (multiplications of its learned layers, each by itself)
        fan_out, fan_out_nonzero        (*shape of the source) synapses that each neuron reaches; without zero weights
        delivered?, delivered_nonzero?  (samples, T) synaptic events counted by the simulator itself, at the step in
                                        which the source sent them; a simulator that keeps no count leaves both out
        events, events_nonzero          where counts are recorded: (samples, T) sums of fan_out, and of fan_out_nonzero,
                                        over the source's values other than zero
        weighted, weighted_nonzero      likewise, times the sizes of the values; where value_class is not binary

All that is wrong with a file is reported at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from math import ceil, prod
from pathlib import Path
from typing import get_args

import h5py
import numpy as np

from snnergy.artefacts.activity import (
    Activity,
    Edge,
    EdgeKind,
    Node,
    NodeKind,
    damaged,
)
from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.display import listed
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import FAULTS, opened
from snnergy.artefacts.hdf5_fields import Fields
from snnergy.artefacts.kinds import ACTIVITY, ACTIVITY_FORMAT, require
from snnergy.artefacts.types import VALUE_CLASSES, Counts, Recording, Shape

VERSION = 1
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_DEPTH_MAX = 32  # of JSON
_EXACT = 2**53  # integers below it are exact as floats too, in which they are summed
_COUNT = np.dtype(np.int64)
_COUNTS_SHARE = 0.25  # of the budget of memory, for one array of counts

_REMAKE = "record it again with `snnergy simulate`"


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
        recording: Recording = "full"
        if root.has("recording"):
            recording = root.choice("recording", get_args(Recording))
        if problem := _json_problem(provenance):
            root.refuse("provenance", f"{problem}; {_REMAKE}")
        self._stop_if_wrong()
        refuse_many(self.name, samples, steps)
        counts = recording == "counts"
        nodes = {name: self._node(name, fields, samples, steps, counts) for name, fields in self._members("nodes")}
        if not nodes and not self.violations:
            self.root.refuse("nodes", f"holds no node; {_REMAKE}")
        edges = [
            self._edge(int(name), fields, nodes, samples, steps, counts) for name, fields in self._members("edges")
        ]
        edges.sort(key=lambda edge: edge.index)
        labels, predictions = (self._classes(name, samples) for name in ("label", "prediction"))
        self._check_logits(samples)
        self._stop_if_wrong()
        found = (backend, model, provenance, tuple(nodes.values()), tuple(edges), labels, predictions)
        return Activity(lies_in, self.name, steps, samples, *found, recording)

    def _node(self, name: str, fields: Fields, samples: int, steps: int, counts: bool) -> Node:
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
        if counts and node.kind != "readout":
            _counts(fields, "events", (samples, steps), node.size)
            if attributes.has("static"):
                attributes.flag("static")
        for quantity in () if counts else ("values", "u", "v"):
            if fields.has(quantity) if quantity in "uv" else node.kind != "readout":
                _whole(fields, quantity, (samples, steps, *node.shape))
        if len(self.violations) > already_wrong:
            self.unsound.add(name)
        return node

    def _edge(
        self, index: int, fields: Fields, nodes: Mapping[str, Node], samples: int, steps: int, counts: bool
    ) -> Edge:
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
        if counts and sound:
            binary = nodes[source].value_class == "binary"
            for column, most in (("", taps), ("_nonzero", nonzero_taps)):
                _counts(fields, f"events{column}", (samples, steps), most)
                if not binary:
                    _counts(fields, f"weighted{column}", (samples, steps))
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


def refuse_many(name: str, samples: int, steps: int) -> None:
    """Raise `UserError` where one array of counts, a number for each sample and step, does not fit into memory."""
    refuse_excess(
        f"{name}: to count {samples} samples of {steps} time steps", samples * steps * _COUNT.itemsize, _COUNTS_SHARE
    )


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


def _counts(fields: Fields, name: str, shape: Shape, most: int = _EXACT - 1) -> Counts | None:
    """Numbers from 0 up, none beyond `most`, by default what sums of 64 bits hold; None and a violation where they are
    not.
    """
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
    elif high > most:
        fields.refuse(name, f"holds {high}; must be {f'at most {most}' if most < _EXACT - 1 else 'below 2⁵³'}")
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
