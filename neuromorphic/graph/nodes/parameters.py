"""Reads parameters of a node: as float32 tensors for the oracle, as what a chip's population can take for lowering."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.types import FloatArray, Shape
from snnergy.neuromorphic.graph.conventions import Conventions

_SAME = 4 * float(np.finfo(np.float32).eps)  # a few roundings, as of dt / (1 - beta)


def tensor(node: Any, name: str) -> Tensor:
    """The field `name` in float32."""
    return torch.from_numpy(np.asarray(getattr(node, name), dtype=np.float32))


def rate(node: Any, name: str, conventions: Conventions) -> Tensor:
    """The share that a state loses in a step, of the time constant `name`, in float32."""
    steps = conventions.dt / tensor(node, name)
    return steps if conventions.integration == "euler" else -torch.expm1(-steps)


@dataclass(frozen=True)
class ChipParameters:
    """Parameters of a node whose population has `shape`. violations: what was asked for and cannot be had."""

    node: Any
    conventions: Conventions
    shape: Shape
    violations: list[str] = field(default_factory=list)

    def full(self, name: str) -> FloatArray:
        """The field `name` in float64, one value a neuron."""
        return np.broadcast_to(np.asarray(getattr(self.node, name), dtype=np.float64), self.shape).copy()

    def constant(self, value: float) -> FloatArray:
        """`value` for each neuron."""
        return np.full(self.shape, value)

    def rates(self, name: str) -> tuple[FloatArray, FloatArray]:
        """As `rate` in float64: `(neurons,)`, or `(1,)` where all have the same; and one a neuron.

        For Euler's step a time constant that is dt but for the rounding of single precision is dt.
        """
        dt = self.conventions.dt
        with np.errstate(over="ignore"):
            rates = dt / self.full(name).reshape(-1)
        if self.conventions.integration == "exponential":
            rates = -np.expm1(-rates)
        rates = np.where(np.abs(rates - 1) <= _SAME, 1.0, rates)
        if rates.max() > 1:
            tau = float(self.full(name).min())
            self.violations.append(
                f"{name} {tau:g} is shorter than dt {dt:g}; give a smaller dt, or integration exponential"
            )
        rates = np.minimum(rates, 1.0)
        return compact(rates), rates.reshape(self.shape)


def compact(values: FloatArray) -> FloatArray:
    """`values`, one of them where all are the same."""
    return values[:1] if (values == values[0]).all() else values
