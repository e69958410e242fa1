"""Turns time constants into decays per step and folds the membrane's input gain into weights and biases.

From here on every population obeys

    u[t] = (1 − decay_u)·u[t−1] + Σ W·s[t];   v[t] = (1 − decay_v)·v[t−1] + u[t] + bias

Euler step of NIR's equations: decay = dt/tau, and the gain dt/tau·r (LIF), dt·r (IF) moves into W and the bias. Each
node type's equation stands in the table of `graph.nodes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import PopulationRule
from snnergy.neuromorphic.ir import FloatNet, FloatPopulation, FloatSynapse
from snnergy.neuromorphic.passes.conditions import FITTING, SORTED, SPIKES_ONLY
from snnergy.neuromorphic.passes.fuse import SPIKING_SOURCES, FusedGraph
from snnergy.neuromorphic.passes.infra import Pass


@dataclass(frozen=True)
class DiscretiseTime(Pass[FusedGraph, FloatNet]):
    """Makes a fused graph a float network in steps of the graph's dt."""

    name = "discretise_time"
    requires = (SPIKING_SOURCES,)
    ensures = (SORTED, FITTING, SPIKES_ONLY)

    def rewrite(self, ir: FusedGraph) -> FloatNet:
        """The float network of `ir`.

        Raises:
            UserError: with every parameter that the chip's neuron cannot take.
        """
        violations: list[str] = []
        populations: list[FloatPopulation] = []
        synapses: list[FloatSynapse] = []
        for name in (n for n in ir.source.order if n in ir.arrivals):
            try:
                population, gain = _population(name, ir)
            except UserError as error:
                violations += [f"{ir.source.name}: node {name!r}: {violation}" for violation in error.violations]
                continue
            populations.append(population)
            synapses += [_with_gain(synapse, gain) for synapse in ir.synapses(name)]
        if violations:
            raise UserError(violations)
        return FloatNet(ir.source.inputs, tuple(populations), tuple(synapses), ir.outputs)


def _population(name: str, fused: FusedGraph) -> tuple[FloatPopulation, FloatArray]:
    """The node `name` as a population, and the gain that its synapses must take over."""
    source = fused.source
    node, shape = source.nodes[name], source.shapes[name]
    rule = rule_of(node)
    assert isinstance(rule, PopulationRule), rule
    equation = rule.equation(node, source.conventions, shape)
    carried = fused.arrivals[name].bias.reshape(shape)
    # A constant through a decaying current would need a ramp in u; only a memoryless current is a plain bias.
    if equation.decay_u != 1.0 and np.any(carried):
        raise UserError("a bias enters its decaying current; move it to v_leak")
    bias = equation.gain * carried + equation.leak
    population = FloatPopulation(
        name, shape, equation.decay_u, equation.decay_v, equation.threshold, bias, source.labels(name)
    )
    return population, equation.gain


def _with_gain(synapse: FloatSynapse, gain: FloatArray) -> FloatSynapse:
    scaled = operators.compose(synapse.operator, operators.Diagonal(gain))
    return replace(synapse, operator=operators.as_synapse(scaled, synapse.operator.input_shape))
