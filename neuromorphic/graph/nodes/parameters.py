"""Reads parameters of a node: as float32 tensors for the oracle, as what a chip's population can take for lowering."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.types import FloatArray, Shape


def tensor(node: Any, name: str) -> Tensor:
    """The field `name` in float32."""
    return torch.from_numpy(np.asarray(getattr(node, name), dtype=np.float32))


@dataclass(frozen=True)
class ChipParameters:
    """Parameters of a node whose population has `shape`. violations: what was asked for and cannot be had."""

    node: Any
    dt: float
    shape: Shape
    violations: list[str] = field(default_factory=list)

    def full(self, name: str) -> FloatArray:
        """The field `name` in float64, one value a neuron."""
        return np.broadcast_to(np.asarray(getattr(self.node, name), dtype=np.float64), self.shape).copy()

    def constant(self, value: float) -> FloatArray:
        """`value` for each neuron."""
        return np.full(self.shape, value)

    def uniform(self, name: str) -> float:
        """The field `name`, the same for all neurons."""
        values = np.unique(np.asarray(getattr(self.node, name), dtype=np.float64))
        if values.size != 1:
            self.violations.append(
                f"{name} varies from {values[0]:g} to {values[-1]:g}; a population has one: split the node"
            )
        return float(values[0])

    def rate(self, name: str) -> float:
        """dt over the time constant `name`."""
        tau = self.uniform(name)
        if tau < self.dt:
            self.violations.append(f"{name} {tau:g} is shorter than dt {self.dt:g}; give a smaller dt")
            return 1.0
        return self.dt / tau
