"""Fuses the linear nodes between neurons into one operator for each (source, neuron) pair.

Sums of branches become separate synapses, and biases are carried to the neuron that they reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.graph.interpret import delay_steps
from snnergy.neuromorphic.graph.read_nir import NEURONS, READOUTS, NirSource
from snnergy.neuromorphic.graph.shapes import convolution
from snnergy.neuromorphic.ir import Dense, FloatArray, FloatSynapse, Shape
from snnergy.neuromorphic.passes.conditions import SORTED_GRAPH
from snnergy.neuromorphic.passes.infra import Condition, Pass


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
    """As the exporter declared it; a foreign graph's weighted layers count as trained."""
    weighted = isinstance(node, nir.Affine | nir.Conv1d | nir.Conv2d | nir.Linear)
    return bool(node.metadata.get("learned", weighted))


def _far_sources(fused: FusedGraph) -> Iterator[str]:
    near = {*fused.source.of_type(nir.Input, *NEURONS)}
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
            UserError: two branches that are one, a bias that a Delay would have to hold back, or a readout that feeds
                a neuron.
        """
        return _fuse(ir)


def _fuse(source: NirSource) -> FusedGraph:
    leaving: dict[str, Arrival] = {}
    arrivals: dict[str, Arrival] = {}
    outputs: list[str] = []
    for name in source.order:
        node, shape = source.nodes[name], source.shapes[name]
        if isinstance(node, nir.Input):
            leaving[name] = Arrival((Branch(name),), np.zeros(shape))
            continue
        arrival = _summed(name, [leaving[pred] for pred in source.preds[name]])
        if isinstance(node, (*NEURONS, *READOUTS)):
            arrivals[name] = arrival
            leaving[name] = Arrival((Branch(name),), np.zeros(shape))
        elif isinstance(node, nir.Output):
            outputs.append(_output(name, source, arrival, arrivals))
        else:
            leaving[name] = _through(name, node, source.dt, arrival, _input_shape(source, name))
    _refuse_analog_readouts(source, arrivals)
    return FusedGraph(source, arrivals, tuple(outputs))


def _input_shape(source: NirSource, name: str) -> Shape:
    return source.shapes[source.preds[name][0]]


def _summed(name: str, incoming: list[Arrival]) -> Arrival:
    merged: dict[tuple[str, int, tuple[str, ...]], Branch] = {}
    for branch in (branch for arrival in incoming for branch in arrival.branches):
        key = (branch.source, branch.delay, branch.origin)
        if key in merged:
            raise UserError(
                f"node {name!r}: {branch.source!r} reaches it twice through the same nodes; use a Scale of 2"
            )
        merged[key] = branch
    return Arrival(tuple(merged.values()), np.sum([arrival.bias for arrival in incoming], axis=0))


def _output(name: str, source: NirSource, arrival: Arrival, arrivals: dict[str, Arrival]) -> str:
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
        if isinstance(source.nodes[branch.source], READOUTS)
    ]
    if violations:
        raise UserError(violations)


def _through(name: str, node: Any, dt: float, arrival: Arrival, shape: Shape) -> Arrival:
    """What leaves the linear node `name` when `arrival` enters it."""
    if isinstance(node, nir.Flatten):
        return arrival
    if isinstance(node, nir.Delay):
        if np.any(arrival.bias):
            raise UserError(f"Delay {name!r} follows a bias; place the delay before the layer that has the bias")
        steps = delay_steps(node, dt)
        return replace(arrival, branches=tuple(replace(b, delay=b.delay + steps) for b in arrival.branches))
    operator, own_bias = _operator(node, shape)
    branches = tuple(
        replace(b, operator=operators.compose(b.operator, operator), origin=(*b.origin, name)) for b in arrival.branches
    )
    carried = operators.apply(operator, arrival.bias.reshape(shape))
    return Arrival(branches, carried if own_bias is None else carried + own_bias)


def _operator(node: Any, shape: Shape) -> tuple[operators.Linear, FloatArray | None]:
    """A linear node as an operator in float64 and its bias, shaped to add to the operator's output."""
    if isinstance(node, nir.Scale):
        return operators.Diagonal(np.asarray(node.scale, dtype=np.float64)), None
    if isinstance(node, nir.Affine | nir.Linear):
        bias = np.asarray(node.bias, dtype=np.float64) if isinstance(node, nir.Affine) else None
        return Dense(np.asarray(node.weight, dtype=np.float64)), bias
    operator = convolution(node, shape)
    operator = replace(operator, weight=operator.weight.astype(np.float64))
    bias = np.asarray(node.bias, dtype=np.float64)[:, None, None] if hasattr(node, "bias") else None
    return operator, bias
