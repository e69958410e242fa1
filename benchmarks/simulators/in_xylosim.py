# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["xylosim==0.1.3", "numpy<2"]
# ///
"""XyloSim, Rockpool's simulator of the Xylo chip: three layers as its input, recurrent and output synapses.

Its C++ is called itself: Rockpool's wrapper around it imports the chip's driver, which is on no package index.
"""

from __future__ import annotations

import numpy as np
from xylosim.v2 import XyloLayer, XyloSynapse

from benchmarks.simulators.serving import Array, Peer, Refused, Task, one_dense_sample, serve


def synapses(matrix: Array, first: int = 0) -> list[list[XyloSynapse]]:
    """Of each source of a matrix `(targets, sources)`, those to targets that are numbered from `first` on."""
    return [
        [XyloSynapse(int(target) + first, 0, int(column[target])) for target in np.nonzero(column)[0]]
        for column in matrix.T
    ]


def build(task: Task) -> Peer:
    """A membrane loses v >> 2 a step, which is the fourth that our decay takes.

    A current that forgets all forgets it before it arrives: one that halves brings as much, but over several steps.
    """
    matrices = one_dense_sample(task)
    if len(matrices) != 3 or any(layer.decay != 1024 for layer in task.layers):
        raise Refused("it has three matrices, and decays of powers of two")
    first, second, third = (len(matrix) for matrix in matrices)
    hidden = first + second
    thresholds = [layer.threshold for layer in task.layers]
    parts = (
        synapses(matrices[0]),
        [*synapses(matrices[1], first), *([] for _ in range(second))],
        [*([] for _ in range(first)), *synapses(matrices[2])],
    )
    simulator = XyloLayer(
        *parts,
        aliases=[[] for _ in range(hidden)],
        threshold=[thresholds[0]] * first + [thresholds[1]] * second,
        threshold_out=[thresholds[2]] * third,
        has_bias=False,
        bias=[0] * hidden,
        bias_out=[0] * third,
        weight_shift_inp=0,
        weight_shift_rec=0,
        weight_shift_out=0,
        dash_mem=[2] * hidden,
        dash_mem_out=[2] * third,
        dash_syns=[[1, 1]] * hidden,
        dash_syns_out=[[1]] * third,
        name="three layers",
    )
    raster = task.input.reshape(task.input.shape[1], -1).astype(int).tolist()

    def run() -> list[list[int]]:
        simulator.reset_all()
        return simulator.evolve(raster)

    def spikes(sent: list[list[int]]) -> Array:
        assert parts  # the simulator points at these synapses, and keeps none of them alive
        return np.asarray(sent)[None]

    return Peer(run, spikes)


if __name__ == "__main__":
    serve(
        build,
        "xylosim",
        "16-bit integers; currents halve a step, none forgets at once; a spike takes the threshold off, several a step",
    )
