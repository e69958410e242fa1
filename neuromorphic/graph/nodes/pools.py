"""NIR's pools, which are convolutions of each channel with one value: SumPool2d, AvgPool2d."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import nir
import numpy as np

from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.nodes.convolution import ConvolutionRule, pair, weighted
from snnergy.neuromorphic.ir import Conv2d, Pair


class _Pool(ConvolutionRule):
    @abstractmethod
    def value(self, kernel: Pair) -> float:
        """Every weight of a kernel of that size."""

    def kernel(self, node: Any, shape: Shape) -> Conv2d:
        """One channel of the kernel for each channel of the input."""
        if len(shape) != 3:
            raise ValueError(f"takes (C, H, W), got shape {shape}")
        size = pair(node.kernel_size)
        weight = np.full((shape[0], 1, *size), self.value(size), dtype=np.float32)
        return weighted(weight, shape, pair(node.stride), pair(node.padding), (1, 1), shape[0])


class SumPool2d(_Pool):
    """Sum over each window; what lies in the padding counts as 0."""

    nir_type = nir.SumPool2d

    def value(self, kernel: Pair) -> float:
        """1."""
        return 1.0


class AvgPool2d(_Pool):
    """Sum over each window, divided by its size; what lies in the padding counts as 0."""

    nir_type = nir.AvgPool2d

    def value(self, kernel: Pair) -> float:
        """1 over the kernel's size."""
        return 1.0 / (kernel[0] * kernel[1])
