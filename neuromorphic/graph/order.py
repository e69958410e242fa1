"""The order of a graph's nodes, and where time passes in its loops.

A loop must hold at least one time step. Where no Delay of one step or more is in it, one edge that leaves a neuron
arrives one step later, a *back edge*. Which one: of the nodes of a loop take the one nearest to an input (then the
first by name) and go back from it through linear nodes to the neurons that feed it; their edges on that way are the
back edges. What remains is ordered in the same way until no loop is left.
"""

from __future__ import annotations

from typing import Any

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.loops import groups, is_loop, way_around

Edge = tuple[str, str]
Preds = dict[str, tuple[str, ...]]


def sorted_nodes(name: str, nodes: dict[str, Any], preds: Preds, dt: float) -> tuple[tuple[str, ...], frozenset[Edge]]:
    """The nodes of the graph `name` in an order in which they can be computed, and the back edges.

    Returns:
        Each node behind its predecessors, except at a back edge and, within a loop, behind a Delay of one step or more,
        which needs nothing of the present step. The members of a loop stand side by side.

    Raises:
        UserError: with the nodes of a loop that holds no neuron, or that no input leads to.
    """
    distance = _distances(nodes, preds)
    _refuse_loops(
        f"{name}: no input reaches",
        [node for node in nodes if node not in distance],
        preds,
        "connect an Input node to it",
    )
    linear = [node for node, value in nodes.items() if rule_of(value).kind == "linear"]
    _refuse_loops(f"{name}: no neuron is in", linear, preds, "put a neuron into it, or unroll it")
    present: Preds = {}  # of each node, the predecessors within its loop that it needs in the same step
    order: list[str] = []
    back: set[Edge] = set()
    waiting = []
    for group in groups(nodes, preds):
        own = set(group)
        for node in group:
            present[node] = (
                () if rule_of(nodes[node]).is_late(nodes[node], dt) else tuple(p for p in preds[node] if p in own)
            )
        waiting += groups(group, present)
    waiting.reverse()  # what comes next is on top
    while waiting:
        group = waiting.pop()
        if not is_loop(group, present):
            order += group
            continue
        members = set(group)
        within = {node: [p for p in present[node] if p in members] for node in group}
        first = min(group, key=lambda node: (distance[node], node))
        for source, target in _edges_from_neurons(first, nodes, within):
            back.add((source, target))
            present[target] = tuple(p for p in present[target] if p != source)
        waiting += reversed(groups(group, present))
    return tuple(order), frozenset(back)


def _refuse_loops(what: str, nodes: list[str], preds: Preds, remedy: str) -> None:
    for group in groups(nodes, preds):
        if is_loop(group, preds):
            raise UserError(f"{what} the loop {' → '.join(way_around(group[0], preds, group))}; {remedy}")


def _distances(nodes: dict[str, Any], preds: Preds) -> dict[str, int]:
    """Number of edges from the nearest input, of every node that one leads to."""
    succs: dict[str, list[str]] = {node: [] for node in nodes}
    for node in nodes:
        for pred in preds[node]:
            succs[pred].append(node)
    distance = {node: 0 for node, value in nodes.items() if rule_of(value).kind == "input"}
    reached = list(distance)
    for node in reached:
        for succ in succs[node]:
            if succ not in distance:
                distance[succ] = distance[node] + 1
                reached.append(succ)
    return distance


def _edges_from_neurons(first: str, nodes: dict[str, Any], preds: dict[str, list[str]]) -> list[Edge]:
    """The edges that leave neurons and lead to `first` through linear nodes only."""
    found = []
    met, reached = {first}, [first]
    for node in reached:
        for pred in preds[node]:
            if rule_of(nodes[pred]).kind != "linear":
                found.append((pred, node))
            elif pred not in met:
                met.add(pred)
                reached.append(pred)
    return found
