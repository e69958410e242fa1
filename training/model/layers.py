"""What the network is made of besides neurons: weighted projections, and the two memoryless populations.

Everything maps activations `(T, B, C, H, W)`, time first. Only what has no memory may fold time into the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.training.model.batch_norm import BatchNorm2d
from snnergy.training.model.neurons import LIF

# Initial shift of every normalised current, against a threshold of 1: a LIF then fires in about one step in eight.
# At 0 it is one in thirty, and the gates of gates in the attention start silent.
_INITIAL_SHIFT = 0.5


class NormalisedCurrent(nn.Module):
    """What drives a population: a linear map without bias, then BatchNorm, which folds into weights and a bias."""

    norm: BatchNorm2d

    def linear(self, x: Tensor) -> Tensor:
        """The current before its BatchNorm, of the shape that `forward` returns."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Spikes or analog values `(T, B, inputs, H, W)` to a current `(T, B, outputs, H', W')`."""
        current = self.linear(x)
        return self.norm(current.flatten(0, 1)).unflatten(0, x.shape[:2])


class Projection(NormalisedCurrent):
    """Convolution without bias, then BatchNorm: spikes or analog values in, a current out.

    Padding keeps the map's size at stride 1; a 1×1 convolution of stride s reads every s-th position.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: 1 or 3.
        stride: of the convolution, in positions.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        # Channels innermost, and all that follows keeps it: with few channels nothing is faster on a CPU.
        self.conv = nn.utils.convert_conv2d_weight_memory_format(conv, torch.channels_last)
        self.norm = BatchNorm2d(outputs)
        nn.init.constant_(self.norm.bias, _INITIAL_SHIFT)

    def presynaptic(self, x: Tensor) -> Tensor:
        """What the synapses of each step read, `(T, B, channels of the kernel, H, W)`: here the input of that step."""
        return x

    def linear(self, x: Tensor) -> Tensor:
        """The convolution alone."""
        frames = self.presynaptic(x).flatten(0, 1)
        if self.conv.kernel_size == (1, 1):
            # The positions that a strided kernel reads, read here: oneDNN of torch 2.3.1 writes beyond its memory in
            # the backward pass of some strided 1×1 convolutions with channels innermost (3 to 96 channels, stride 4).
            rows, columns = self.conv.stride
            if rows * columns > 1:  # the gradient of a slice, even of a whole one, is a tensor of zeros to copy into
                frames = frames[..., ::rows, ::columns]
            current = functional.conv2d(frames, self.conv.weight)
        else:
            current = self.conv(frames)
        return current.unflatten(0, x.shape[:2])


class CausalProjection(Projection):
    """1×1 projection of this step and of the `steps` - 1 before it, each with weights of its own.

    Before the first step lies silence. Channels of the weight: this step's inputs, then those of one step before, …
    """

    def __init__(self, inputs: int, outputs: int, steps: int) -> None:
        super().__init__(inputs * steps, outputs)
        self.steps = steps

    def presynaptic(self, x: Tensor) -> Tensor:
        """The steps of `(T, B, inputs, H, W)` that each step looks at, as channels `(T, B, inputs * steps, H, W)`."""
        past = [functional.pad(x[: len(x) - lag], (0, 0, 0, 0, 0, 0, 0, 0, lag, 0)) for lag in range(1, self.steps)]
        return torch.cat([x, *past], dim=2)


class SpatialMean(NormalisedCurrent):
    """Mean of each channel over space, then BatchNorm.

    Args:
        channels: in and out.
        shift: initial, against a threshold of 1.
    """

    def __init__(self, channels: int, shift: float) -> None:
        super().__init__()
        self.norm = BatchNorm2d(channels)
        nn.init.constant_(self.norm.bias, shift)

    def linear(self, x: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to `(T, B, C, 1, 1)`."""
        return x.mean(dim=(3, 4), keepdim=True)


def fire(current: NormalisedCurrent, population: LIF, x: Tensor) -> Tensor:
    """Spikes of a population that one current drives: `population(current(x))`.

    In training the population takes over the current's BatchNorm, which it can join with its own pass over memory.
    """
    if current.training:
        return population(current.linear(x), current.norm)
    return population(current(x))


class And(nn.Module):
    """Memoryless population that spikes where both its inputs spike; `role` as of a LIF."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self.role = role

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Binary `a` `(T, B, h, H, W)` or `(T, B, h, 1, 1)`, `b` `(T, B, C, H, W)` to their product, of b's shape.

        Channel i of `a` covers the i-th of h runs of b's channels: a head, or with h = C one channel.
        """
        return (a.unsqueeze(3) * b.unflatten(2, (a.shape[2], -1))).flatten(2, 3)


class OrPool(nn.Module):
    """Memoryless population that spikes where any neuron of its window spikes.

    Args:
        size: of the window, in positions each way.
        stride: of windows; None puts them side by side.
        padding: positions without spikes around the map.
    """

    role = "pool"

    def __init__(self, size: int = 2, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.size = size
        self.stride = size if stride is None else stride
        self.padding = padding

    def forward(self, spikes: Tensor) -> Tensor:
        """Binary `(T, B, C, H, W)` to binary `(T, B, C, H', W')`."""
        pooled = functional.max_pool2d(spikes.flatten(0, 1), self.size, self.stride, self.padding)
        return pooled.unflatten(0, spikes.shape[:2])


POPULATIONS = (LIF, And, OrPool)
