"""NIR's integrators, which emit their membrane and never spike: LI, I, CubaLI."""

from __future__ import annotations

from typing import Any, ClassVar

import nir
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.membrane import Cuba, Integrating, Leaky, Membrane
from snnergy.neuromorphic.graph.nodes.parameters import ChipParameters
from snnergy.neuromorphic.graph.nodes.rule import Equation, PopulationRule, Step, elementwise_shape, over_time


class _Readout(PopulationRule):
    """v charges as `membrane` says."""

    kind = "readout"
    elementwise = True
    membrane: ClassVar[Membrane]

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        return elementwise_shape(node.r, shape)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """The membrane after each step."""
        return over_time(self.begin(node, conventions), x)

    def begin(self, node: Any, conventions: Conventions) -> Step:
        """Charge."""
        charge = self.membrane.charge(node, conventions)

        def step(x: Tensor) -> tuple[Tensor, Tensor | None]:
            charge.v = charge(x)
            return charge.v, None

        return step

    def equation(self, node: Any, conventions: Conventions, shape: Shape) -> Equation:
        """`membrane`'s, without a threshold."""
        parameters = ChipParameters(node, conventions, shape)
        charging = self.membrane.equation(parameters)
        if parameters.violations:
            raise UserError(parameters.violations)
        return charging


class LI(_Readout):
    """tau·dv/dt = (v_leak − v) + r·I."""

    nir_type = nir.LI
    time_constant = "tau"
    positive = ("tau",)
    membrane = Leaky()


class I(_Readout):  # noqa: E742  # NIR's name
    """dv/dt = r·I."""

    nir_type = nir.I
    membrane = Integrating()


class CubaLI(_Readout):
    """tau_syn·di/dt = −i + w_in·I;  tau_mem·dv/dt = (v_leak − v) + r·i."""

    nir_type = nir.CubaLI
    time_constant = "tau_mem"
    positive = ("tau_mem", "tau_syn")
    membrane = Cuba()
