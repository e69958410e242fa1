"""NIR's weighted layers: Affine, Linear, Conv1d, Conv2d."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import nir
import numpy as np
from torch import Tensor

from snnergy.artefacts.types import FloatArray, Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.convolution import ConvolutionRule, padding_of, pair, weighted
from snnergy.neuromorphic.graph.nodes.parameters import tensor
from snnergy.neuromorphic.graph.nodes.rule import LinearRule, given
from snnergy.neuromorphic.ir import Conv2d as Kernel
from snnergy.neuromorphic.ir import Dense
from snnergy.neuromorphic.operators import Linear as Operator

_SIZES = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


class Linear(LinearRule):
    """weight · x."""

    nir_type = nir.Linear
    learned = True
    ranks: ClassVar[Mapping[str, int]] = {"weight": 2}

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """One element a row of the weight."""
        shape = given(shape)
        if node.weight.ndim != 2 or shape != (node.weight.shape[1],):
            raise ValueError(f"weight {node.weight.shape} takes a flat vector, got shape {shape}; add a Flatten")
        bias = np.shape(getattr(node, "bias", 0.0))
        if bias not in ((), node.weight.shape[:1]):
            raise ValueError(f"bias of shape {bias} for {node.weight.shape[0]} rows")
        return (node.weight.shape[0],)

    def multiplications(self, node: Any, shape: Shape) -> int:
        """One for each weight."""
        return int(node.weight.size)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """weight · x."""
        return x @ tensor(node, "weight").T, None

    def operator(self, node: Any, shape: Shape) -> Operator | None:
        """The weight as it is."""
        return Dense(np.asarray(node.weight, dtype=np.float64))


class Affine(Linear):
    """weight · x + bias."""

    nir_type = nir.Affine
    ranks: ClassVar[Mapping[str, int]] = {"weight": 2, "bias": 1}

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """weight · x + bias."""
        return x @ tensor(node, "weight").T + tensor(node, "bias"), None

    def bias(self, node: Any) -> FloatArray | None:
        """One value a row."""
        return np.asarray(node.bias, dtype=np.float64)


class Conv2d(ConvolutionRule):
    """PyTorch's conv2d, groups included."""

    nir_type = nir.Conv2d
    learned = True
    ranks: ClassVar[Mapping[str, int]] = {"weight": 4, "bias": 1}
    sizes: ClassVar[Mapping[str, int]] = _SIZES

    def kernel(self, node: Any, shape: Shape) -> Kernel:
        """The node's own; a padding in words becomes numbers."""
        if len(shape) != 3:
            raise ValueError(f"takes (C, H, W), got shape {shape}")
        stride, dilation = pair(node.stride), pair(node.dilation)
        padding = padding_of(node.padding, (node.weight.shape[2], node.weight.shape[3]), dilation)
        return weighted(node.weight, shape, stride, padding, dilation, int(node.groups))


class Conv1d(ConvolutionRule):
    """PyTorch's conv1d, on maps of height 1."""

    nir_type = nir.Conv1d
    learned = True
    ranks: ClassVar[Mapping[str, int]] = {"weight": 3, "bias": 1}
    sizes: ClassVar[Mapping[str, int]] = _SIZES

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """(O, L')."""
        channels, _, length = super().output_shape(node, shape)
        return (channels, length)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """The convolution over the last axis."""
        out, _ = super().interpret(node, x, conventions)
        return out.squeeze(3), None

    def kernel(self, node: Any, shape: Shape) -> Kernel:
        """The node's own with a height of 1."""
        if len(shape) != 2:
            raise ValueError(f"takes (C, L), got shape {shape}")
        weight = node.weight[:, :, None, :]
        dilation = (1, int(np.atleast_1d(node.dilation)[0]))
        if isinstance(node.padding, str | bytes):
            padding = padding_of(node.padding, (1, weight.shape[3]), dilation)
        else:
            padding = (0, int(np.atleast_1d(node.padding)[0]))
        stride = (1, int(np.atleast_1d(node.stride)[0]))
        return weighted(weight, (shape[0], 1, shape[1]), stride, padding, dilation, int(node.groups))
