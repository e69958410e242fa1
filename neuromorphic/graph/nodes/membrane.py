"""The three ways in which NIR's neurons and readouts charge, each for the oracle and for the chip.

    Leaky        v ← v + d·((v_leak − v) + r·I),                 d = dt/tau
    Integrating  v ← v + dt · r·I
    Cuba         i ← i + d_syn·(−i + w_in·I),  d_syn = dt/tau_syn, first; then Leaky with tau_mem on i

in Euler's step. The exponential one is exact for a current that stays the same over a step (zero-order hold): there
d = 1 − exp(−dt/tau), likewise d_syn. With a gain of one what enters is added whole, whatever r and w_in are:

    Leaky        v ← v + d·(v_leak − v) + I
    Integrating  v ← v + I
    Cuba         i ← (1 − d_syn)·i + I in Euler's step, i ← (1 − d_syn)·(i + I) in the exponential one, where an impulse
                 decays within its step as well

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

from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.parameters import ChipParameters, rate, tensor
from snnergy.neuromorphic.graph.nodes.rule import Equation

# (state, input of this step) → new state
Advance = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Charge:
    """One node's state below threshold, over the steps of a batch of samples."""

    charged: Advance
    filtered: Advance | None
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
    def charged(self, node: Any, conventions: Conventions) -> Advance:
        """v after a step with the current I."""

    def filtered(self, node: Any, conventions: Conventions) -> Advance | None:
        """i after a step, of a node that filters its input; None for the others."""
        return None

    @abstractmethod
    def equation(self, parameters: ChipParameters) -> Equation:
        """The same in the chip's terms, without a threshold; what it cannot take is added to the violations."""

    def charge(self, node: Any, conventions: Conventions) -> Charge:
        """The state of `node` before the first step, which gives it its shape."""
        zero = torch.zeros(())
        return Charge(self.charged(node, conventions), self.filtered(node, conventions), zero, zero)


@dataclass(frozen=True)
class Leaky(Membrane):
    """tau: name of the field that holds the membrane's time constant."""

    tau: str = "tau"

    def charged(self, node: Any, conventions: Conventions) -> Advance:
        """v + d·((v_leak − v) + r·I), or v + d·(v_leak − v) + I."""
        d, v_leak, r = rate(node, self.tau, conventions), tensor(node, "v_leak"), tensor(node, "r")
        if conventions.gain == "one":
            return lambda v, current: v + d * (v_leak - v) + current
        return lambda v, current: v + d * ((v_leak - v) + r * current)

    def equation(self, parameters: ChipParameters) -> Equation:
        """The gain d·r, and v_leak as a bias of d·v_leak."""
        decay, d = parameters.rates(self.tau)
        leak = parameters.full("v_leak") * d
        gain = parameters.constant(1.0) if parameters.conventions.gain == "one" else parameters.full("r") * d
        return Equation(np.ones(1), decay, gain, leak, parameters.constant(0.0), None)


class Integrating(Membrane):
    """Without leak."""

    def charged(self, node: Any, conventions: Conventions) -> Advance:
        """v + dt · r·I, or v + I."""
        r, dt = tensor(node, "r"), conventions.dt
        if conventions.gain == "one":
            return lambda v, current: v + current
        return lambda v, current: v + dt * (r * current)

    def equation(self, parameters: ChipParameters) -> Equation:
        """The gain dt · r."""
        conventions, zero = parameters.conventions, parameters.constant(0.0)
        gain = parameters.constant(1.0) if conventions.gain == "one" else parameters.full("r") * conventions.dt
        return Equation(np.ones(1), np.zeros(1), gain, zero, zero, None)


class Cuba(Leaky):
    """A current that decays with tau_syn, into a membrane that decays with tau_mem."""

    def __init__(self) -> None:
        super().__init__("tau_mem")

    def filtered(self, node: Any, conventions: Conventions) -> Advance | None:
        """i + d·(−i + w_in·I), or as the module says with a gain of one."""
        d, w_in = rate(node, "tau_syn", conventions), tensor(node, "w_in")
        if conventions.gain == "file":
            return lambda i, current: i + d * (w_in * current - i)
        kept = 1.0 if conventions.integration == "euler" else 1 - d
        return lambda i, current: i - d * i + kept * current

    def equation(self, parameters: ChipParameters) -> Equation:
        """The gain of the current times the membrane's, for the chip's u is the current times that."""
        membrane, (decay, d) = super().equation(parameters), parameters.rates("tau_syn")
        gain = parameters.full("w_in") * d
        if parameters.conventions.gain == "one":
            gain = parameters.constant(1.0) if parameters.conventions.integration == "euler" else 1 - d
        return replace(membrane, decay_u=decay, gain=membrane.gain * gain)
