"""The three ways in which NIR's neurons and readouts charge, each for the oracle and for the chip.

    Leaky        v ← v + dt/tau · ((v_leak − v) + r·I)
    Integrating  v ← v + dt · r·I
    Cuba         i ← i + dt/tau_syn · (−i + w_in·I) first, then Leaky with tau_mem on i

State starts at zero for every sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnergy.neuromorphic.graph.nodes.parameters import ChipParameters, tensor
from snnergy.neuromorphic.graph.nodes.rule import Equation

# (state, input of this step) → new state
Euler = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Charge:
    """One node's state below threshold, over the steps of a batch of samples."""

    charged: Euler
    filtered: Euler | None
    v: Tensor
    i: Tensor

    def __call__(self, current: Tensor) -> Tensor:
        """The membrane after one step with `current`; what becomes of it is for the caller to store in `v`."""
        if self.filtered is not None:
            self.i = current = self.filtered(self.i, current)
        return self.charged(self.v, current)


class Membrane(ABC):
    """How a node charges."""

    @abstractmethod
    def charged(self, node: Any, dt: float) -> Euler:
        """v after a step with the current I."""

    def filtered(self, node: Any, dt: float) -> Euler | None:
        """i after a step, of a node that filters its input; None for the others."""
        return None

    @abstractmethod
    def equation(self, parameters: ChipParameters) -> Equation:
        """The same in the chip's terms, without a threshold; what it cannot take is added to the violations."""

    def charge(self, node: Any, dt: float) -> Charge:
        """The state of `node` before the first step, which gives it its shape."""
        return Charge(self.charged(node, dt), self.filtered(node, dt), torch.zeros(()), torch.zeros(()))


@dataclass(frozen=True)
class Leaky(Membrane):
    """tau: name of the field that holds the membrane's time constant."""

    tau: str = "tau"

    def charged(self, node: Any, dt: float) -> Euler:
        """v + dt/tau · ((v_leak − v) + r·I)."""
        rate, v_leak, r = dt / tensor(node, self.tau), tensor(node, "v_leak"), tensor(node, "r")
        return lambda v, current: v + rate * ((v_leak - v) + r * current)

    def equation(self, parameters: ChipParameters) -> Equation:
        """The gain dt/tau · r, and v_leak as a bias of dt/tau · v_leak."""
        decay, rate = parameters.rates(self.tau)
        gain, leak = parameters.full("r") * rate, parameters.full("v_leak") * rate
        return Equation(np.ones(1), decay, gain, leak, parameters.constant(0.0), None)


class Integrating(Membrane):
    """Without leak."""

    def charged(self, node: Any, dt: float) -> Euler:
        """v + dt · r·I."""
        r = tensor(node, "r")
        return lambda v, current: v + dt * (r * current)

    def equation(self, parameters: ChipParameters) -> Equation:
        """The gain dt · r."""
        gain, zero = parameters.full("r") * parameters.dt, parameters.constant(0.0)
        return Equation(np.ones(1), np.zeros(1), gain, zero, zero, None)


class Cuba(Leaky):
    """A current that decays with tau_syn, into a membrane that decays with tau_mem."""

    def __init__(self) -> None:
        super().__init__("tau_mem")

    def filtered(self, node: Any, dt: float) -> Euler | None:
        """i + dt/tau_syn · (−i + w_in·I)."""
        rate, w_in = dt / tensor(node, "tau_syn"), tensor(node, "w_in")
        return lambda i, current: i + rate * (w_in * current - i)

    def equation(self, parameters: ChipParameters) -> Equation:
        """The gain dt/tau_syn · dt/tau_mem · r · w_in, for the chip's u is r · dt/tau_mem · i."""
        membrane, (decay, rate) = super().equation(parameters), parameters.rates("tau_syn")
        return replace(membrane, decay_u=decay, gain=membrane.gain * parameters.full("w_in") * rate)
