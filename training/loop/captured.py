"""The training pass of a network on a GPU as two CUDA graphs, forward and backward.

A spiking network of a few hundred thousand weights is some thousand kernels of microseconds each way: launched one by
one they take several times as long as they run. Captured once, each way is one launch, and computes the same.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from snnergy.training.model.system import Outputs, System

Pass = Callable[[Tensor, Tensor], Outputs]


class _Outputs(nn.Module):
    """All that a network computes of a batch, as a module of two arguments, which is what can be captured."""

    def __init__(self, network: System) -> None:
        super().__init__()
        self.network = network

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.network(video, audio, everything=True)
        return outputs


def captured(network: System, video: Tensor, audio: Tensor) -> Pass:
    """Capture a network in training mode, on the GPU that holds it; weights, statistics and randomness are untouched.

    Args:
        network: whose weights may change in place afterwards, as an optimiser changes them.
        video, audio: a batch; all later ones have its shapes.

    Returns:
        What does as `network(video, audio, everything=True)`. Its outputs are those of the last call alone.
    """
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.random.fork_rng(devices=[video.device]):
        graphed = torch.cuda.make_graphed_callables(_Outputs(network), (video, audio), allow_unused_input=True)
    network.load_state_dict(before)  # captured by running it, which moved the statistics of every BatchNorm
    return lambda *batch: graphed(*batch)  # no module, which the owner would count among its own
