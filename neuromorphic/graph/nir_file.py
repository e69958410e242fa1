"""Reads a `.nir` file into a graph: only what nodes of known types need, and none of it before it has been looked at.

The types and fields are those of nir; its own reader takes every field of a file, follows every link, and answers most
mistakes with a bare assertion.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import FAULTS, Unreadable, opened, read_dataset
from snnergy.artefacts.kinds import NIR, require
from snnergy.neuromorphic.graph.layout import one_shape
from snnergy.neuromorphic.graph.nodes import RULES
from snnergy.neuromorphic.graph.validate import EDGES_MAX, NESTED, NODES_MAX, type_violations

_REMAKE = "write the file again with nir 1.0.8"
_TYPES = {kind.__name__: kind for kind in RULES}


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    graph: its fields not yet held against what their types mean. version: nir's that wrote it, empty where it does not
    say. resets: whether neurons say what they reset to, as they do since 1.0.5.
    """

    graph: nir.NIRGraph
    version: str
    resets: bool


def load(path: Path) -> Stored:
    """Read a file.

    Raises:
        UserError: with every member of the file that cannot be read or built.
    """
    require((path, NIR))
    with opened(path, _REMAKE, title="NIR file") as file:
        return _Reader(str(path)).stored(file)


@dataclass
class _Reader:
    """Collects what is wrong with the file called `name`. resets: whether a node so far has a v_reset."""

    name: str
    violations: list[str] = field(default_factory=list)
    resets: bool = False

    def stored(self, file: h5py.File) -> Stored:
        """The graph at /node, and what the file says of itself."""
        root = file.get("node")
        if not isinstance(root, h5py.Group) or not isinstance(root.get("nodes"), h5py.Group):
            raise UserError(f"{self.name}: HDF5, but not a NIR graph (no /node/nodes); {_REMAKE}")
        graph = self._graph("/node", root)
        version = self._member("/version", file["version"]) if "version" in file else ""
        self._stop_if_wrong()
        return Stored(graph, version if isinstance(version, str) else "", self.resets)

    def _graph(self, where: str, root: h5py.Group) -> nir.NIRGraph:
        """The graph of the group `where` with those in it, whose depth and number `opened` has held to its limits."""
        groups = root.get("nodes")
        if not isinstance(groups, h5py.Group):
            self._refuse(where, "is a graph without nodes")
            return nir.NIRGraph({}, [], {}, type_check=False)
        if len(groups) > NODES_MAX:
            raise UserError(f"{self.name}: {where}/nodes: holds {len(groups):,} nodes, {NODES_MAX:,} are allowed")
        types = {name: self._type(f"{where}/nodes/{name}", group) for name, group in groups.items()}
        unknown = type_violations({name: kind for name, kind in types.items() if kind not in ("", NESTED)})
        self.violations += [f"{self.name}: {violation}" for violation in unknown]
        self._stop_if_wrong()
        nodes = {name: self._node(f"{where}/nodes/{name}", kind, groups[name]) for name, kind in types.items()}
        edges = self._edges(f"{where}/edges", root)
        metadata = self._members(f"{where}/metadata", root["metadata"]) if "metadata" in root else {}
        self._stop_if_wrong()
        # Checked later instead: nir's own check rejects grouped convolutions and stops at the first finding.
        return nir.NIRGraph(nodes, edges, metadata, type_check=False)

    def _type(self, where: str, group: h5py.Group | h5py.Dataset) -> str:
        if not isinstance(group, h5py.Group):
            self._refuse(where, "is no group")
            return ""
        kind = self._member(f"{where}/type", group["type"]) if "type" in group else None
        if not isinstance(kind, str) or not kind:
            self._refuse(where, "has no type")
            return ""
        return kind

    def _node(self, where: str, kind: str, group: h5py.Group) -> Any:
        if kind == NESTED:
            return self._graph(where, group)
        found = self._members(where, group)
        self.resets |= "v_reset" in found
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):  # of what is held against its limits later
                warnings.simplefilter("ignore")
                return _TYPES[kind].from_dict(one_shape(found))  # type: ignore[attr-defined]
        except (AssertionError, *FAULTS) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
            self._refuse(where, f"nir cannot build a {kind} of it ({reason})")
            return None

    def _members(self, where: str, group: h5py.Group | h5py.Dataset) -> Any:
        """Values of a group by name, groups in it as dicts of their own."""
        if isinstance(group, h5py.Dataset):
            return self._member(where, group)
        return {name: self._members(f"{where}/{name}", member) for name, member in group.items()}

    def _member(self, where: str, dataset: h5py.Group | h5py.Dataset) -> Any:
        """The value of one dataset, or None after noting why there is none."""
        try:
            if not isinstance(dataset, h5py.Dataset):
                raise Unreadable("is a group, not a value")
            value = read_dataset(dataset)
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        except Unreadable as error:
            self._refuse(where, str(error))
            return None

    def _edges(self, where: str, root: h5py.Group) -> list[tuple[str, str]]:
        stored_size = getattr(root.get("edges"), "size", 0) or 0  # None of a dataset without a space
        if stored_size > 2 * EDGES_MAX:
            self._refuse(where, f"holds more than {EDGES_MAX:,} edges")
            return []
        stored = np.asarray(self._member(where, root["edges"]) if "edges" in root else np.empty((0, 2)))
        if stored.size == 0:
            return []
        if stored.ndim != 2 or stored.shape[1] != 2 or not isinstance(stored[0, 0], bytes | str):
            self._refuse(where, f"holds {stored.dtype} of shape {stored.shape}, must hold pairs of names")
            return []
        return [(_text(a), _text(b)) for a, b in stored]

    def _refuse(self, where: str, problem: str) -> None:
        self.violations.append(f"{self.name}: {where}: {problem}; {_REMAKE}")

    def _stop_if_wrong(self) -> None:
        if self.violations:
            raise UserError(self.violations)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
