# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["nengo-loihi==1.1.0", "nengo==4.1.0", "numpy<2", "setuptools"]
# ///
"""nengo-loihi's emulator, fed with blocks of integers as its discretisation would leave them."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.emulator import EmulatorInterface
from nengo_loihi.inputs import SpikeInput
from nengo_loihi.probe import LoihiProbe

from benchmarks.simulators.serving import Array, Layer, Peer, Task, one_dense_sample, serve


def block(layer: Layer, matrix: Array) -> tuple[LoihiBlock, Synapse]:
    """Neurons of a layer, and their synapses."""
    outputs, inputs = matrix.shape
    neurons = LoihiBlock(outputs)
    compartment = neurons.compartment
    compartment.decay_u = np.full(outputs, 4095, np.int32)  # one is added: nothing of a current is left
    compartment.decay_v = np.full(outputs, layer.decay, np.int32)
    compartment.vth = np.full(outputs, layer.threshold << 6, np.int32)
    compartment.bias = np.zeros(outputs, np.int32)
    compartment.scale_u = compartment.scale_v = False
    compartment.vmin, compartment.vmax = -(2**23) + 1, 2**23 - 1
    synapse = Synapse(inputs)
    synapse.set_weights(matrix.T)
    synapse.weights = [weights.astype(np.int32) << 6 for weights in synapse.weights]
    neurons.add_synapse(synapse)
    return neurons, synapse


def build(task: Task) -> Peer:
    """The emulator keeps no state that could be cleared: it is made anew for each run, which is timed with it."""
    matrices = one_dense_sample(task)
    steps, late = task.input.shape[1], len(matrices)
    frames = task.input.reshape(steps, -1)
    model = Model()
    source: Any = SpikeInput(frames.shape[1])
    for step, frame in enumerate(frames, 1):
        source.add_spikes(step, np.nonzero(frame)[0], permanent=True)
    model.add_input(source)
    for layer, matrix in zip(task.layers, matrices, strict=True):
        neurons, synapse = block(layer, matrix)
        axon = Axon(matrix.shape[1])
        axon.target = synapse
        axon.set_compartment_axon_map(np.arange(matrix.shape[1]))
        source.add_axon(axon)
        model.add_block(neurons)
        source = neurons
    probe = LoihiProbe(target=source, key="spiked")
    model.add_probe(probe)

    def run() -> Array:
        with EmulatorInterface(model, seed=0) as emulator:
            emulator.run_steps(steps + late)
            return np.asarray(emulator.collect_probe_output(probe))

    return Peer(run, lambda sent: sent[None, late:])


if __name__ == "__main__":
    serve(build, "nengo-loihi", "the chip's integers; a step of delay a layer")
