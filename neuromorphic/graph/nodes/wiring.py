"""NIR's nodes that rearrange, scale or hold back: Flatten, Scale, Delay."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

import nir
import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.types import IntArray, Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.parameters import tensor
from snnergy.neuromorphic.graph.nodes.rule import LinearRule, Step, by_steps, elementwise_shape, given
from snnergy.neuromorphic.operators import Diagonal, Linear

_BETWEEN = 1e-6  # share of a delay by which float32 can miss its whole steps


class Flatten(LinearRule):
    """Joins the axes start_dim to end_dim. Flat, C-ordered arrays pass unchanged."""

    nir_type = nir.Flatten
    sizes: ClassVar[Mapping[str, int]] = {"start_dim": -8, "end_dim": -8}

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """With the axes joined."""
        shape = given(shape)
        end = int(node.end_dim) % len(shape)
        start = int(node.start_dim) % len(shape)
        if start > end:
            raise ValueError(f"start_dim {node.start_dim} lies behind end_dim {node.end_dim} of shape {shape}")
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])

    def without_axes(self, node: Any, count: int) -> Any:
        """Axes that are counted from the first are as many less."""
        start, end = (dim if dim < 0 else max(0, dim - count) for dim in (int(node.start_dim), int(node.end_dim)))
        same = (start, end) == (node.start_dim, node.end_dim)
        return node if same else nir.Flatten({"input": None}, start, end, metadata=node.metadata)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """`x` with the axes joined."""
        start, end = (int(d) % (x.ndim - 2) + 2 for d in (node.start_dim, node.end_dim))
        return x.flatten(start, end), None

    def operator(self, node: Any, shape: Shape) -> Linear | None:
        """The identity."""
        return None


ALL_JOINED = nir.Flatten({"input": None}, 0, -1)


class Scale(LinearRule):
    """scale · x, element by element."""

    nir_type = nir.Scale
    elementwise = True

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        return elementwise_shape(node.scale, shape)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """scale · x."""
        return x * tensor(node, "scale"), None

    def operator(self, node: Any, shape: Shape) -> Linear | None:
        """A diagonal."""
        return Diagonal(np.asarray(node.scale, dtype=np.float64))


class Delay(LinearRule):
    """x of `delay` earlier, 0 before the start of a sample; in whole steps, to the nearest (of two, the even one)."""

    nir_type = nir.Delay
    elementwise = True

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        if np.min(node.delay) < 0:
            raise ValueError(f"a delay of {np.min(node.delay):g}; a value cannot arrive before it is sent")
        return elementwise_shape(node.delay, shape)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """Each element of `x` later by its steps."""
        out = torch.zeros_like(x)
        for d, where in by_steps(self.delay_steps(node, conventions.dt)).items():
            if d < x.shape[1]:
                out[:, d:] = torch.where(where, x[:, : x.shape[1] - d], out[:, d:])
        return out, None

    def begin(self, node: Any, conventions: Conventions) -> Step:
        """A line that holds as many steps as the longest."""
        chosen = by_steps(self.delay_steps(node, conventions.dt))
        line: deque[Tensor] = deque(maxlen=max(chosen) + 1)

        def step(x: Tensor) -> tuple[Tensor, Tensor | None]:
            line.append(x)
            out = torch.zeros_like(x)
            for d, where in chosen.items():
                out = torch.where(where, line[-1 - d], out) if d < len(line) else out
            return out, None

        return step

    def operator(self, node: Any, shape: Shape) -> Linear | None:
        """The identity."""
        return None

    def delay_steps(self, node: Any, dt: float) -> IntArray:
        """The nearest whole steps of dt, of which 2³¹ are as good as more."""
        steps = np.rint(np.asarray(node.delay, dtype=np.float64) / dt)
        return np.asarray(np.minimum(steps, 2.0**31), dtype=np.int64)

    def rounding(self, node: Any, dt: float) -> str:
        """The largest distance between a delay and its whole steps."""
        exact = np.asarray(node.delay, dtype=np.float64) / dt
        off = float(np.abs(exact - self.delay_steps(node, dt)).max())
        if off <= _BETWEEN * max(1.0, float(exact.max())):
            return ""
        return (
            f"delays of {exact.min():g}..{exact.max():g} steps are rounded to whole ones, by up to {off:.2g} of a step"
        )
