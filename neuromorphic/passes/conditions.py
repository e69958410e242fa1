"""The conditions that passes require and ensure, on a graph that was read and on both networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import FloatNet, QuantNet, soonest
from snnergy.neuromorphic.passes.infra import Condition

Net = FloatNet | QuantNet


def _unsorted_nodes(source: NirSource) -> Iterator[str]:
    known: set[str] = set()
    for name in source.order:
        late = rule_of(source.nodes[name]).is_late(source.nodes[name], source.dt)
        for pred in source.preds[name]:
            if pred not in known and not late and (pred, name) not in source.back:
                yield f"node {name!r} stands before {pred!r}, which feeds it"
        if name not in source.shapes:
            yield f"node {name!r} has no shape"
        known.add(name)


def _unsorted_populations(net: Net) -> Iterator[str]:
    names = [port.name for port in net.inputs] + [population.name for population in net.populations]
    place = {name: index for index, name in enumerate(names)}
    for synapse in net.synapses:
        if synapse.source not in place:
            yield f"{synapse.source} → {synapse.target}: the source is unknown"
        elif place[synapse.source] >= place[synapse.target] and soonest(synapse) < 1:
            yield f"{synapse.source} → {synapse.target}: the source stands at or behind the target, without a delay"


def _misfits(net: Net) -> Iterator[str]:
    sizes = {port.name: int(np.prod(port.shape)) for port in net.inputs} | {p.name: p.size for p in net.populations}
    for synapse in net.synapses:
        takes, makes = (int(np.prod(s)) for s in (synapse.operator.input_shape, synapse.operator.output_shape))
        if sizes.get(synapse.source) != takes or sizes.get(synapse.target) != makes:
            yield f"{synapse.source} → {synapse.target}: an operator of {takes} inputs and {makes} outputs"


def _listening_to_membranes(net: FloatNet) -> Iterator[str]:
    silent = {p.name for p in net.populations if p.threshold is None}
    for synapse in net.synapses:
        if synapse.source in silent:
            yield f"{synapse.source} → {synapse.target}: the source is a readout, which never fires"


def _unbalanced(net: Net) -> Iterator[str]:
    depths = {port.name: 0 for port in net.inputs} | {p.name: p.depth for p in net.populations}
    for s in net.synapses:
        arrives = depths[s.source] + 1 + s.balance
        if soonest(s) + s.balance < 0 or arrives != depths[s.target]:
            yield f"{s.source} → {s.target}: arrives at depth {arrives} of {depths[s.target]}, balance {s.balance}"


SORTED_GRAPH = Condition[NirSource](
    "every node behind those that feed it in the same step, with a shape", _unsorted_nodes
)
SORTED = Condition[Net]("every population behind those that feed it in the same step", _unsorted_populations)
FITTING = Condition[Net]("every operator fits its source and its target", _misfits)
SPIKES_ONLY = Condition[FloatNet]("every synapse starts at an input or a spiking population", _listening_to_membranes)
BALANCED = Condition[Net]("depth of the source + 1 + balance = depth of the target, balance + delay ≥ 0", _unbalanced)
