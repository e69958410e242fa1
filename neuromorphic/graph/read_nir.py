"""Reads a NIR file or takes a graph in memory, and validates it: known shapes, an explicit dt, labels.

NIR stores neither dt nor any certainty that a file is sound. Everything that lowering relies on is established here,
once: known node types, existing endpoints, parameters of their types and within their ranges, one shape for each node,
an order in which all can be computed, a size that memory has room for, and the time step that the parameters were
written for.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import nir

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import sha256_of
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.metadata import metadata_violations
from snnergy.neuromorphic.graph.nir_file import load
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.order import sorted_nodes
from snnergy.neuromorphic.graph.silent import as_readouts
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.graph.time_step import choose_dt
from snnergy.neuromorphic.graph.validate import (
    infer_shapes,
    parameter_violations,
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
    return from_graph(load(path), dt, name=path.name, sha256=sha256_of(path))


def from_graph(graph: nir.NIRGraph, dt: float | None = None, *, name: str = "graph", sha256: str = "") -> NirSource:
    """Validate a graph in memory; see `read_nir`."""
    nodes: dict[str, Any] = dict(graph.nodes)
    edges = [(str(a), str(b)) for a, b in graph.edges]
    violations = type_violations({node: type(value).__name__ for node, value in nodes.items()})
    if not violations:
        violations = [*structure_violations(nodes, edges), *parameter_violations(nodes)]
        violations += metadata_violations(nodes, graph.metadata)
    if violations:
        raise UserError([f"{name}: {violation}" for violation in violations])
    nodes = as_readouts(nodes, edges)
    sources: dict[str, list[str]] = defaultdict(list)
    for a, b in edges:
        sources[b].append(a)
    preds = {node: tuple(sources[node]) for node in nodes}
    dt, reason = choose_dt(graph, dt)
    order, back = sorted_nodes(name, nodes, preds, dt)
    shapes = infer_shapes(name, nodes, order, preds)
    roundings = {node: rule_of(nodes[node]).rounding(nodes[node], dt) for node in order}
    notes = tuple(f"node {node!r}: {text}" for node, text in roundings.items() if text)
    return NirSource(nodes, order, back, preds, shapes, Conventions(dt), reason, name, sha256, notes)
