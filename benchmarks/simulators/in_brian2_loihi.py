# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["brian2-loihi==0.5.2", "brian2==2.9.0", "setuptools", "numpy<2.3"]
# ///
"""Brian2Loihi: the chip's arithmetic written in Brian's equations, compiled by Cython.

What is timed is the loop over the steps: before each run Brian looks its equations through for seconds.
"""

from __future__ import annotations

import time

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
    begun: list[float] = []
    clock = brian2.NetworkOperation(lambda: begun or begun.append(time.perf_counter()), when="start")
    network = LoihiNetwork(*parts, monitor, clock)
    network.store()
    late = len(matrices)

    def run() -> float:
        network.restore()
        begun.clear()
        network.run(steps + late)
        return time.perf_counter() - begun[0]

    def spikes(_: float) -> Array:
        sent = np.zeros((1, steps + late, len(matrices[-1])), np.uint8)
        sent[0, np.asarray(monitor.t, int), np.asarray(monitor.i, int)] = 1
        return sent[:, late:]

    return Peer(run, spikes, float)


if __name__ == "__main__":
    serve(build, "brian2-loihi", "the chip's integers; the loop over the steps alone; a step of delay a layer")
