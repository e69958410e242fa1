# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["brian2==2.9.0", "setuptools", "numpy<2.3"]
# ///
"""Brian 2: the network as a program of C++ that Brian writes and compiles; a run is one of that program.

What is timed is the loop over the steps, by the program's own clock: it reads its synapses from the disk before.
"""

from __future__ import annotations

import tempfile

import brian2
import numpy as np
from brian2.devices.device import device

from benchmarks.simulators.serving import Array, Peer, Task, one_dense_sample, serve

_NEURONS = "arriving : 1\nv : 1\nthreshold : 1 (shared, constant)"


def build(task: Task) -> Peer:
    """Spikes arrive in the step after, so that a layer is one step later than the one before."""
    matrices = one_dense_sample(task)
    folder = tempfile.mkdtemp(prefix="brian2-")
    brian2.device.reinit()
    brian2.set_device("cpp_standalone", directory=folder, build_on_run=False)
    brian2.prefs.devices.cpp_standalone.openmp_threads = 0
    brian2.start_scope()
    brian2.defaultclock.dt = 1 * brian2.ms
    steps = task.input.shape[1]
    when, which = np.nonzero(task.input.reshape(steps, -1))
    source = brian2.SpikeGeneratorGroup(task.input[0, 0].size, which, when * brian2.ms)
    parts = [source]
    for layer, matrix in zip(task.layers, matrices, strict=True):
        group = brian2.NeuronGroup(len(matrix), _NEURONS, threshold="v > threshold", reset="v = 0")
        group.threshold = layer.threshold
        group.run_regularly(f"v = {layer.kept!r} * v + arriving\narriving = 0", when="groups")
        synapses = brian2.Synapses(source, group, "w : 1", on_pre="arriving_post += w")
        synapses.connect()  # all to all, sources first
        synapses.w = matrix.T.reshape(-1).astype(float)
        parts += [group, synapses]
        source = group
    monitor = brian2.SpikeMonitor(source)
    network = brian2.Network(*parts, monitor)
    network.run((steps + len(matrices)) * brian2.ms)
    device.build(directory=folder, compile=True, run=False)

    def run() -> None:
        device.run(directory=folder, with_output=False)

    def spikes(_: None) -> Array:
        sent = np.zeros((1, steps + len(matrices), len(matrices[-1])), np.uint8)
        sent[0, np.rint(monitor.t / brian2.ms).astype(int), monitor.i] = 1
        return sent[:, len(matrices) :]

    return Peer(run, spikes, lambda _: float(device._last_run_time))


if __name__ == "__main__":
    serve(build, "brian2", "floating point; the loop over the steps alone, in compiled C++; a step of delay a layer")
