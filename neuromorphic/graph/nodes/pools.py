"""NIR's pools, which are convolutions of each channel with one value: SumPool2d, AvgPool2d."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import nir
import numpy as np

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.nodes.convolution import ConvolutionRule, pair, weighted
from snnergy.neuromorphic.ir import Conv2d, Pair


class _Pool(ConvolutionRule):
    sizes: ClassVar[Mapping[str, int]] = {"kernel_size": 1, "stride": 1, "padding": 0}

    @abstractmethod
    def value(self, kernel: Pair) -> float:
        """Every weight of a kernel of that size."""

    def kernel(self, node: Any, shape: Shape) -> Conv2d:
        """One channel of the kernel for each channel of the input."""
        if len(shape) != 3:
            raise ValueError(f"takes (C, H, W), got shape {shape}")
        size, padding = pair(node.kernel_size), pair(node.padding)
        if any(size[i] > shape[1 + i] + 2 * padding[i] for i in (0, 1)):  # before a kernel of that size is made
            raise ValueError(f"kernel {size} is larger than the padded input {shape}")
        refuse_excess(f"a kernel of {size} on {shape}", shape[0] * size[0] * size[1] * 4, share=1 / 8)
        weight = np.full((shape[0], 1, *size), self.value(size), dtype=np.float32)
        return weighted(weight, shape, pair(node.stride), padding, (1, 1), shape[0])


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
