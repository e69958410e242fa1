"""Reads and validates an activity file, from this project's simulators or anyone else's.

HDF5, all names case-sensitive; attributes marked ? may be left out.

    /              format="snnergy-activity", version=1, time_steps, samples, backend, model, provenance? (JSON object)
    /label?        (samples,) int          /prediction?  (samples,) int
    /nodes/NAME/   kind = input | neuron | readout, shape, value_class = binary | integer | real, role?, stage? and
                   block? (-1: unknown), modality?, memoryless?, biased? (neurons with a bias other than zero)
        values     (samples, T, *shape) integers; readouts have none
    /edges/I/      source, target, kind = conv2d | dense, origin? (JSON list), learned, parameters, nonzero_parameters
        fan_out, fan_out_nonzero        (*shape of the source) synapses that each neuron reaches; without zero weights
        delivered?, delivered_nonzero?  (samples, T) synaptic events counted by the simulator itself, at the step in
                                        which the source sent them; a simulator that keeps no count leaves both out

All that is wrong is reported at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import h5py
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.energy.activity import Activity, Edge, Node, NodeKind, Shape, ValueClass, damaged

FORMAT = "snnergy-activity"
VERSION = 1

_EdgeKind = Literal["conv2d", "dense"]
_Choice = TypeVar("_Choice", bound=str)
_T = TypeVar("_T")


def read_activity(path: Path) -> Activity:
    """Read everything of an activity file but its large arrays.

    Raises:
        UserError: not an activity file, truncated, or fields that are missing, malformed or contradict each other.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; record one with `snnergy simulate MODEL.net --input X -o {path.name}`")
    if not h5py.is_hdf5(path):
        raise UserError(f"{path}: not an HDF5 file; `snnergy energy` reads what `snnergy simulate -o` writes")
    try:
        with h5py.File(path, "r") as file:
            return _Reader(path).activity(file)
    except OSError as error:
        raise damaged(path, error) from error


class _Reader:
    """Turns groups into records, collects what is wrong, and goes on with a stand-in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.violations: list[str] = []
        self.unsound: set[str] = set()  # nodes that edges are not held against: one mistake, one message

    def activity(self, file: h5py.File) -> Activity:
        self._check_format(file)
        time_steps = self.integer(file, "time_steps", at_least=1)
        samples = self.integer(file, "samples", at_least=1)
        backend, model = self.text(file, "backend"), self.text(file, "model")
        provenance: dict[str, object] = self.json(file, "provenance", {})
        self._stop_if_wrong()
        nodes = tuple(self.node(group, samples, time_steps) for group in self._groups(file, "nodes"))
        shapes = {node.name: node for node in nodes}
        groups = sorted(self._groups(file, "edges"), key=_edge_index)
        edges = tuple(self.edge(group, shapes, samples, time_steps) for group in groups)
        labels, predictions = (self.classes(file, name, samples) for name in ("label", "prediction"))
        self._stop_if_wrong()
        return Activity(self.path, time_steps, samples, backend, model, provenance, nodes, edges, labels, predictions)

    def node(self, group: h5py.Group, samples: int, time_steps: int) -> Node:
        already_wrong = len(self.violations)
        node = Node(
            name=group.name.removeprefix("/nodes/"),
            kind=self.choice(group, "kind", get_args(NodeKind)),
            shape=self.shape(group),
            value_class=self.choice(group, "value_class", get_args(ValueClass)),
            role=self.text(group, "role", default=""),
            stage=self.position(group, "stage"),
            block=self.position(group, "block"),
            modality=self.text(group, "modality", default=""),
            memoryless=bool(self.integer(group, "memoryless", at_least=0, default=0)),
            biased=self.integer(group, "biased") if "biased" in group.attrs else None,
        )
        if node.biased is not None and not 0 <= node.biased <= node.size:
            self.wrong(group, f"biased = {node.biased}, but the population has {node.size} neurons")
        if node.kind != "readout":
            self.dataset(group, "values", (samples, time_steps, *node.shape))
        if len(self.violations) > already_wrong:
            self.unsound.add(node.name)
        return node

    def edge(self, group: h5py.Group, nodes: dict[str, Node], samples: int, time_steps: int) -> Edge:
        source, target = self.text(group, "source"), self.text(group, "target")
        for end, name, barred in (("source", source, "readout"), ("target", target, "input")):
            if name not in nodes:
                self.wrong(group, f"{end} {name!r} is no node; /nodes holds {_listed(nodes)}")
            elif nodes[name].kind == barred and name not in self.unsound:
                self.wrong(group, f"{end} {name!r} is of kind {barred!r}, which cannot be a {end}")
        parameters = self.integer(group, "parameters", at_least=0)
        nonzero_parameters = self.integer(group, "nonzero_parameters", at_least=0)
        if nonzero_parameters > parameters:
            self.wrong(group, f"nonzero_parameters = {nonzero_parameters} exceeds parameters = {parameters}")
        taps, nonzero_taps = self.fan_out(group, nodes[source].shape) if self._sound(source, nodes) else (0, 0)
        counted = "delivered" in group or "delivered_nonzero" in group
        if counted:
            self.dataset(group, "delivered", (samples, time_steps))
            self.dataset(group, "delivered_nonzero", (samples, time_steps))
        return Edge(
            index=_edge_index(group),
            source=source,
            target=target,
            kind=self.choice(group, "kind", get_args(_EdgeKind)),
            origin=tuple(self.json(group, "origin", [])),
            learned=bool(self.integer(group, "learned", at_least=0)),
            parameters=parameters,
            nonzero_parameters=nonzero_parameters,
            taps=taps,
            nonzero_taps=nonzero_taps,
            counted=counted,
        )

    def fan_out(self, group: h5py.Group, shape: Shape) -> tuple[int, int]:
        """Sums of `fan_out` and `fan_out_nonzero` over the source neurons."""
        found = [self.dataset(group, name, shape) for name in ("fan_out", "fan_out_nonzero")]
        if found[0] is None or found[1] is None:
            return 0, 0
        taps, nonzero = (np.asarray(dataset, dtype=np.int64) for dataset in found)
        if min(taps.min(), nonzero.min()) < 0:
            self.wrong(group, "fan_out holds negative numbers of synapses")
        if (nonzero > taps).any():
            self.wrong(group, "fan_out_nonzero exceeds fan_out: it counts a part of the same synapses")
        return int(taps.sum()), int(nonzero.sum())

    def classes(self, file: h5py.File, name: str, samples: int) -> tuple[int, ...]:
        if name not in file:
            return ()
        dataset = self.dataset(file, name, (samples,))
        return () if dataset is None else tuple(int(label) for label in dataset[()])

    # -- one field ----------------------------------------------------------------------------------------------------

    def attribute(self, group: h5py.Group, name: str, default: _T) -> _T:
        """The attribute, or the default if it is absent."""
        value: _T = group.attrs.get(name, default)
        return value

    def text(self, group: h5py.Group, name: str, default: str | None = None) -> str:
        value = self.attribute(group, name, default)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, str):
            return str(value)
        self.wrong(group, f"attribute {name!r} " + ("is missing" if value is None else "is not a string"))
        return ""

    def choice(self, group: h5py.Group, name: str, allowed: tuple[_Choice, ...]) -> _Choice:
        value = self.text(group, name)
        if value in allowed:
            return value
        if value:
            self.wrong(group, f"{name} = {value!r}, but must be one of {', '.join(allowed)}")
        return allowed[-1]

    def integer(self, group: h5py.Group, name: str, *, at_least: int = -(2**62), default: int | None = None) -> int:
        value = self.attribute(group, name, default)
        if value is None:
            self.wrong(group, f"attribute {name!r} is missing")
        elif not isinstance(value, int | np.integer | np.bool_):
            self.wrong(group, f"attribute {name!r} is not an integer")
        elif value < at_least:
            self.wrong(group, f"{name} = {value}, but must be at least {at_least}")
        else:
            return int(value)
        return max(at_least, 0)

    def position(self, group: h5py.Group, name: str) -> int | None:
        value = self.integer(group, name, at_least=-1, default=-1)
        return None if value == -1 else value

    def shape(self, group: h5py.Group) -> Shape:
        sizes: npt.NDArray[Any] = np.atleast_1d(self.attribute(group, "shape", ()))
        if sizes.size and np.issubdtype(sizes.dtype, np.integer) and sizes.min() > 0:
            return tuple(int(size) for size in sizes)
        self.wrong(group, f"shape = {sizes.tolist()}, but must list positive integers")
        return (1,)

    def json(self, group: h5py.Group, name: str, default: _T) -> _T:
        text = self.text(group, name, default="")
        try:
            value = json.loads(text) if text else default
        except json.JSONDecodeError:
            value = None
        if isinstance(value, type(default)):
            return value
        self.wrong(group, f"attribute {name!r} is not a JSON {'object' if isinstance(default, dict) else 'list'}")
        return default

    def dataset(self, group: h5py.Group, name: str, shape: Shape) -> h5py.Dataset | None:
        """The integer dataset of that shape, or None after reporting what is wrong with it."""
        dataset = group.get(name)
        if not isinstance(dataset, h5py.Dataset):
            self.wrong(group, f"dataset {name!r} is missing")
        elif dataset.shape != shape:
            self.wrong(group, f"{name} has shape {dataset.shape}, but must have {shape}")
        elif dataset.dtype.kind not in "iub":
            self.wrong(group, f"{name} holds {dataset.dtype}, but must hold integers")
        else:
            return dataset
        return None

    # -- the whole ----------------------------------------------------------------------------------------------------

    def _check_format(self, file: h5py.File) -> None:
        found, version = file.attrs.get("format"), file.attrs.get("version")
        if found != FORMAT:
            raise UserError(f"{self.path}: format is {found!r}, but must be {FORMAT!r}; is this an activity file?")
        if version != VERSION:
            raise UserError(f"{self.path}: version {version} is not known, this program reads version {VERSION}")

    def _groups(self, file: h5py.File, name: str) -> Iterator[h5py.Group]:
        parent = file.get(name)
        if not isinstance(parent, h5py.Group):
            self.violations.append(f"{self.path}: group /{name} is missing")
            return
        for key, member in parent.items():
            if not isinstance(member, h5py.Group):
                self.violations.append(f"{self.path}: /{name}/{key} is not a group")
            elif name == "edges" and not key.isdecimal():
                self.violations.append(f"{self.path}: /edges/{key} is not numbered")
            else:
                yield member

    def _sound(self, name: str, nodes: dict[str, Node]) -> bool:
        return name in nodes and name not in self.unsound

    def wrong(self, group: h5py.Group, what: str) -> None:
        self.violations.append(f"{self.path}: {group.name}: {what}")

    def _stop_if_wrong(self) -> None:
        if self.violations:
            raise UserError(self.violations)


def _edge_index(group: h5py.Group) -> int:
    return int(group.name.rpartition("/")[2])


def _listed(names: Sequence[str] | dict[str, Node], limit: int = 8) -> str:
    shown = list(names)[:limit]
    return ", ".join(shown) + (", …" if len(names) > limit else "")
