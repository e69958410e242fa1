# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["spikingjelly==0.0.0.0.14", "torch==2.3.1", "torchvision==0.18.1", "numpy<2"]
# ///
"""SpikingJelly: its multi-step LIF in floating point, the way of its publication."""

from __future__ import annotations

import torch
from spikingjelly.activation_based import neuron

from benchmarks.simulators.serving import Layer, Peer, Task, serve
from benchmarks.simulators.torch_layers import Fire, layered


def neurons(layer: Layer) -> Fire:
    """Its node fires where the threshold is met, hence the next number above ours."""
    above = float(torch.tensor(float(layer.threshold)).nextafter(torch.tensor(torch.inf)))
    node = neuron.LIFNode(4096 / layer.decay, decay_input=False, v_threshold=above, v_reset=0.0, step_mode="m")

    def fire(sums: torch.Tensor) -> torch.Tensor:
        node.reset()
        return node(sums)

    return fire


def build(task: Task) -> Peer:
    """The network in evaluation."""
    return layered(task, neurons)


if __name__ == "__main__":
    serve(build, "spikingjelly", "floating point")
