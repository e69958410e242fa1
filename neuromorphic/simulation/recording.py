"""What an energy ledger needs to know of a network before it runs: nodes, edges, and the fan-out of every neuron."""

from __future__ import annotations

import h5py
import numpy as np

from snnergy.artefacts.activity import Activity, Edge, EdgeKind, Node
from snnergy.artefacts.activity_writer import ActivityWriter
from snnergy.artefacts.types import IntArray, Labels, Recording
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse, Sparse
from snnergy.neuromorphic.limits import ALIGN_SHIFT, DECAY_ONE
from snnergy.neuromorphic.taps import fan_out

_KINDS: dict[type, EdgeKind] = {Conv2d: "conv2d", Dense: "dense", Sparse: "sparse"}


def begin_recording(
    file: h5py.File,
    net: QuantNet,
    *,
    samples: int,
    time_steps: int,
    backend: str,
    model: str,
    labels: IntArray | None = None,
    recording: Recording = "full",
) -> ActivityWriter:
    """Write the head of an activity file of `net`.

    Args:
        file: empty and open for writing.
        backend, model: which simulator runs, and what the network is called.
        labels: class of each sample, `(samples,)`.
        recording: what is kept of every node.

    Returns:
        What takes the records, batch by batch.
    """
    fan_outs = [(fan_out(s.operator), fan_out(s.operator, nonzero=True)) for s in net.synapses]
    head = Activity(
        file=file,
        name=model,
        time_steps=time_steps,
        samples=samples,
        backend=backend,
        model=model,
        provenance=net.provenance,
        nodes=(*map(_input, net.inputs), *map(_population, net.populations)),
        edges=tuple(_edge(i, s, *fans) for i, (s, fans) in enumerate(zip(net.synapses, fan_outs, strict=True))),
        labels=() if labels is None else tuple(labels.tolist()),
        recording=recording,
    )
    shapes = {node.name: node.shape for node in head.nodes}
    shaped = [
        (taps.reshape(shapes[edge.source]), alive.reshape(shapes[edge.source]))
        for edge, (taps, alive) in zip(head.edges, fan_outs, strict=True)
    ]
    return ActivityWriter(file, head, shaped)


def _input(port: InputPort) -> Node:
    labels = Labels(role="input")
    return Node(port.name, "input", port.shape, port.value_class, labels, memoryless=True, scale=port.scale)


def _population(population: QuantPopulation) -> Node:
    biased = int(np.count_nonzero(np.broadcast_to(population.bias.reshape(-1), population.size)))
    return Node(
        population.name,
        "neuron" if population.spiking else "readout",
        population.shape,
        "binary" if population.spiking and population.spikes == "one" else "integer",
        population.labels,
        memoryless=_memoryless(population),
        biased=biased,
        scale=1.0 if population.spiking else 1 / (population.scale * (1 << ALIGN_SHIFT)),
    )


def _memoryless(population: QuantPopulation) -> bool:
    return all(bool((decays == DECAY_ONE).all()) for decays in (population.du, population.dv))


def _edge(index: int, synapse: QuantSynapse, taps: IntArray, alive: IntArray) -> Edge:
    return Edge(
        index,
        synapse.source,
        synapse.target,
        _KINDS[type(synapse.operator)],
        synapse.origin,
        synapse.learned,
        parameters=synapse.operator.weight.size,
        nonzero_parameters=int(np.count_nonzero(synapse.operator.weight)),
        taps=int(taps.sum(dtype=np.int64)),
        nonzero_taps=int(alive.sum(dtype=np.int64)),
        counted=True,
        macs=synapse.macs,
    )
