"""Fuses the linear nodes between neurons into one operator for each (source, neuron) pair.

Sums of branches become separate synapses, and biases are carried to the neuron that they reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import LinearRule
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import FloatSynapse
from snnergy.neuromorphic.passes.conditions import SORTED_GRAPH
from snnergy.neuromorphic.passes.infra import Condition, Pass

# Sums of sums of linear nodes have as many ways through them as the product of their numbers.
_WAYS_MAX = 1024
_BYTES_AN_ENTRY = 16  # float64, and the one that it was made from
_LARGEST = 1e60  # of a fused weight or bias: products with a membrane's gain and an input's scale are still finite


@dataclass(frozen=True)
class Branch:
    """One way into a node: from `source` through `operator` (None: identity), `delay` steps late."""

    source: str
    operator: operators.Linear | None = None
    delay: int = 0
    origin: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """Everything that reaches a node: branches that are summed, and a constant added in every step."""

    branches: tuple[Branch, ...]
    bias: FloatArray


@dataclass(frozen=True)
class FusedGraph:
    """neurons: the node, its synapses and the constant that they add. outputs: neuron names."""

    source: NirSource
    arrivals: dict[str, Arrival]
    outputs: tuple[str, ...]

    def synapses(self, neuron: str) -> tuple[FloatSynapse, ...]:
        """The branches into `neuron` as synapses."""
        return tuple(
            FloatSynapse(
                branch.source,
                neuron,
                operators.as_synapse(branch.operator, self.source.shapes[branch.source]),
                branch.delay,
                branch.origin,
                any(_learned(self.source.nodes[name]) for name in branch.origin),
            )
            for branch in self.arrivals[neuron].branches
        )


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
            UserError: two branches that are one, a bias that a Delay would have to hold back, a readout that feeds a
                neuron, or weights whose product is too large.
        """
        leaving: dict[str, Arrival] = {}
        arrivals: dict[str, Arrival] = {}
        outputs: list[str] = []
        entries = 0
        for name in ir.order:
            rule, itself = rule_of(ir.nodes[name]), Arrival((Branch(name),), np.zeros(ir.shapes[name]))
            if rule.kind == "input":
                leaving[name] = itself
                continue
            arrival = _summed(name, [leaving[pred] for pred in ir.preds[name]])
            if isinstance(rule, LinearRule):
                with np.errstate(over="ignore", invalid="ignore"):
                    leaving[name] = _through(name, ir, rule, arrival)
                _refuse_beyond(name, leaving[name])
                entries += sum(_numbers(branch).size for branch in leaving[name].branches)
                refuse_excess(f"node {name!r}: {entries:,} weights of fused layers", entries * _BYTES_AN_ENTRY)
            elif rule.kind == "output":
                outputs.append(_output(name, arrival, arrivals))
            else:
                arrivals[name] = arrival
                leaving[name] = itself
        _refuse_analog_readouts(ir, arrivals)
        return FusedGraph(ir, arrivals, tuple(outputs))


def _numbers(branch: Branch) -> FloatArray:
    """Gain or weights of a branch, none for the identity."""
    operator = branch.operator
    if operator is None:
        return np.empty(0)
    return operator.gain if isinstance(operator, operators.Diagonal) else operator.weight


def _refuse_beyond(name: str, arrival: Arrival) -> None:
    for numbers in (arrival.bias, *map(_numbers, arrival.branches)):
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
    merged: dict[tuple[str, int, tuple[str, ...]], Branch] = {}
    for branch in (branch for arrival in incoming for branch in arrival.branches):
        key = (branch.source, branch.delay, branch.origin)
        if key in merged:
            raise UserError(
                f"node {name!r}: {branch.source!r} reaches it twice through the same nodes; use a Scale of 2"
            )
        merged[key] = branch
    return Arrival(tuple(merged.values()), np.sum([arrival.bias for arrival in incoming], axis=0))


def _output(name: str, arrival: Arrival, arrivals: dict[str, Arrival]) -> str:
    """Name of the neuron or readout behind the Output node `name`."""
    (branch, *others) = arrival.branches
    if not others and branch.operator is None and branch.delay == 0 and branch.source in arrivals:
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


def _through(name: str, source: NirSource, rule: LinearRule, arrival: Arrival) -> Arrival:
    """What leaves the linear node `name` when `arrival` enters it."""
    node, shape = source.nodes[name], source.shapes[source.preds[name][0]]
    steps = rule.delay_steps(node, source.dt)
    if steps is not None and np.any(arrival.bias):
        raise UserError(f"Delay {name!r} follows a bias; place the delay before the layer that has the bias")
    operator, own_bias = rule.operator(node, shape), rule.bias(node)
    if operator is None:
        held = tuple(replace(b, delay=b.delay + (steps or 0)) for b in arrival.branches)
        return Arrival(held, arrival.bias.reshape(source.shapes[name]))
    branches = tuple(
        replace(b, operator=operators.compose(b.operator, operator), origin=(*b.origin, name)) for b in arrival.branches
    )
    carried = operators.apply(operator, arrival.bias.reshape(shape))
    return Arrival(branches, carried if own_bias is None else carried + own_bias)
