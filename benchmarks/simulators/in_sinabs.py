# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["sinabs==3.1.3", "torch==2.3.1", "numpy<2", "setuptools"]
# ///
"""sinabs: its LIF with one spike a step and a reset to zero, all steps a call."""

from __future__ import annotations

import math

import sinabs.layers
import torch
from sinabs.activation import MembraneReset, SingleSpike

from benchmarks.simulators.serving import Layer, Peer, Task, serve
from benchmarks.simulators.torch_layers import Fire, layered


def neurons(layer: Layer) -> Fire:
    """It fires where the threshold is met, hence the next number above ours."""
    lif = sinabs.layers.LIF(
        tau_mem=-1 / math.log(layer.kept),
        norm_input=False,
        spike_threshold=torch.tensor(float(layer.threshold)).nextafter(torch.tensor(torch.inf)),
        spike_fn=SingleSpike,
        reset_fn=MembraneReset(),
    )

    def fire(sums: torch.Tensor) -> torch.Tensor:
        lif.reset_states()
        return lif(sums)

    return fire


def build(task: Task) -> Peer:
    """The network in evaluation."""
    return layered(task, neurons, batch_first=True)


if __name__ == "__main__":
    serve(build, "sinabs", "floating point")
