# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["brian2-loihi==0.5.2", "brian2==2.9.0", "setuptools", "numpy<2.3"]
# ///
"""Brian2Loihi: the chip's arithmetic written in Brian's equations, compiled by Cython."""

from __future__ import annotations

import brian2
import numpy as np
from brian2_loihi import (
    LoihiNetwork,
    LoihiNeuronGroup,
    LoihiSpikeGeneratorGroup,
    LoihiSpikeMonitor,
    LoihiSynapses,
    synapse_sign_mode,
)

from benchmarks.simulators.serving import Array, Peer, Task, one_dense_sample, serve


def build(task: Task) -> Peer:
    """Synapses of mixed sign are even: twice the weight, and an exponent of −1 that takes it back."""
    matrices = one_dense_sample(task)
    brian2.start_scope()
    brian2.prefs.codegen.target = "cython"
    steps = task.input.shape[1]
    when, which = np.nonzero(task.input.reshape(steps, -1))
    source = LoihiSpikeGeneratorGroup(task.input[0, 0].size, which, when)
    parts = [source]
    for layer, matrix in zip(task.layers, matrices, strict=True):
        group = LoihiNeuronGroup(
            len(matrix), refractory=1, threshold_v_mant=layer.threshold, decay_v=layer.decay, decay_I=4096
        )
        synapses = LoihiSynapses(source, group, delay=0, w_exp=-1, sign_mode=synapse_sign_mode.MIXED)
        synapses.connect()  # all to all, sources first
        synapses.w = 2 * matrix.T.reshape(-1)
        parts += [group, synapses]
        source = group
    monitor = LoihiSpikeMonitor(source)
    network = LoihiNetwork(*parts, monitor)
    network.store()
    late = len(matrices)

    def run() -> None:
        network.restore()
        network.run(steps + late)

    def spikes(_: None) -> Array:
        sent = np.zeros((1, steps + late, len(matrices[-1])), np.uint8)
        sent[0, np.asarray(monitor.t, int), np.asarray(monitor.i, int)] = 1
        return sent[:, late:]

    return Peer(run, spikes)


if __name__ == "__main__":
    serve(build, "brian2-loihi", "the chip's integers; a step of delay a layer")
