"""NIR's spiking neurons: LIF, IF, CubaLIF, Threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import nir
import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.membrane import Cuba, Integrating, Leaky, Membrane
from snnergy.neuromorphic.graph.nodes.parameters import ChipParameters, tensor
from snnergy.neuromorphic.graph.nodes.rule import Equation, PopulationRule, Step, elementwise_shape, over_time


class _Spiking(PopulationRule):
    """v charges as `membrane` says; spike where v > v_threshold, then v ← v_reset."""

    kind = "neuron"
    elementwise = True
    membrane: ClassVar[Membrane]

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        return elementwise_shape(node.r, shape)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """Spikes, and the membrane before reset."""
        return over_time(self.begin(node, conventions), x)

    def begin(self, node: Any, conventions: Conventions) -> Step:
        """Charge, fire, reset."""
        threshold, reset = tensor(node, "v_threshold"), tensor(node, "v_reset")
        charge = self.membrane.charge(node, conventions.dt)

        def step(x: Tensor) -> tuple[Tensor, Tensor | None]:
            v = charge(x)
            fired = v > threshold
            charge.v = torch.where(fired, reset, v)
            return fired.float(), v

        return step

    def equation(self, node: Any, conventions: Conventions, shape: Shape) -> Equation:
        """`membrane`'s with one threshold; the chip resets to 0."""
        parameters = ChipParameters(node, conventions.dt, shape)
        if np.any(node.v_reset):
            parameters.violations.append(
                f"v_reset {np.unique(node.v_reset)}: Loihi resets to 0; shift the membrane so that v_reset is 0"
            )
        charging = self.membrane.equation(parameters, None)
        threshold = parameters.uniform("v_threshold")
        if threshold <= 0:
            parameters.violations.append(
                f"v_threshold {threshold:g}: must be above 0, or the neuron fires without input"
            )
        if parameters.violations:
            raise UserError(parameters.violations)
        return replace(charging, threshold=threshold)


class LIF(_Spiking):
    """v ← v + dt/tau · ((v_leak − v) + r·I);  spike where v > v_threshold, then v ← v_reset."""

    nir_type = nir.LIF
    time_constant = "tau"
    positive = ("tau",)
    membrane = Leaky()


class IF(_Spiking):
    """v ← v + dt · r·I;  spike where v > v_threshold, then v ← v_reset."""

    nir_type = nir.IF
    membrane = Integrating()


class CubaLIF(_Spiking):
    """i ← i + dt/tau_syn · (−i + w_in·I);  v ← v + dt/tau_mem · ((v_leak − v) + r·i);
    spike where v > v_threshold, then v ← v_reset.
    """

    nir_type = nir.CubaLIF
    time_constant = "tau_mem"
    positive = ("tau_mem", "tau_syn")
    membrane = Cuba()


class Threshold(PopulationRule):
    """Spike where I > threshold; no memory."""

    nir_type = nir.Threshold
    kind = "neuron"
    elementwise = True

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        return elementwise_shape(node.threshold, shape)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """Spikes, and the input that was compared."""
        return (x > tensor(node, "threshold")).float(), x

    def equation(self, node: Any, conventions: Conventions, shape: Shape) -> Equation:
        """Both states are cleared in every step."""
        parameters = ChipParameters(node, conventions.dt, shape)
        threshold = parameters.uniform("threshold")
        if parameters.violations:
            raise UserError(parameters.violations)
        return Equation(1.0, 1.0, parameters.constant(1.0), parameters.constant(0.0), threshold)
