"""Fuses the linear nodes between neurons into one operator for each (source, neuron) pair.

Sums of branches become separate synapses, and biases are carried to the neuron that they reach. A Delay, and a back
edge, which takes one step, add to the delay of the branches through them. Delays that differ between the elements of a
branch's source or of what leaves it are kept beside its operator; a layer behind the latter sums what is late by
different steps, so that it splits the branch into one for each number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray, IntArray, Shape
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import LinearRule
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import Dense, FloatSynapse, Operator
from snnergy.neuromorphic.loops import groups
from snnergy.neuromorphic.passes.conditions import SORTED_GRAPH
from snnergy.neuromorphic.passes.infra import Condition, Pass
from snnergy.neuromorphic.taps import synapse_count, unrolled

# Sums of sums of linear nodes have as many ways through them as the product of their numbers.
_WAYS_MAX = 1024
_BYTES_AN_ENTRY = 16  # float64, and the one that it was made from
_LARGEST = 1e60  # of a fused weight or bias: products with a membrane's gain and an input's scale are still finite


@dataclass(frozen=True)
class Branch:
    """One way into a node: from `source` through `operator` (None: identity), `delay` steps late.

    late_in, late_out: further steps of each element that enters the operator and of each that leaves it, flat; None
    where there are none. way: the Delays that it passed, each with the steps of the elements that it stands for (-1 for
    all of them).
    """

    source: str
    operator: operators.Linear | None = None
    delay: int = 0
    origin: tuple[str, ...] = ()
    late_in: IntArray | None = None
    late_out: IntArray | None = None
    way: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Arrival:
    """Everything that reaches a node: branches that are summed, and constants.

    constants: what is added in every step from that number of steps on; empty where nothing is.
    """

    branches: tuple[Branch, ...]
    constants: dict[int, FloatArray]


@dataclass(frozen=True)
class FusedGraph:
    """arrivals: what reaches each neuron and readout. outputs: neuron names."""

    source: NirSource
    arrivals: dict[str, Arrival]
    outputs: tuple[str, ...]

    def synapses(self, neuron: str) -> tuple[FloatSynapse, ...]:
        """The branches into `neuron` as synapses. Those that differ in delay alone are computed once: by the first."""
        macs = {(b.source, b.origin): sum(map(self._macs, b.origin)) for b in self.arrivals[neuron].branches}
        return tuple(
            FloatSynapse(
                branch.source,
                neuron,
                _as_synapse(branch, self.source.shapes[branch.source]),
                branch.delay,
                branch.origin,
                any(_learned(self.source.nodes[name]) for name in branch.origin),
                macs=macs.pop((branch.source, branch.origin), 0),
            )
            for branch in self.arrivals[neuron].branches
        )

    def _macs(self, name: str) -> int:
        """Multiplications of the linear node `name` on its own, none if nothing of it was learned."""
        source = self.source
        node = source.nodes[name]
        rule = rule_of(node)
        if not isinstance(rule, LinearRule) or not _learned(node):
            return 0
        operator = rule.operator(node, source.shapes[source.preds[name][0]])
        if operator is None or isinstance(operator, operators.Diagonal):
            return 0 if operator is None else operator.gain.size
        return synapse_count(operator)


def _learned(node: Any) -> bool:
    """As the exporter declared it, or else as the node's type suggests."""
    return bool(node.metadata.get("learned", rule_of(node).learned))


def _far_sources(fused: FusedGraph) -> Iterator[str]:
    near = {*fused.source.of_kind("input", "neuron")}
    for name, arrival in fused.arrivals.items():
        for branch in arrival.branches:
            if branch.source not in near:
                yield f"{branch.source} → {name}: a branch starts at a {type(fused.source.nodes[branch.source])}"


SPIKING_SOURCES = Condition("every branch starts at an input or a spiking node", _far_sources)


@dataclass(frozen=True)
class Fuse(Pass[NirSource, FusedGraph]):
    """Collects what arrives at every neuron and readout.

    An Output that follows a linear node becomes a readout of its own: the value leaves the chip as a membrane.
    """

    name = "fuse"
    requires = (SORTED_GRAPH,)
    ensures = (SPIKING_SOURCES,)

    def rewrite(self, ir: NirSource) -> FusedGraph:
        """`ir` with what arrives at each neuron.

        Raises:
            UserError: two branches that are one, a readout that feeds a neuron, or weights whose product is too large.
        """
        leaving: dict[str, Arrival] = {}
        for name in ir.of_kind("input", "neuron", "readout"):
            leaving[name] = Arrival((Branch(name),), {})
        entries = 0
        for name in _linear_nodes(ir):
            with np.errstate(over="ignore", invalid="ignore"):
                leaving[name] = _through(name, ir, _arrival(name, ir, leaving))
            _refuse_beyond(name, leaving[name])
            entries += sum(numbers.size for numbers in _all_numbers(leaving[name]))
            refuse_excess(f"node {name!r}: {entries:,} weights of fused layers", entries * _BYTES_AN_ENTRY)
        arrivals: dict[str, Arrival] = {}
        outputs: list[str] = []
        for name in ir.of_kind("neuron", "readout", "output"):
            arrival = _arrival(name, ir, leaving)
            if rule_of(ir.nodes[name]).kind == "output":
                outputs.append(_output(name, arrival, arrivals))
            else:
                arrivals[name] = arrival
        _refuse_analog_readouts(ir, arrivals)
        return FusedGraph(ir, arrivals, tuple(outputs))


def _linear_nodes(source: NirSource) -> list[str]:
    """The linear nodes, each behind those before it; in a loop a Delay may stand before the layer that it follows."""
    return [name for (name,) in groups(source.of_kind("linear"), source.preds)]


def _arrival(name: str, source: NirSource, leaving: dict[str, Arrival]) -> Arrival:
    """The sum of what leaves the predecessors of the node `name`, over a back edge one step late."""
    incoming = {pred: leaving[pred] for pred in source.preds[name]}
    incoming |= {pred: Arrival((Branch(pred, delay=1),), {}) for pred in incoming if (pred, name) in source.back}
    return _summed(name, list(incoming.values()))


def _numbers(branch: Branch) -> FloatArray:
    """Gain or weights of a branch, none for the identity."""
    operator = branch.operator
    if operator is None:
        return np.empty(0)
    return operator.gain if isinstance(operator, operators.Diagonal) else operator.weight


def _all_numbers(arrival: Arrival) -> tuple[FloatArray, ...]:
    return (*arrival.constants.values(), *map(_numbers, arrival.branches))


def _refuse_beyond(name: str, arrival: Arrival) -> None:
    for numbers in _all_numbers(arrival):
        if not (numbers.min(initial=0) >= -_LARGEST and numbers.max(initial=0) <= _LARGEST):  # a NaN is neither
            raise UserError(
                f"node {name!r}: fused with the linear nodes before it, its weights or biases exceed {_LARGEST:g}; "
                "scale them down"
            )


def _summed(name: str, incoming: list[Arrival]) -> Arrival:
    ways = sum(len(arrival.branches) for arrival in incoming)
    if ways > _WAYS_MAX:
        raise UserError(
            f"node {name!r}: {ways} ways lead to it through linear nodes, {_WAYS_MAX} are allowed; put a neuron between"
        )
    merged: dict[tuple[str, tuple[str, ...], tuple[tuple[str, int], ...]], Branch] = {}
    for branch in (branch for arrival in incoming for branch in arrival.branches):
        key = (branch.source, branch.origin, branch.way)
        if key in merged:
            raise UserError(
                f"node {name!r}: {branch.source!r} reaches it twice through the same nodes; use a Scale of 2"
            )
        merged[key] = branch
    constants: dict[int, FloatArray] = {}
    for delay, values in (item for arrival in incoming for item in arrival.constants.items()):
        constants[delay] = constants[delay] + values if delay in constants else values
    return Arrival(tuple(merged.values()), constants)


def _output(name: str, arrival: Arrival, arrivals: dict[str, Arrival]) -> str:
    """Name of the neuron or readout behind the Output node `name`."""
    (branch, *others) = arrival.branches
    late = branch.delay or branch.late_in is not None
    if not others and branch.operator is None and not late and branch.source in arrivals:
        return branch.source
    arrivals[name] = arrival
    return name


def _refuse_analog_readouts(source: NirSource, arrivals: dict[str, Arrival]) -> None:
    violations = [
        f"node {branch.source!r} ({type(source.nodes[branch.source]).__name__}) emits its membrane into {name!r}; a "
        "chip sends spikes: put a spiking neuron there, or read it out only"
        for name, arrival in arrivals.items()
        for branch in arrival.branches
        if rule_of(source.nodes[branch.source]).kind == "readout"
    ]
    if violations:
        raise UserError(violations)


def _through(name: str, source: NirSource, arrival: Arrival) -> Arrival:
    """What leaves the linear node `name` when `arrival` enters it."""
    node, shape, own = source.nodes[name], source.shapes[source.preds[name][0]], source.shapes[name]
    rule = rule_of(node)
    assert isinstance(rule, LinearRule), rule
    steps = rule.delay_steps(node, source.dt)
    if steps is not None:
        return _behind_delay(name, arrival, np.broadcast_to(steps, shape))
    operator, own_bias = rule.operator(node, shape), rule.bias(node)
    if operator is None:
        return replace(arrival, constants={d: values.reshape(own) for d, values in arrival.constants.items()})
    _refuse_parts(name, source, arrival, operator)
    branches = tuple(
        replace(b, operator=operators.compose(b.operator, operator), origin=(*b.origin, name))
        for branch in arrival.branches
        for b in _parts(branch, operator)
    )
    constants = {
        d: operators.apply(operator, values.reshape(shape)).reshape(own) for d, values in arrival.constants.items()
    }
    if own_bias is not None:
        added = np.broadcast_to(own_bias, own if isinstance(operator, operators.Diagonal) else operator.output_shape)
        constants[0] = constants.get(0, np.zeros(own)) + added.reshape(own)
    return Arrival(branches, constants)


def _behind_delay(name: str, arrival: Arrival, steps: IntArray) -> Arrival:
    """`arrival` late by `steps`, one number for each of its elements."""
    least, distinct = int(steps.min()), np.unique(steps)
    further = None if distinct.size == 1 else (steps - least).reshape(-1)
    branches = (
        replace(_unevenly_delayed(b, further), delay=b.delay + least, way=(*b.way, (name, -1)))
        for b in arrival.branches
    )
    constants: dict[int, FloatArray] = {}
    if len(arrival.constants) * distinct.size > _WAYS_MAX:
        raise UserError(f"Delay {name!r}: {distinct.size} different delays of a bias, {_WAYS_MAX} are allowed")
    for delay, values in arrival.constants.items():
        for d in distinct:
            late = np.where(steps == d, values, 0.0)
            constants[delay + int(d)] = constants.get(delay + int(d), 0.0) + late
    return Arrival(tuple(branches), constants)


def _unevenly_delayed(branch: Branch, steps: IntArray | None) -> Branch:
    """`branch`, each element of what leaves it late by its own number of steps."""
    if steps is None:
        return branch
    if _is_elementwise(branch.operator):
        return replace(branch, late_in=steps if branch.late_in is None else branch.late_in + steps)
    return replace(branch, late_out=steps if branch.late_out is None else branch.late_out + steps)


def _is_elementwise(operator: operators.Linear | None) -> bool:
    return operator is None or isinstance(operator, operators.Diagonal)


def _refuse_parts(name: str, source: NirSource, arrival: Arrival, operator: operators.Linear) -> None:
    """Raise `UserError` where the parts of the branches into `name` would take more memory than is allowed."""
    outputs = math.prod(source.shapes[name])
    parts = [(np.unique(b.late_out).size, b.source) for b in arrival.branches if b.late_out is not None]
    if parts and not _is_elementwise(operator):
        entries = sum(count * math.prod(source.shapes[start]) * outputs for count, start in parts)
        count = sum(count for count, _ in parts)
        refuse_excess(f"node {name!r}: {count} parts of different delay that it sums up", entries * _BYTES_AN_ENTRY)


def _parts(branch: Branch, following: operators.Linear) -> list[Branch]:
    """`branch` as it can enter `following`: each part with one delay for all that `following` sums up."""
    if branch.late_out is None or _is_elementwise(following):
        return [branch]
    (name, _), late = branch.way[-1], branch.late_out
    return [
        replace(
            branch,
            operator=operators.compose(branch.operator, operators.Diagonal((late == steps).astype(np.float64))),
            delay=branch.delay + int(steps),
            late_out=None,
            way=(*branch.way, (name, int(steps))),
        )
        for steps in np.unique(late)
    ]


def _as_synapse(branch: Branch, source_shape: Shape) -> Operator:
    """The operator of a branch with the delays of its own that each of its synapses has."""
    operator = operators.as_synapse(branch.operator, source_shape)
    if branch.late_in is None and branch.late_out is None:
        return operator
    if not isinstance(operator, Dense):
        operator = unrolled(operator)
    shape = operator.weight.shape
    late_in, late_out = (
        np.zeros(math.prod(end), np.int64) if late is None else late
        for end, late in ((operator.input_shape, branch.late_in), (operator.output_shape, branch.late_out))
    )
    if isinstance(operator, Dense):
        return replace(operator, delays=np.broadcast_to(late_in, shape) + late_out[:, None])
    return replace(operator, delays=late_in[operator.columns] + late_out.repeat(np.diff(operator.row_starts)))
