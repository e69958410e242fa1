"""What convolutions and pools share: a node becomes one 2-d kernel, from which shape, value and operator follow.

nir 1.0.8 itself is wrong about the shapes of grouped and non-square convolutions.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from snnergy.artefacts.types import FloatArray, Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.parameters import tensor
from snnergy.neuromorphic.graph.nodes.rule import LinearRule, given
from snnergy.neuromorphic.ir import Conv2d, Pair
from snnergy.neuromorphic.operators import Linear


class ConvolutionRule(LinearRule):
    """Of a node that cross-correlates its input with a kernel, and adds a bias a channel if it has one."""

    @abstractmethod
    def kernel(self, node: Any, shape: Shape) -> Conv2d:
        """The 2-d operator on an input of `shape`.

        Raises:
            ValueError: the node does not take that shape.
        """

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """(O, H', W')."""
        kernel = self.kernel(node, given(shape))
        bias = np.shape(getattr(node, "bias", 0.0))
        if bias not in ((), kernel.weight.shape[:1]):
            raise ValueError(f"bias of shape {bias} for {kernel.weight.shape[0]} channels")
        return kernel.output_shape

    def multiplications(self, node: Any, shape: Shape) -> int:
        """A kernel for each value that leaves."""
        kernel = self.kernel(node, shape)
        return math.prod(kernel.output_shape) * math.prod(kernel.weight.shape[1:])

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """The cross-correlation of each step."""
        k = self.kernel(node, tuple(x.shape[2:]))
        bias = tensor(node, "bias") if hasattr(node, "bias") else None
        weight = torch.from_numpy(k.weight.astype(np.float32))
        maps = x.reshape(-1, *k.input_shape)
        out = F.conv2d(maps, weight, bias, k.stride, k.padding, k.dilation, k.groups)
        return out.reshape(*x.shape[:2], *out.shape[1:]), None

    def operator(self, node: Any, shape: Shape) -> Linear | None:
        """The kernel."""
        kernel = self.kernel(node, shape)
        return replace(kernel, weight=kernel.weight.astype(np.float64))

    def bias(self, node: Any) -> FloatArray | None:
        """One value a channel, `(O, 1, 1)`."""
        return np.asarray(node.bias, dtype=np.float64)[:, None, None] if hasattr(node, "bias") else None


def weighted(
    weight: npt.NDArray[Any], shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Conv2d:
    """The kernel `weight` on maps of `shape` (C, H, W), which it must fit."""
    if weight.shape[0] % groups:
        raise ValueError(f"weight {weight.shape} does not part into {groups} groups")
    if weight.shape[1] * groups != shape[0]:
        raise ValueError(
            f"weight {weight.shape} with {groups} groups takes {weight.shape[1] * groups} channels, got {shape}"
        )
    operator = Conv2d(weight, (shape[0], shape[1], shape[2]), stride, padding, dilation, groups)
    if min(operator.output_shape) < 1:
        raise ValueError(f"kernel {weight.shape[2:]} is larger than the padded input {shape}")
    return operator


def pair(value: Any) -> Pair:
    """A scalar or a sequence of one or two numbers as `(height, width)`."""
    flat = [int(x) for x in np.atleast_1d(value)]
    return (flat[0], flat[-1])


def padding_of(padding: Any, kernel: Pair, dilation: Pair) -> Pair:
    """Padding in numbers: as given, or what 'valid' and 'same' mean for a kernel.

    Raises:
        ValueError: it would have to be lopsided.
    """
    if isinstance(padding, bytes):
        padding = padding.decode()
    if not isinstance(padding, str):
        return pair(padding)
    if padding not in ("valid", "same"):
        raise ValueError(f"padding {padding!r}; give numbers, 'valid' or 'same'")
    if padding == "valid":
        return (0, 0)
    spans = [dilation[i] * (kernel[i] - 1) for i in (0, 1)]
    if any(span % 2 for span in spans):
        raise ValueError(f"padding 'same' of an even kernel {kernel} is lopsided; give the padding as numbers")
    return (spans[0] // 2, spans[1] // 2)
