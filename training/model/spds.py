"""Spiking patch downsampling with shortcut: out = LIF(deep(x) + shortcut(x)), a sum of currents (SNNergy eq. 14).

Max-pooling acts on spikes, where it is a logical OR that a neuromorphic core computes exactly.
"""

from __future__ import annotations

from torch import Tensor, nn

from snnergy.training.model.layers import OrPool, Projection, fire
from snnergy.training.model.neurons import LIF


class StemSPDS(nn.Module):
    """Reduces an analog image 4×: conv - lif0 - pool0 - conv - lif1 - pool1 - conv (+ shortcut) - out.

    Args:
        inputs: channels of the image.
        outputs: channels of `out`; the two layers before it have half as many.
        tau: membrane time constant in steps.
        threshold: of every LIF.
    """

    def __init__(self, inputs: int, outputs: int, tau: float, threshold: float) -> None:
        super().__init__()
        hidden = outputs // 2
        self.conv0 = Projection(inputs, hidden, kernel=3)
        self.lif0 = LIF(tau, threshold, "stem")
        self.pool0 = OrPool()
        self.conv1 = Projection(hidden, hidden, kernel=3)
        self.lif1 = LIF(tau, threshold, "stem")
        self.pool1 = OrPool()
        self.conv2 = Projection(hidden, outputs, kernel=3)
        self.shortcut = Projection(inputs, outputs, stride=4)
        self.out = LIF(tau, threshold, "stem")

    def forward(self, image: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to binary `(T, B, outputs, H / 4, W / 4)`."""
        spikes = self.pool0(fire(self.conv0, self.lif0, image))
        spikes = self.pool1(fire(self.conv1, self.lif1, spikes))
        return self.out(self.conv2(spikes) + self.shortcut(image))


class SPDS(nn.Module):
    """Reduces a residual stream 2×: conv - lif0 - pool0 - conv (+ shortcut) - out. Arguments as in `StemSPDS`."""

    def __init__(self, inputs: int, outputs: int, tau: float, threshold: float) -> None:
        super().__init__()
        self.conv0 = Projection(inputs, outputs, kernel=3)
        self.lif0 = LIF(tau, threshold, "spds")
        self.pool0 = OrPool()
        self.conv1 = Projection(outputs, outputs, kernel=3)
        self.shortcut = Projection(inputs, outputs, stride=2)
        self.out = LIF(tau, threshold, "spds")

    def forward(self, stream: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to binary `(T, B, outputs, H / 2, W / 2)`."""
        spikes = self.pool0(fire(self.conv0, self.lif0, stream))
        return self.out(self.conv1(spikes) + self.shortcut(stream))
