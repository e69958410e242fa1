# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["rockpool==3.1.0", "xylosim==0.1.3", "samna==0.48.6", "torch==2.3.1", "numpy<2"]
# ///
"""Rockpool's XyloSim: three layers as its input, recurrent and output weights, on more neurons than the chip has."""

from __future__ import annotations

import numpy as np
from rockpool.devices.xylo.syns61201.xylo_sim import XyloSim

from benchmarks.simulators.serving import Array, Peer, Refused, Task, one_dense_sample, serve


def build(task: Task) -> Peer:
    """A membrane loses v >> 2 a step, which is the fourth that our decay takes; a current loses all of itself."""
    matrices = one_dense_sample(task)
    if len(matrices) != 3 or any(layer.decay != 1024 for layer in task.layers):
        raise Refused("it has three matrices, and decays of powers of two")
    first, second, third = (len(matrix) for matrix in matrices)
    hidden = first + second
    weights_in = np.zeros((matrices[0].shape[1], hidden), int)
    weights_in[:, :first] = matrices[0].T
    between = np.zeros((hidden, hidden), int)
    between[:first, first:] = matrices[1].T
    simulator = XyloSim.from_specification(
        weights_in=weights_in,
        weights_rec=between,
        weights_out=matrices[2].T,
        dash_mem=np.full(hidden, 2),
        dash_mem_out=np.full(third, 2),
        dash_syn=np.zeros(hidden, int),
        dash_syn_out=np.zeros(third, int),
        threshold=np.repeat([task.layers[0].threshold, task.layers[1].threshold], [first, second]),
        threshold_out=np.full(third, task.layers[2].threshold),
    )
    steps = task.input.shape[1]
    raster = task.input.reshape(steps, -1)

    def run() -> Array:
        simulator.reset_state()
        return np.asarray(simulator.evolve(raster)[0])

    return Peer(run, lambda sent: sent[None])


if __name__ == "__main__":
    serve(build, "rockpool", "16-bit integers; a spike takes the threshold off; several spikes a step between layers")
