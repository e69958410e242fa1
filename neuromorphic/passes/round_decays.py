"""Puts every decay on the chip's grid of 12 bits and keeps what a constant input leads to.

A decay d becomes d' = round(4096·d) / 4096, at least 1/4096 where d is not 0, since a membrane that loses nothing
integrates for ever. Under a constant input I both equations settle at

    u = W·I / decay_u,    v = (u + bias) / decay_v ,

so that W takes the factor d'_u/d_u · d'_v/d_v and the bias d'_v/d_v: a drive below the threshold stays below it. What
changes is how fast this is reached, by the share that the time constant does. The other choice, W as it is, keeps the
slope of the first steps instead; but with a decay that is too small a silent neuron fires, and with one of 0 each does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.ir import FloatNet, FloatPopulation, FloatSynapse
from snnergy.neuromorphic.limits import DECAY_ONE
from snnergy.neuromorphic.passes.conditions import BALANCED, FITTING, SORTED, SPIKES_ONLY
from snnergy.neuromorphic.passes.infra import Condition, Pass

_TOLD = 0.05  # share by which rounding may change a time constant without a word


def _off_grid(net: FloatNet) -> Iterator[str]:
    for population in net.populations:
        for name in ("decay_u", "decay_v"):
            decays = getattr(population, name) * DECAY_ONE
            if (decays != np.rint(decays)).any():
                yield f"{population.name}: {name} is no whole number of 4096ths"


ON_GRID = Condition[FloatNet]("every decay is one of 12 bits", _off_grid)


@dataclass(frozen=True)
class RoundDecays(Pass[FloatNet, FloatNet]):
    """Rounds decays, and scales weights and biases in return."""

    name = "round_decays"
    requires = (SORTED, FITTING, SPIKES_ONLY, BALANCED)
    ensures = (SORTED, FITTING, SPIKES_ONLY, BALANCED, ON_GRID)

    def rewrite(self, ir: FloatNet) -> FloatNet:
        """`ir` with decays on the grid; what is there already is left as it is."""
        rounded = {population.name: _rounded(population) for population in ir.populations}
        return replace(
            ir,
            populations=tuple(population for population, _ in rounded.values()),
            synapses=tuple(_scaled(synapse, rounded[synapse.target][1]) for synapse in ir.synapses),
        )


def changed_time_constants(population: FloatPopulation) -> str:
    """What rounding does to the time constants of a population, where it shows; empty where it does not."""
    found = []
    for state, decays in (("u", population.decay_u), ("v", population.decay_v)):
        rounded, share = _on_grid(decays)
        at = int(np.abs(share - 1).argmax())
        if abs(share[at] - 1) > _TOLD:
            found.append(f"of {state} {1 / decays[at]:.4g} steps to {1 / rounded[at]:.4g}")
    return f"{population.name} ({', '.join(found)})" if found else ""


def _rounded(population: FloatPopulation) -> tuple[FloatPopulation, FloatArray]:
    """The population on the grid, and what its weights take, `(neurons,)` or `(1,)`."""
    (u, gain_u), (v, gain_v) = map(_on_grid, (population.decay_u, population.decay_v))
    bias = population.bias
    if (gain_v != 1).any():
        each = np.broadcast_to(gain_v, (population.size,)).reshape(population.shape)
        bias = np.broadcast_to(bias, population.shape) * each
    return replace(population, decay_u=u, decay_v=v, bias=bias), gain_u * gain_v


def _on_grid(decays: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Decays of 12 bits, and each over the decay that it stands for."""
    nearest = np.rint(decays * DECAY_ONE)
    rounded = np.where(decays > 0, np.maximum(nearest, 1), 0) / DECAY_ONE
    return rounded, np.divide(rounded, decays, out=np.ones_like(rounded), where=decays > 0)


def _scaled(synapse: FloatSynapse, gain: FloatArray) -> FloatSynapse:
    if (gain == 1).all():
        return synapse
    if gain.size == 1:
        return replace(synapse, operator=replace(synapse.operator, weight=synapse.operator.weight * gain))
    scaled = operators.compose(synapse.operator, operators.Diagonal(gain))
    return replace(synapse, operator=operators.as_synapse(scaled, synapse.operator.input_shape))
