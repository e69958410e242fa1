"""Layers that the spiking systems have in common: convolution with neuron, tokeniser, readout."""

from __future__ import annotations

from torch import Tensor, nn

from snnergy.training.config.systems import TokenConfig, TransformerConfig
from snnergy.training.model.layers import OrPool, Projection, fire
from snnergy.training.model.neurons import LIF


class CBL(nn.Module):
    """Convolution without bias, BatchNorm, LIF.

    Args:
        config: gives time constant and threshold.
        inputs, outputs: channels.
        role: of the population.
        kernel, stride: of the convolution.
    """

    def __init__(
        self, config: TransformerConfig, inputs: int, outputs: int, role: str, kernel: int = 1, stride: int = 1
    ) -> None:
        super().__init__()
        self.proj = Projection(inputs, outputs, kernel, stride)
        self.lif = LIF(config.tau, config.threshold, role)

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to spikes `(T, B, outputs, H', W')`."""
        return fire(self.proj, self.lif, x)


class Tokens(nn.Module):
    """Tokeniser of Spikformer: four times a 3×3 CBL and a pool, then the map and the spikes of a 3×3 CBL of it.

    Widths are D/8, D/4, D/2 and D; each pool (3×3, stride 2) is an OR of spikes. For tokens of 8 × 8 pixels the first
    layer has none.
    """

    LAYERS = 4

    def __init__(self, config: TokenConfig, inputs: int) -> None:
        super().__init__()
        for layer in range(self.LAYERS):
            outputs = config.base_dim >> (self.LAYERS - 1 - layer)
            self.add_module(f"layer{layer}", CBL(config, inputs, outputs, "stem", kernel=3))
            if layer or config.patch == 16:
                self.add_module(f"pool{layer}", OrPool(3, stride=2, padding=1))
            inputs = outputs
        self.position = CBL(config, inputs, inputs, "stem", kernel=3)

    @property
    def layers(self) -> list[tuple[CBL, OrPool | None]]:
        """First to last, each with its pool."""
        return [(getattr(self, f"layer{i}"), getattr(self, f"pool{i}", None)) for i in range(self.LAYERS)]

    def forward(self, image: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to tokens `(T, B, D, H / patch, W / patch)` of 0, 1 or 2."""
        for layer, pool in self.layers:
            spikes = layer(image)
            image = spikes if pool is None else pool(spikes)
        return image + self.position(image)


class TokenLinear(nn.Module):
    """The same linear map, with bias, of every token."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to `(T, B, outputs, H, W)`."""
        return self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Readout(nn.Module):
    """Linear map of the mean over space and time, without a neuron."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, stream: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to `(B, classes)`."""
        return self.linear(stream.mean(dim=(0, 3, 4)))
