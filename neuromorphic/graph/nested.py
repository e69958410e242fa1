"""Takes nested graphs apart: their nodes stand in the outer graph, as `OUTER.INNER`, joined by the same edges.

What an inner graph takes and gives away runs through its Input and Output nodes, which are no nodes of the result: an
edge into an inner graph goes on to what its Input leads to.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import nir

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.nodes import RULES
from snnergy.neuromorphic.graph.nodes.rule import Kind
from snnergy.neuromorphic.graph.validate import EDGES_MAX, NODES_MAX

DEPTH_MAX = 8  # graphs within graphs; frameworks write one
Edge = tuple[str, str]


def flattened(graph: nir.NIRGraph) -> tuple[dict[str, Any], list[Edge]]:
    """Nodes and edges of a graph whose nodes may be graphs, without any that is one.

    Raises:
        UserError: they are nested too deeply or have too many nodes or edges, two nodes would have one name, or an edge
            may end at any of several ports.
    """
    flat = _Flat()
    flat.take(graph, "", 0)
    if not flat.inner:
        return flat.nodes, flat.edges
    flat.resolve()
    return _without_ports(flat)


@dataclass
class _Flat:
    """inner: Input and Output nodes of each nested graph, by its name."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    inner: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    def take(self, graph: nir.NIRGraph, prefix: str, depth: int) -> None:
        """Add all nodes of `graph`, called `prefix` and their own name."""
        if depth > DEPTH_MAX:
            raise UserError(f"node {prefix[:-1]!r}: is a graph within {depth} others, {DEPTH_MAX} are allowed")
        for name, node in graph.nodes.items():
            path = f"{prefix}{name}"
            if path in self.nodes or path in self.inner:
                raise UserError(f"node {path!r}: two nodes have this name once nested graphs are flattened; rename one")
            if isinstance(node, nir.NIRGraph):
                self.inner[path] = (_ports(node, "input", path), _ports(node, "output", path))
                self.take(node, f"{path}.", depth + 1)
            else:
                self.nodes[path] = node
            if len(self.nodes) + len(self.inner) > NODES_MAX:
                raise UserError(f"more nodes than {NODES_MAX:,}, with those of nested graphs; so many are allowed")
        self.edges += [(f"{prefix}{a}", f"{prefix}{b}") for a, b in graph.edges]

    def resolve(self) -> None:
        """Let edges that end at a nested graph end at its Input or Output."""
        violations: list[str] = []

        def end(name: str, side: int) -> str:
            ports = self.inner[name][side] if name in self.inner else [name]
            if len(ports) != 1:
                kind = "Output" if side else "Input"
                example = f"write edges to one by name, as {ports[0]!r}" if ports else "give it one"
                violations.append(f"node {name!r}: the nested graph has {len(ports)} {kind} nodes; {example}")
            return ports[0] if ports else name

        self.edges = [(end(a, 1), end(b, 0)) for a, b in self.edges]
        if violations:
            raise UserError([*dict.fromkeys(violations)])


def _ports(graph: nir.NIRGraph, kind: Kind, path: str) -> list[str]:
    kinds = {name: RULES[type(node)].kind for name, node in graph.nodes.items() if type(node) in RULES}
    return [f"{path}.{name}" for name, found in kinds.items() if found == kind]


def _without_ports(flat: _Flat) -> tuple[dict[str, Any], list[Edge]]:
    """The graph with each inner port replaced by the edges that run through it."""
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for a, b in flat.edges:
        after[a].append(b)
        before[b].append(a)
    ports = [port for sides in flat.inner.values() for side in sides for port in side]
    total = len(flat.edges)
    for port in ports:
        sources, targets = before.pop(port, []), after.pop(port, [])
        if port in sources:
            raise UserError(f"node {port!r}: leads to itself through nothing but nested graphs; remove the edge")
        total += len(sources) * len(targets) - len(sources) - len(targets)
        if total > EDGES_MAX:
            raise UserError(f"{total:,} edges once nested graphs are flattened, {EDGES_MAX:,} are allowed")
        for a in sources:
            after[a] = [b for b in after[a] if b != port] + targets
        for b in targets:
            before[b] = [a for a in before[b] if a != port] + sources
    nodes = {name: node for name, node in flat.nodes.items() if name not in set(ports)}
    return nodes, [(a, b) for a, targets in after.items() for b in targets]
