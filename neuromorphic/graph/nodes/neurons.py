"""NIR's spiking neurons: LIF, IF, CubaLIF, Threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import nir
import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray, Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes.membrane import Cuba, Integrating, Leaky, Membrane
from snnergy.neuromorphic.graph.nodes.parameters import ChipParameters, tensor
from snnergy.neuromorphic.graph.nodes.rule import Equation, PopulationRule, Step, elementwise_shape, over_time
from snnergy.neuromorphic.ir import is_late, subtracts

_APART = 1e15  # thresholds of one node, so that products with their ratio stay finite


class _Spiking(PopulationRule):
    """v charges as `membrane` says; where v > v_threshold it fires n spikes, sent as one of value n.

    n = 1, or with the convention of many spikes a step n = floor(v / v_threshold). Then v ← v_reset, or with soft reset
    v ← v − n·v_threshold, whatever v_reset is; with a late one so in the next step, once v is charged.
    """

    kind = "neuron"
    elementwise = True
    unbounded = ("v_threshold",)
    membrane: ClassVar[Membrane]
    # What it is without its threshold; fields of the same name mean the same in both.
    readout: ClassVar[type]
    charging: ClassVar[tuple[str, ...]]

    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """Its own."""
        return elementwise_shape(node.r, shape)

    def integrator(self, node: Any) -> Any | None:
        """The readout of the same charge, where all thresholds are infinite."""
        if not (np.asarray(node.v_threshold) == np.inf).all():
            return None
        return self.readout(**{name: getattr(node, name) for name in self.charging}, metadata=node.metadata)

    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """Spikes, and the membrane before reset."""
        return over_time(self.begin(node, conventions), x)

    def begin(self, node: Any, conventions: Conventions) -> Step:
        """Charge, fire, reset."""
        threshold, reset = tensor(node, "v_threshold"), tensor(node, "v_reset")
        charge, due = self.membrane.charge(node, conventions), torch.zeros(())
        many, late = conventions.spikes == "many", is_late(conventions.reset)
        soft = subtracts(conventions.reset)

        def after(spikes: Tensor, v: Tensor) -> Tensor:
            return torch.where(spikes.bool(), v - spikes * threshold if soft else reset, v)

        def step(x: Tensor) -> tuple[Tensor, Tensor | None]:
            nonlocal due
            v = after(due, charge(x)) if late else charge(x)
            fired = v > threshold
            due = spikes = torch.where(fired, torch.floor(v / threshold), 0.0) if many else fired
            charge.v = v if late else after(spikes, v)
            return spikes.float(), v

        return step

    def equation(self, node: Any, conventions: Conventions, shape: Shape) -> Equation:
        """`membrane`'s with one threshold for all and a reset to 0, as a chip has them.

        A reset to v_reset is one to 0 of v − v_reset, which begins at −v_reset. A neuron whose threshold is another
        than the others' is the same neuron in other units: its threshold, input, leak and start are scaled alike; by 0
        where it is infinite.
        """
        parameters = ChipParameters(node, conventions, shape)
        charging = self.membrane.equation(parameters)
        threshold = parameters.full("v_threshold")
        shift = parameters.constant(0.0) if subtracts(conventions.reset) else parameters.full("v_reset")
        violations = [*parameters.violations, *_firing_violations(threshold, shift, conventions)]
        if violations:
            raise UserError(violations)
        above = threshold - shift
        finite = above[np.isfinite(above)]
        units = finite.max() / above
        return replace(
            charging,
            gain=charging.gain * units,
            leak=(charging.leak - np.broadcast_to(charging.decay_v, (above.size,)).reshape(shape) * shift) * units,
            start=-shift * units,
            threshold=float(finite.max()),
            reset=conventions.reset,
            spikes=conventions.spikes,
        )


def _firing_violations(threshold: FloatArray, shift: FloatArray, conventions: Conventions) -> list[str]:
    found = []
    if conventions.spikes == "many" and shift.any():
        found.append(f"v_reset {float(np.abs(shift).max()):g} and several spikes a step: take one, or a soft reset")
    finite = (threshold - shift)[np.isfinite(threshold)]
    if finite.size == 0:
        return [*found, "v_threshold is infinite, so that it never fires; lead it to an output only, or remove it"]
    wrong = threshold <= shift
    if wrong.any():
        least, reset = float(threshold[wrong].min()), float(shift[wrong].max())
        found.append(
            f"v_threshold {least:g}: must be above {reset:g}, to which the membrane is reset, or it fires in each step"
        )
    elif finite.max() > _APART * finite.min():
        found.append(
            f"v_threshold lies {finite.min():g} to {finite.max():g} above reset, over a factor {_APART:g} apart; "
            "split the node"
        )
    return found


class LIF(_Spiking):
    """tau·dv/dt = (v_leak − v) + r·I;  spike where v > v_threshold, then v ← v_reset."""

    nir_type = nir.LIF
    time_constant = "tau"
    positive = ("tau",)
    membrane = Leaky()
    readout = nir.LI
    charging = ("tau", "r", "v_leak")


class IF(_Spiking):
    """dv/dt = r·I;  spike where v > v_threshold, then v ← v_reset."""

    nir_type = nir.IF
    membrane = Integrating()
    readout = nir.I
    charging = ("r",)


class CubaLIF(_Spiking):
    """tau_syn·di/dt = −i + w_in·I;  tau_mem·dv/dt = (v_leak − v) + r·i;
    spike where v > v_threshold, then v ← v_reset.
    """

    nir_type = nir.CubaLIF
    time_constant = "tau_mem"
    positive = ("tau_mem", "tau_syn")
    membrane = Cuba()
    readout = nir.CubaLI
    charging = ("tau_syn", "tau_mem", "r", "v_leak", "w_in")


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
        """Both states are cleared in every step.

        As a chip's threshold is one for all and not negative, one that is not above 0 becomes a bias.
        """
        parameters = ChipParameters(node, conventions, shape)
        threshold, one, zero = parameters.full("threshold"), parameters.constant(1.0), parameters.constant(0.0)
        highest = float(threshold.max())
        if threshold.min() > 0:
            return Equation(np.ones(1), np.ones(1), highest / threshold, zero, zero, highest)
        level = float(np.abs(threshold).max()) or 1.0
        return Equation(np.ones(1), np.ones(1), one, level - threshold, zero, level)
