"""Reads a NIR file or takes a graph in memory, and validates it: known shapes, an explicit dt, labels.

NIR stores neither dt nor any certainty that a file is sound, and its own reader answers most mistakes with a bare
assertion. Everything that lowering relies on is established here, once: known node types, existing endpoints,
finite parameters, one shape for each node, no cycle, and the time step that the parameters were written for.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import nir

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.graph.time_step import choose_dt
from snnergy.neuromorphic.graph.validate import (
    infer_shapes,
    parameter_violations,
    sorted_nodes,
    structure_violations,
    type_violations,
)


def read_nir(path: Path, dt: float | None = None) -> NirSource:
    """Read and validate `path`.

    Args:
        dt: time step; None takes it from the file's metadata, or a stated guess.

    Raises:
        UserError: with every violation found.
    """
    graph = _load(path)
    return from_graph(graph, dt, name=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def from_graph(graph: nir.NIRGraph, dt: float | None = None, *, name: str = "graph", sha256: str = "") -> NirSource:
    """Validate a graph in memory; see `read_nir`."""
    nodes: dict[str, Any] = dict(graph.nodes)
    edges = [(str(a), str(b)) for a, b in graph.edges]
    violations = type_violations({node: type(value).__name__ for node, value in nodes.items()})
    if not violations:
        violations = [*structure_violations(nodes, edges), *parameter_violations(nodes)]
    if violations:
        raise UserError([f"{name}: {violation}" for violation in violations])
    preds = {node: tuple(a for a, b in edges if b == node) for node in nodes}
    order = sorted_nodes(name, preds)
    shapes = infer_shapes(name, nodes, order, preds)
    dt, reason = choose_dt(graph, dt)
    return NirSource(nodes, order, preds, shapes, dt, reason, name, sha256)


def _load(path: Path) -> nir.NIRGraph:
    if not path.is_file():
        raise UserError(f"{path}: no such file; export one with export-nir")
    try:
        with h5py.File(path, "r") as file:
            if "node" not in file or "nodes" not in file["node"]:
                raise UserError(f"{path}: HDF5, but not a NIR graph (no /node/nodes); write it with nir.write")
            types = {name: _text(group["type"][()]) for name, group in file["node/nodes"].items()}
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: not a NIR file ({error}); NIR graphs are HDF5, written by nir.write") from error
    unknown = type_violations(types)
    if unknown:
        raise UserError([f"{path}: {violation}" for violation in unknown])
    try:
        # Checked below instead: nir's own check rejects grouped convolutions and stops at the first finding.
        return nir.read(path, type_check=False)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: nir cannot build the graph ({error}); write the file again with nir 1.0.8") from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
