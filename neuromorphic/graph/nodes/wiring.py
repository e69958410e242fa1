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

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.parameters import tensor
from snnergy.neuromorphic.graph.nodes.rule import LinearRule, Step, elementwise_shape, given
from snnergy.neuromorphic.operators import Diagonal, Linear


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
    """x of `delay` earlier, 0 before the start of a sample."""

    nir_type = nir.Delay
    elementwise = True

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        return elementwise_shape(node.delay, shape)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """`x` later by whole steps."""
        steps, out = self.delay_steps(node, conventions.dt), torch.zeros_like(x)
        if steps < x.shape[1]:
            out[:, steps:] = x[:, : x.shape[1] - steps]
        return out, None

    def begin(self, node: Any, conventions: Conventions) -> Step:
        """A line that holds as many steps."""
        line: deque[Tensor] = deque(maxlen=self.delay_steps(node, conventions.dt) + 1)

        def step(x: Tensor) -> tuple[Tensor, Tensor | None]:
            line.append(x)
            return line[0] if len(line) == line.maxlen else torch.zeros_like(x), None

        return step

    def operator(self, node: Any, shape: Shape) -> Linear | None:
        """The identity."""
        return None

    def delay_steps(self, node: Any, dt: float) -> int:
        """Whole steps of dt.

        Raises:
            UserError: the delay differs between neurons or is not a multiple of dt.
        """
        steps = np.unique(np.asarray(node.delay, dtype=np.float64) / dt)
        if steps.size != 1 or abs(steps[0] - round(steps[0])) > 1e-6 or steps[0] < 0:
            raise UserError(
                f"Delay of {np.unique(node.delay)} at dt {dt:g}: must be one whole number of steps for the node"
            )
        return round(float(steps[0]))
