"""What can be wrong with a graph: unknown types, loose ends, numbers that are none, shapes that do not meet, cycles."""

from __future__ import annotations

import graphlib
from typing import Any

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.nodes import RULES, rule_of

_NESTED = "NIRGraph"
_KNOWN = {kind.__name__ for kind in RULES} | {_NESTED}


def type_violations(types: dict[str, str]) -> list[str]:
    """A line for each node whose type, given by its name, is not in the table."""
    return [
        f"node {name!r} has unknown type {kind!r}; known are {sorted(_KNOWN)}"
        for name, kind in types.items()
        if kind not in _KNOWN
    ]


def structure_violations(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[str]:
    """A line for each edge and node, all of known types, that is out of place."""
    found = []
    for a, b in edges:
        found += [f"edge {a!r} → {b!r} is dangling: there is no node {end!r}" for end in (a, b) if end not in nodes]
    found += [
        f"edge {a!r} → {b!r} appears twice; use a Scale of 2" for a, b in sorted(set(edges)) if edges.count((a, b)) > 1
    ]
    targets, sources = {b for _, b in edges}, {a for a, _ in edges}
    for name, node in nodes.items():
        kind = type(node).__name__
        if kind == _NESTED:
            found.append(f"node {name!r} is a nested graph; flatten the graph before lowering")
        elif rule_of(node).kind != "input" and name not in targets:
            found.append(f"node {name!r} ({kind}) has no input; connect it to an Input node")
        elif rule_of(node).kind != "output" and name not in sources:
            found.append(f"node {name!r} ({kind}) leads nowhere; connect it to an Output node or remove it")
    types = [type(node) for node in nodes.values()]
    found += [
        f"the graph has no {rule.nir_type.__name__} node"
        for rule in RULES.values()
        if rule.kind in ("input", "output") and rule.nir_type not in types
    ]
    return found


def parameter_violations(nodes: dict[str, Any]) -> list[str]:
    """A line for each array of a node that holds a value which is no number."""
    found = []
    for name, node in nodes.items():
        for field, value in vars(node).items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                bad = int((~np.isfinite(value)).sum())
                found.append(
                    f"node {name!r}: {field} holds {bad} NaN or infinite values of {value.size}; export it again"
                )
    return found


def sorted_nodes(name: str, preds: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The nodes of the graph `name`, each behind its predecessors.

    Raises:
        UserError: with the nodes of a cycle.
    """
    try:
        return tuple(graphlib.TopologicalSorter(preds).static_order())
    except graphlib.CycleError as error:
        raise UserError(
            f"{name}: the graph has a cycle ({' → '.join(reversed(error.args[1]))}); recurrent graphs are not "
            "supported yet, unroll or remove the loop"
        ) from error


def infer_shapes(
    name: str, nodes: dict[str, Any], order: tuple[str, ...], preds: dict[str, tuple[str, ...]]
) -> dict[str, Shape]:
    """What each node of the graph `name` emits.

    Raises:
        UserError: nodes of different shape are summed, or one does not take what reaches it.
    """
    shapes: dict[str, Shape] = {}
    violations = []
    for node in order:
        incoming = {shapes[p] for p in preds[node] if p in shapes}
        if len(incoming) > 1:
            violations.append(f"{name}: node {node!r} sums different shapes {sorted(incoming)}")
        try:
            shapes[node] = rule_of(nodes[node]).output_shape(nodes[node], next(iter(incoming), None))
        except ValueError as error:
            violations.append(f"{name}: node {node!r} ({type(nodes[node]).__name__}): {error}")
            break
    if violations:
        raise UserError(violations)
    return shapes
