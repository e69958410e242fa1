# /// script
# requires-python = ">=3.10,<3.11"
# dependencies = ["norse==1.1.0", "torch==2.3.1", "torchvision==0.18.1", "numpy<2"]
# ///
"""Norse: its box of a LIF, whose input and leak share one time constant, one step a call."""

from __future__ import annotations

import torch
from norse.torch import LIFBoxCell, LIFBoxParameters

from benchmarks.simulators.serving import Layer, Peer, Task, serve
from benchmarks.simulators.torch_layers import Fire, layered


def neurons(layer: Layer) -> Fire:
    """v ← v + leak·(Σ − v): its input counts as much as its leak, hence a threshold that much lower."""
    leak = layer.decay / 4096
    parameters = LIFBoxParameters(tau_mem_inv=torch.tensor(leak), v_th=torch.tensor(leak * layer.threshold))
    cell = LIFBoxCell(parameters, dt=1.0)

    def fire(sums: torch.Tensor) -> torch.Tensor:
        sent, state = [], None
        for now in sums:
            spikes, state = cell(now, state)
            sent.append(spikes)
        return torch.stack(sent)

    return fire


def build(task: Task) -> Peer:
    """The network in evaluation."""
    return layered(task, neurons)


if __name__ == "__main__":
    serve(build, "norse", "floating point; a call a step")
