"""Reads a NIR file into a validated graph with known shapes, an explicit dt and labels.

NIR stores neither dt nor any certainty that a file is sound, and its own reader answers most mistakes with a bare
assertion. Everything that lowering relies on is established here, once: known node types, existing endpoints,
finite parameters, one shape for each node, no cycle, and the time step that the parameters were written for.
"""

from __future__ import annotations

import graphlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Labels, Shape
from snnergy.neuromorphic.graph.shapes import output_shape
from snnergy.neuromorphic.ir import InputPort

NEURONS = (nir.LIF, nir.IF, nir.CubaLIF, nir.Threshold)
READOUTS = (nir.I, nir.LI, nir.CubaLI)
LINEAR = (
    nir.Affine,
    nir.AvgPool2d,
    nir.Conv1d,
    nir.Conv2d,
    nir.Delay,
    nir.Flatten,
    nir.Linear,
    nir.Scale,
    nir.SumPool2d,
)
_KNOWN = {t.__name__ for t in (*NEURONS, *READOUTS, *LINEAR, nir.Input, nir.Output, nir.NIRGraph)}
# Published reference graphs that store no dt were written with this step (NIR paper, Pedersen et al. 2024).
_CUSTOMARY_DT = 1e-4


@dataclass(frozen=True)
class NirSource:
    """A sound NIR graph.

    order: node names, topologically sorted. preds: predecessors of each node. shapes: what each node emits.
    dt: time step in the unit of the file's time constants; dt_reason says where it came from.
    """

    nodes: dict[str, Any]
    order: tuple[str, ...]
    preds: dict[str, tuple[str, ...]]
    shapes: dict[str, Shape]
    dt: float
    dt_reason: str
    name: str
    sha256: str

    def of_type(self, *types: type) -> tuple[str, ...]:
        """Names of the nodes of the given types, in topological order."""
        return tuple(name for name in self.order if isinstance(self.nodes[name], types))

    def labels(self, name: str) -> Labels:
        """Labels that the exporter left in the node's metadata; empty for a foreign graph."""
        metadata = self.nodes[name].metadata

        def number(key: str) -> int | None:
            return int(metadata[key]) if key in metadata else None

        return Labels(
            str(metadata.get("role", "")), number("stage"), number("block"), str(metadata.get("modality", ""))
        )

    def ports(self) -> tuple[InputPort, ...]:
        """The inputs as their metadata declares them; an undeclared one is analog, its scale 0 until calibrated."""
        return tuple(self._port(name) for name in self.of_type(nir.Input))

    def _port(self, name: str) -> InputPort:
        metadata, shape = self.nodes[name].metadata, self.shapes[name]
        if str(metadata.get("value_class", "real")) == "binary":
            return InputPort(name, shape, "binary")
        scale, bits = float(metadata.get("scale", 0.0)), int(metadata.get("bits", 8))
        return InputPort(name, shape, "real", scale, bits, bool(metadata.get("signed", False)))


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
    violations = [*_structure_violations(nodes, edges), *_parameter_violations(nodes)]
    if violations:
        raise UserError([f"{name}: {violation}" for violation in violations])
    preds = {node: tuple(a for a, b in edges if b == node) for node in nodes}
    try:
        order = tuple(graphlib.TopologicalSorter(preds).static_order())
    except graphlib.CycleError as error:
        raise UserError(
            f"{name}: the graph has a cycle ({' → '.join(reversed(error.args[1]))}); recurrent graphs are not "
            "supported yet, unroll or remove the loop"
        ) from error
    shapes = _infer_shapes(name, nodes, order, preds)
    dt, reason = _choose_dt(graph, nodes, dt)
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
    unknown = [
        f"{path}: node {name!r} has unknown type {kind!r}; known are {sorted(_KNOWN)}"
        for name, kind in types.items()
        if kind not in _KNOWN
    ]
    if unknown:
        raise UserError(unknown)
    try:
        # Checked below instead: nir's own check rejects grouped convolutions and stops at the first finding.
        return nir.read(path, type_check=False)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: nir cannot build the graph ({error}); write the file again with nir 1.0.8") from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _structure_violations(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[str]:
    found = []
    for a, b in edges:
        found += [f"edge {a!r} → {b!r} is dangling: there is no node {end!r}" for end in (a, b) if end not in nodes]
    found += [
        f"edge {a!r} → {b!r} appears twice; use a Scale of 2" for a, b in sorted(set(edges)) if edges.count((a, b)) > 1
    ]
    targets, sources = {b for _, b in edges}, {a for a, _ in edges}
    for name, node in nodes.items():
        if isinstance(node, nir.NIRGraph):
            found.append(f"node {name!r} is a nested graph; flatten the graph before lowering")
        elif not isinstance(node, nir.Input) and name not in targets:
            found.append(f"node {name!r} ({type(node).__name__}) has no input; connect it to an Input node")
        elif not isinstance(node, nir.Output) and name not in sources:
            found.append(
                f"node {name!r} ({type(node).__name__}) leads nowhere; connect it to an Output node or remove it"
            )
    kinds = [type(node) for node in nodes.values()]
    found += [f"the graph has no {kind.__name__} node" for kind in (nir.Input, nir.Output) if kind not in kinds]
    return found


def _parameter_violations(nodes: dict[str, Any]) -> list[str]:
    found = []
    for name, node in nodes.items():
        for field, value in vars(node).items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                bad = int((~np.isfinite(value)).sum())
                found.append(
                    f"node {name!r}: {field} holds {bad} NaN or infinite values of {value.size}; export it again"
                )
    return found


def _infer_shapes(
    name: str, nodes: dict[str, Any], order: tuple[str, ...], preds: dict[str, tuple[str, ...]]
) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    violations = []
    for node in order:
        incoming = {shapes[p] for p in preds[node] if p in shapes}
        if len(incoming) > 1:
            violations.append(f"{name}: node {node!r} sums different shapes {sorted(incoming)}")
        try:
            shapes[node] = output_shape(nodes[node], next(iter(incoming), None))
        except ValueError as error:
            violations.append(f"{name}: node {node!r} ({type(nodes[node]).__name__}): {error}")
            break
    if violations:
        raise UserError(violations)
    return shapes


def _choose_dt(graph: nir.NIRGraph, nodes: dict[str, Any], dt: float | None) -> tuple[float, str]:
    if dt is not None:
        if not dt > 0:
            raise UserError(f"dt {dt}: must be above 0; give the step the time constants were written for")
        return dt, "given"
    if "dt" in graph.metadata:
        return float(graph.metadata["dt"]), "from the file's metadata"
    taus = [np.min(getattr(node, f)) for node in nodes.values() for f in ("tau", "tau_mem") if hasattr(node, f)]
    if taus and min(taus) >= 1:
        return 1.0, "guessed: every time constant is at least 1, so they count steps; pass --dt to change"
    return _CUSTOMARY_DT, f"guessed: the customary {_CUSTOMARY_DT:g}; pass --dt to change"
