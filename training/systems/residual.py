"""Residual networks of 18 layers (He et al., CVPR 2016), with rectifiers, and with spikes (SEW, Fang et al., 2021).

    rectified   x ← relu(BN(conv relu(BN(conv x))) + x)
    spiking     x ← LIF(BN(conv LIF(BN(conv x)))) + x

Where a block changes the map, x goes through a strided 1×1 layer. Only neurons see time.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from snnergy.training.model.layers import Projection
from snnergy.training.model.neurons import LIF

_BLOCKS = 2  # of each stage
WIDEST = 8  # channels of the last stage over those of the first
_TAU, _THRESHOLD = 2.0, 1.0


class RectifiedBlock(nn.Module):
    """Two 3×3 layers and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv0 = Projection(inputs, outputs, 3, stride)
        self.conv1 = Projection(outputs, outputs, 3)
        changes = stride > 1 or inputs != outputs
        self.shortcut = Projection(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to `(T, B, C', H', W')`."""
        return (self.conv1(self.conv0(x).relu()) + self.shortcut(x)).relu()


class SpikingLayer(nn.Sequential):
    """Convolution, BatchNorm and LIF."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(Projection(inputs, outputs, kernel, stride), LIF(_TAU, _THRESHOLD, "spds"))


class SpikingBlock(nn.Module):
    """Two 3×3 layers and a shortcut, whose spikes are added."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.deep = nn.Sequential(SpikingLayer(inputs, outputs, 3, stride), SpikingLayer(outputs, outputs, 3))
        changes = stride > 1 or inputs != outputs
        self.shortcut = SpikingLayer(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to `(T, B, C', H', W')`."""
        return self.deep(x) + self.shortcut(x)


class ResNet18(nn.Module):
    """A 7×7 layer and a pool, then four stages; the mean over space.

    Args:
        inputs: channels of the image.
        width: channels of the first stage.
        spiking: with neurons instead of rectifiers.
    """

    def __init__(self, inputs: int, width: int, spiking: bool) -> None:
        super().__init__()
        block: type[nn.Module] = SpikingBlock if spiking else RectifiedBlock
        self.stem: nn.Module = (
            SpikingLayer(inputs, width, 7, 2) if spiking else nn.Sequential(Projection(inputs, width, 7, 2), nn.ReLU())
        )
        layers, channels = [], width
        for stage in range(4):
            outputs = width << stage
            for index in range(_BLOCKS):
                layers.append(block(channels, outputs, 2 if stage and not index else 1))
                channels = outputs
        self.layers = nn.Sequential(*layers)
        for module in self.modules():
            if not spiking and isinstance(module, Projection):
                nn.init.kaiming_normal_(module.conv.weight)
                nn.init.zeros_(module.norm.bias)

    def forward(self, images: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to features `(T, B, 8 · width)`."""
        x = self.stem(images)
        x = functional.max_pool2d(x.flatten(0, 1), 3, 2, 1).unflatten(0, x.shape[:2])
        return self.layers(x).mean(dim=(3, 4))
