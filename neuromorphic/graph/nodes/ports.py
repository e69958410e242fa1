"""Where values enter and leave a graph: Input, Output."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from torch import Tensor

from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.rule import Equation, PopulationRule, Rule, given

_RANK_MAX = 8


class Input(Rule):
    """Emits what it is given."""

    nir_type = nir.Input
    kind = "input"

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """As the node declares it."""
        declared = np.asarray(node.input_type["input"])
        if declared.ndim != 1 or not 1 <= declared.size <= _RANK_MAX or declared.dtype.kind not in "uif":
            raise ValueError(f"shape {declared.tolist()}; declare 1 to {_RANK_MAX} extents")
        if not np.isfinite(declared).all() or (declared != np.rint(declared)).any() or declared.min() < 1:
            raise ValueError(f"shape {declared.tolist()}; extents are whole numbers from 1")
        return tuple(int(extent) for extent in declared)

    def without_axes(self, node: Any, count: int) -> Any:
        """Of what it declares, the axes behind those; one that declares no more, or no shape at all, keeps what it
        has."""
        declared = np.asarray(node.input_type["input"])
        if declared.ndim != 1:
            return node
        kept = declared[min(count, max(declared.size - 1, 0)) :]
        return node if kept.size == declared.size else nir.Input({"input": kept}, metadata=node.metadata)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """`x` itself."""
        return x, None


class Output(PopulationRule):
    """Passes its input on. Behind a linear node it becomes a readout without memory: the value is the membrane."""

    nir_type = nir.Output
    kind = "output"

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its input's, whatever the node declares."""
        return given(shape)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """`x` itself."""
        return x, None

    def equation(self, node: Any, conventions: Conventions, shape: Shape) -> Equation:
        """Both states are cleared in every step."""
        zero = np.zeros(shape)
        return Equation(np.ones(1), np.ones(1), np.ones(shape), zero, zero, None)
