"""Settles what arrays look like: axes that are none of a network's, flattened branches, one parameter for all neurons.

Frameworks leave a batch or time axis in an Input, flatten from 1 because there is one, and write one number where every
neuron has the same. All of it is put right here, so that everything behind sees one full shape for each node.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnergy.artefacts.budget import refuse_excess, refuse_work
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import elementwise_shape
from snnergy.neuromorphic.graph.nodes.wiring import ALL_JOINED

# What lowering holds at once: of a value its threshold, gain, bias and leak in float64 and their copies, of a parameter
# the float64 weight, its scaled copies and the integer one.
_BYTES_A_VALUE = 64
_BYTES_A_PARAMETER = 32
# Leading axes of every Input that are a batch's or time's, and axes that every Flatten counts before its input's.
_READINGS = ((0, 0), (1, 1), (2, 2), (0, 1))


@dataclass(frozen=True)
class Layout:
    """A graph whose nodes take what reaches them. shapes: what each emits.

    notes: what was read otherwise than it is written.
    """

    nodes: dict[str, Any]
    order: tuple[str, ...]
    preds: dict[str, tuple[str, ...]]
    shapes: dict[str, Shape]
    notes: tuple[str, ...]


def laid_out(name: str, nodes: dict[str, Any], order: tuple[str, ...], preds: dict[str, tuple[str, ...]]) -> Layout:
    """The graph `name` with a shape for each node, and every parameter in full.

    Raises:
        UserError: nodes of different shape are summed, or one does not take what reaches it; or all of them together
            ask for more than the budget has.
    """
    first: list[str] = []
    for leading, counted in _READINGS:
        changed = _read_as(nodes, leading, counted)
        if (leading or counted) and all(changed[node] is nodes[node] for node in nodes):
            continue
        shapes, sums, violations = _fitted(changed, order, preds)
        if not violations:
            break
        first = first or [f"{name}: {violation}" for violation in violations]
    else:
        raise UserError(first)
    _refuse_excess(name, changed, preds, shapes)
    notes = [
        f"input {node!r}: shape {_declared(nodes[node])} read as {shapes[node]}, without its batch or time axis"
        for node in order
        if leading and changed[node] is not nodes[node] and rule_of(nodes[node]).kind == "input"
    ]
    notes += [
        f"node {node!r}: its axes are counted from the first of a sample, there is no batch axis"
        for node in order
        if counted and not leading and changed[node] is not nodes[node]
    ]
    full = {node: _in_full(value, shapes[node]) for node, value in changed.items()}
    return _joined(Layout(full, order, preds, shapes, tuple(notes)), sums)


def one_shape(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a stored node, a single number among parameters of neurons as large as the others (as views)."""
    arrays = {key: np.asarray(fields[key]) for key in _OF_NEURONS if key in fields}
    largest = max(
        (array.shape for array in arrays.values()), key=lambda shape: (math.prod(shape), len(shape)), default=()
    )
    numbers = {key: array for key, array in arrays.items() if array.size == 1 and array.dtype.kind in "buif"}
    return fields | {key: np.broadcast_to(array.reshape(()), largest) for key, array in numbers.items()}


_OF_NEURONS = ("tau", "tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in")


def _declared(node: Any) -> Shape:
    return tuple(int(extent) for extent in node.input_type["input"])


def _read_as(nodes: dict[str, Any], leading: int, counted: int) -> dict[str, Any]:
    """The nodes, of which Inputs have `leading` axes too many and all others count `counted` too many."""
    rules = {name: rule_of(node) for name, node in nodes.items()}
    return {
        name: rules[name].without_axes(node, leading if rules[name].kind == "input" else counted)
        for name, node in nodes.items()
    }


def _fitted(
    nodes: dict[str, Any], order: tuple[str, ...], preds: dict[str, tuple[str, ...]]
) -> tuple[dict[str, Shape], dict[str, Shape], list[str]]:
    """What each node emits, what each takes, and where that does not fit."""
    shapes: dict[str, Shape] = {}
    sums: dict[str, Shape] = {}
    for node in _from_known(order, preds):
        incoming = {shapes[p] for p in preds[node] if p in shapes}
        shape = _sum(incoming) if incoming else None
        if incoming and shape is None:
            return shapes, sums, [_unsummable(node, [p for p in preds[node] if p in shapes], shapes)]
        try:
            shapes[node] = rule_of(nodes[node]).output_shape(nodes[node], shape)
            if rule_of(nodes[node]).elementwise:
                for field in _parameters(nodes[node]):
                    elementwise_shape(getattr(nodes[node], field), shape)
        except (ValueError, UserError) as error:
            return shapes, sums, [f"node {node!r} ({type(nodes[node]).__name__}): {error}"]
        if shape is not None:
            sums[node] = shape
    return shapes, sums, _left_open(order, preds, shapes, sums)


def _from_known(order: tuple[str, ...], preds: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """`order`, in which a Delay can stand before all that leads to it, with one such predecessor before each node."""
    met: set[str] = set()
    left = list(order)
    while left:
        node = next((n for n in left if not preds[n] or not met.isdisjoint(preds[n])), left[0])
        left.remove(node)
        met.add(node)
        yield node


def _left_open(
    order: tuple[str, ...], preds: dict[str, tuple[str, ...]], shapes: dict[str, Shape], sums: dict[str, Shape]
) -> list[str]:
    """Sums that something joins which stands behind them."""
    wrong = [
        node for node in order if node in sums and _sum({sums[node], *(shapes[p] for p in preds[node])}) != sums[node]
    ]
    return [_unsummable(node, list(preds[node]), shapes) for node in wrong]


def _sum(shapes: set[Shape]) -> Shape | None:
    """Shape of a sum; None where there is none. A flat branch and one that is not are summed flat."""
    if len(shapes) == 1:
        return next(iter(shapes))
    flat = next((shape for shape in shapes if len(shape) == 1), None)
    return flat if flat and all(math.prod(shape) == flat[0] for shape in shapes) else None


def _unsummable(node: str, preds: list[str], shapes: dict[str, Shape]) -> str:
    each = ", ".join(f"{shapes[pred]} from {pred!r}" for pred in preds)
    return (
        f"node {node!r} sums different shapes, {each}; an exporter has dropped or merged something there: remove the "
        "edges that do not belong, and give each output a node of its own"
    )


def _refuse_excess(
    name: str, nodes: dict[str, Any], preds: dict[str, tuple[str, ...]], shapes: dict[str, Shape]
) -> None:
    """Hold values, parameters (in full) and work of one time step to the budget, before anything of it is made."""
    values = sum(math.prod(shape) for shape in shapes.values())
    refuse_excess(f"{name}: {values:,} values a time step", values * _BYTES_A_VALUE)
    weights = sum(
        math.prod(shapes[node]) if rule_of(value).elementwise else array.size
        for node, value in nodes.items()
        for array in vars(value).values()
        if isinstance(array, np.ndarray)
    )
    refuse_excess(f"{name}: {weights:,} parameters", weights * _BYTES_A_PARAMETER)
    work = sum(
        rule_of(nodes[node]).multiplications(nodes[node], shapes[before[0]]) for node, before in preds.items() if before
    )
    refuse_work(name, work)


def _in_full(node: Any, shape: Shape) -> Any:
    """The node with a parameter for each element that it emits."""
    if not rule_of(node).elementwise:
        return node
    full = copy.copy(node)
    for field in _parameters(node):
        value = np.asarray(getattr(node, field))
        if value.size == math.prod(shape):
            value = value.reshape(shape)
        else:  # one number, however many axes it has, is for all
            value = np.broadcast_to(value.reshape(()) if value.size == 1 else value, shape)
        setattr(full, field, value if value.flags.writeable else value.copy())  # torch takes no other
    return full


def _parameters(node: Any) -> list[str]:
    return [field for field in vars(node) if field not in ("input_type", "output_type", "metadata")]


def _joined(layout: Layout, sums: dict[str, Shape]) -> Layout:
    """The graph with a Flatten where a branch is summed with flat ones and is not flat itself."""
    nodes, preds, shapes = dict(layout.nodes), dict(layout.preds), dict(layout.shapes)
    order = list(layout.order)
    for node, taken in sums.items():
        for pred in layout.preds[node]:
            if layout.shapes[pred] == taken:
                continue
            flat = f"{pred}.flat"
            while flat in layout.nodes:
                flat += "_"
            if flat not in nodes:
                nodes[flat], preds[flat], shapes[flat] = ALL_JOINED, (pred,), taken
                order.insert(order.index(pred) + 1, flat)
            preds[node] = tuple(flat if before == pred else before for before in preds[node])
    return Layout(nodes, tuple(order), preds, shapes, layout.notes)
