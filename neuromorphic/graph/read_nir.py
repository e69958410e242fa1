"""Reads a NIR file or takes a graph in memory, and validates it: known shapes, an explicit dt, labels.

NIR stores neither dt nor any certainty that a file is sound. Everything that lowering relies on is established here,
once: nested graphs taken apart, known node types, existing endpoints, parameters of their types and within their
ranges, one shape for each node, an order in which all can be computed, a size that memory has room for, and the
conventions that the parameters were
written for.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import sha256_of
from snnergy.neuromorphic.graph.conventions import Gains, Integrations, Resets, SpikesBy, choose
from snnergy.neuromorphic.graph.drive import silent
from snnergy.neuromorphic.graph.input_kinds import DECLARING, InputKind, declared_port, kinds_by_name
from snnergy.neuromorphic.graph.layout import laid_out
from snnergy.neuromorphic.graph.metadata import SMALLEST, held_in, read_metadata
from snnergy.neuromorphic.graph.nested import flattened
from snnergy.neuromorphic.graph.nir_file import Stored, load
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.order import sorted_nodes
from snnergy.neuromorphic.graph.silent import as_readouts
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.graph.time_step import choose_dt, hints
from snnergy.neuromorphic.graph.validate import (
    parameter_violations,
    structure_violations,
    type_violations,
)
from snnergy.neuromorphic.ir import InputPort

InputKinds = InputKind | Mapping[str, InputKind]


@dataclass(frozen=True)
class Asked:
    """What a user says of a graph, as `read_nir` describes it; None leaves it to the graph."""

    dt: float | None = None
    reset: Resets | None = None
    spikes: SpikesBy | None = None
    integration: Integrations | None = None
    gain: Gains | None = None
    input_kind: InputKinds | None = None


def read_nir(
    path: Path,
    dt: float | None = None,
    *,
    reset: Resets | None = None,
    spikes: SpikesBy | None = None,
    integration: Integrations | None = None,
    gain: Gains | None = None,
    input_kind: InputKinds | None = None,
) -> NirSource:
    """Read and validate `path`.

    Args:
        dt: time step; None takes it from the file's metadata or parameters.
        reset, spikes, integration, gain: of all neurons, or of single ones by name, as in `Conventions`; None leaves
            the reset to the file and its version, and is one spike, Euler's step and the gain of the file.
        input_kind: what inputs send, one for all or one for each name; None leaves it to the metadata and samples.

    Raises:
        UserError: with every violation found.
        UndecidedStep: the parameters do not tell the time step.
    """
    return from_stored(load(path), Asked(dt, reset, spikes, integration, gain, input_kind), path.name, sha256_of(path))


def from_graph(
    graph: nir.NIRGraph,
    dt: float | None = None,
    *,
    reset: Resets | None = None,
    spikes: SpikesBy | None = None,
    integration: Integrations | None = None,
    gain: Gains | None = None,
    input_kind: InputKinds | None = None,
    name: str = "graph",
    sha256: str = "",
) -> NirSource:
    """Validate a graph in memory, whose neurons say what they reset to; see `read_nir`."""
    return from_stored(Stored(graph, "", True), Asked(dt, reset, spikes, integration, gain, input_kind), name, sha256)


def from_stored(stored: Stored, asked: Asked, name: str, sha256: str) -> NirSource:
    """Validate what a file holds; see `read_nir`."""
    nodes, edges = _flat(stored.graph, name)
    names = [node for node, value in nodes.items() if rule_of(value).kind == "input"]
    kinds = kinds_by_name(names, asked.input_kind)
    metadata = read_metadata(nodes, stored.graph.metadata, dt_given=asked.dt is not None, kinds_given=kinds)
    violations = [*structure_violations(nodes, edges), *parameter_violations(nodes), *metadata.violations]
    if violations:
        raise UserError([f"{name}: {violation}" for violation in violations])
    nodes = as_readouts(_labelled(nodes, metadata.nodes), edges)
    sources: dict[str, list[str]] = defaultdict(list)
    for a, b in edges:
        sources[b].append(a)
    preds = {node: tuple(sources[node]) for node in nodes}
    # Whatever the step: here the order only leads from shapes that are known to the others.
    layout = laid_out(name, nodes, sorted_nodes(name, nodes, preds, SMALLEST)[0], preds)
    ports = tuple(
        declared_port(n, layout.shapes[n], metadata.nodes[n], kinds.get(n)) for n in layout.order if n in names
    )
    conventions, reset_reason = choose(
        {"reset": asked.reset, "spikes": asked.spikes, "integration": asked.integration, "gain": asked.gain},
        [node for node in layout.order if rule_of(layout.nodes[node]).kind in ("neuron", "readout")],
        SMALLEST,
        stored.version,
        stored.resets,
    )
    magnitudes = {port.name: _largest(port) for port in ports}
    step = choose_dt(
        name,
        layout.nodes,
        metadata.graph.get("dt"),
        asked.dt,
        lambda dt: silent(layout, magnitudes, replace(conventions, dt=dt)),
    )
    order, back = sorted_nodes(name, layout.nodes, layout.preds, step.dt)
    roundings = {node: rule_of(layout.nodes[node]).rounding(layout.nodes[node], step.dt) for node in order}
    return NirSource(
        nodes=layout.nodes,
        order=order,
        back=back,
        preds=layout.preds,
        shapes=layout.shapes,
        conventions=replace(conventions, dt=step.dt),
        dt_reason=step.reason,
        name=name,
        sha256=sha256,
        inputs=ports,
        declared_inputs=frozenset(n for n in names if n in kinds or DECLARING & metadata.nodes[n].keys()),
        reset_reason=reset_reason,
        other_dts=step.others,
        notes=(
            *metadata.notes,
            *layout.notes,
            *step.notes,
            *(() if asked.integration or asked.gain else hints(layout.nodes)),
            *(f"node {node!r}: {text}" for node, text in roundings.items() if text),
        ),
        held=held_in(metadata),
    )


def _flat(graph: nir.NIRGraph, name: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Nodes of known types, and edges, of a graph without those in it."""
    try:
        nodes, edges = flattened(graph)
    except UserError as error:
        raise UserError([f"{name}: {violation}" for violation in error.violations]) from error
    if violations := type_violations({node: type(value).__name__ for node, value in nodes.items()}):
        raise UserError([f"{name}: {violation}" for violation in violations])
    return nodes, edges


def _labelled(nodes: dict[str, Any], metadata: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The nodes, which stay as they are, with the metadata that is used of each."""
    labelled = {name: copy.copy(node) for name, node in nodes.items()}
    for name, node in labelled.items():
        node.metadata = metadata[name]
    return labelled


def _largest(port: InputPort) -> float:
    """Largest value that an input can send; one that nobody declared is taken for spikes."""
    if port.value_class == "binary" or port.scale == 0:
        return 1.0
    return port.scale * ((1 << port.bits) - 1)
