"""NIR's integrators, which emit their membrane and never spike: LI, I, CubaLI."""

from __future__ import annotations

from typing import Any, ClassVar

import nir
import torch
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.nodes.membrane import Cuba, Integrating, Leaky, Membrane
from snnergy.neuromorphic.graph.nodes.parameters import ChipParameters
from snnergy.neuromorphic.graph.nodes.rule import Equation, PopulationRule, elementwise_shape


class _Readout(PopulationRule):
    """v charges as `membrane` says."""

    kind = "readout"
    membrane: ClassVar[Membrane]

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        return elementwise_shape(node.r, shape)

    def interpret(self, node: Any, x: Tensor, dt: float) -> tuple[Tensor, Tensor | None]:
        """The membrane after each step."""
        charge = self.membrane.charge(node, x, dt)
        out = torch.empty_like(x)
        for t in range(x.shape[1]):
            charge.v = charge(x[:, t])
            out[:, t] = charge.v
        return out, None

    def equation(self, node: Any, dt: float, shape: Shape) -> Equation:
        """`membrane`'s, without a threshold."""
        parameters = ChipParameters(node, dt, shape)
        charging = self.membrane.equation(parameters, None)
        if parameters.violations:
            raise UserError(parameters.violations)
        return charging


class LI(_Readout):
    """v ← v + dt/tau · ((v_leak − v) + r·I)."""

    nir_type = nir.LI
    time_constant = "tau"
    positive = ("tau",)
    membrane = Leaky()


class I(_Readout):  # noqa: E742  # NIR's name
    """v ← v + dt · r·I."""

    nir_type = nir.I
    membrane = Integrating()


class CubaLI(_Readout):
    """i ← i + dt/tau_syn · (−i + w_in·I);  v ← v + dt/tau_mem · ((v_leak − v) + r·i)."""

    nir_type = nir.CubaLI
    time_constant = "tau_mem"
    positive = ("tau_mem", "tau_syn")
    membrane = Cuba()
