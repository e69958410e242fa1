"""What can be wrong with a graph: unknown types, loose ends, numbers that are none."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.hdf5 import name_problem
from snnergy.neuromorphic.graph.nodes import RULES, rule_of
from snnergy.neuromorphic.graph.nodes.rule import Rule

# Fields of a node that others look at: shapes while they are inferred, metadata in `metadata.py`.
_NOT_PARAMETERS = ("input_type", "output_type", "metadata", "input_shape")
_LARGEST = 1e15  # of a parameter: far above any model's, and products of several are still finite
_LARGEST_SIZE = (1 << 31) - 1
NODES_MAX, EDGES_MAX = 3_000, 10_000  # of a graph, many times what our largest have: lowering looks at each pair
NESTED = "NIRGraph"  # a graph as a node, which is taken apart
_KNOWN = {kind.__name__ for kind in RULES}


def type_violations(types: dict[str, str]) -> list[str]:
    """A line for each node whose type, given by its name, is not in the table."""
    return [
        f"node {name!r} has unknown type {kind!r}; known are {sorted({*_KNOWN, NESTED})}"
        for name, kind in types.items()
        if kind not in _KNOWN
    ]


def structure_violations(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[str]:
    """A line for each edge and node, all of known types, that is out of place."""
    if len(nodes) > NODES_MAX or len(edges) > EDGES_MAX:
        return [f"{len(nodes):,} nodes and {len(edges):,} edges, {NODES_MAX:,} and {EDGES_MAX:,} are allowed"]
    found = [f"node {name!r} {problem}; rename it" for name in nodes if (problem := name_problem(name))]
    for a, b in edges:
        found += [f"edge {a!r} → {b!r} is dangling: there is no node {end!r}" for end in (a, b) if end not in nodes]
    found += [
        f"edge {a!r} → {b!r} appears {'twice' if times == 2 else f'{times} times'}; use a Scale of {times}"
        for (a, b), times in sorted(Counter(edges).items())
        if times > 1
    ]
    targets, sources = {b for _, b in edges}, {a for a, _ in edges}
    for name, node in nodes.items():
        kind = type(node).__name__
        if rule_of(node).kind == "input" and name in targets:
            found.append(f"node {name!r} ({kind}) is fed by others; an Input only emits what it is given")
        elif rule_of(node).kind == "output" and name in sources:
            found.append(f"node {name!r} ({kind}) leads on; take the edge from the node before it")
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
    """A line for each field of a node that does not hold what it stands for."""
    return [
        f"node {name!r}: {field} {problem}"
        for name, node in nodes.items()
        for field, value in vars(node).items()
        if field not in _NOT_PARAMETERS and (problem := _problem(rule_of(node), field, value))
    ]


def _problem(rule: Rule, field: str, value: Any) -> str:
    """What is wrong with one field, empty where nothing is."""
    if field in rule.sizes and isinstance(value, str):  # a padding in words; its rule knows which there are
        return "" if field == "padding" else f"is {value!r}; must hold whole numbers"
    array = np.asarray(value)
    if array.dtype.kind not in "buif":
        return f"holds {array.dtype}; must hold real numbers"
    if field in rule.unbounded:
        array = np.where(array == np.inf, _LARGEST, array)
    if not np.isfinite(array).all():
        return f"holds {int((~np.isfinite(array)).sum())} NaN or infinite values of {array.size}; export it again"
    if array.size == 0:
        return "is empty"
    if field in rule.sizes:
        return _size_problem(array, rule.sizes[field])
    rank = rule.ranks.get(field, array.ndim)
    if array.ndim != rank:
        return f"has shape {array.shape}; must have {rank} axes"
    largest = max(abs(float(array.min())), abs(float(array.max())))
    if largest > _LARGEST:
        return f"reaches {largest:g}; {_LARGEST:g} is allowed"
    if field in rule.positive and array.min() <= 0:
        return f"goes down to {float(array.min()):g}; must be above 0"
    return ""


def _size_problem(array: npt.NDArray[Any], smallest: int) -> str:
    if array.size > 2 or array.ndim > 1:
        return f"has shape {array.shape}; must be one number, or one for height and one for width"
    if (array != np.rint(array)).any() or array.min() < smallest or array.max() > _LARGEST_SIZE:
        return f"is {array.tolist()}; must hold whole numbers from {smallest} to {_LARGEST_SIZE}"
    return ""
