"""Turns time constants into decays per step and folds the membrane's input gain into weights and biases.

From here on every population obeys

    u[t] = (1 − decay_u)·u[t−1] + Σ W·s[t];   v[t] = (1 − decay_v)·v[t−1] + u[t] + bias

A step of NIR's equations, Euler's or the exact one: decay d = dt/tau or 1 − exp(−dt/tau), and the gain d·r (LIF), dt·r
(IF) moves into W and the bias. Each node type's equation stands in the table of `graph.nodes`. A constant that a bias
cannot be comes from a source, a neuron of its own that fires in every step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import Equation, PopulationRule
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import Dense, FloatNet, FloatPopulation, FloatSynapse
from snnergy.neuromorphic.passes.conditions import FITTING, SORTED, SPIKES_ONLY
from snnergy.neuromorphic.passes.fuse import SPIKING_SOURCES, Arrival, FusedGraph
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
                equation = _equation(name, ir)
            except UserError as error:
                violations += [f"{ir.source.name}: node {name!r}: {violation}" for violation in error.violations]
                continue
            bias, later = _constants(equation, ir.arrivals[name])
            if later:
                source = _source(name, ir.source)
                populations.append(source)
                synapses += _from_source(source.name, name, later)
            populations.append(_population(name, ir.source, equation, bias))
            synapses += [_with_gain(synapse, equation.gain) for synapse in ir.synapses(name)]
        if violations:
            raise UserError(violations)
        return FloatNet(ir.source.inputs, tuple(populations), tuple(synapses), ir.outputs)


def _equation(name: str, fused: FusedGraph) -> Equation:
    node = fused.source.nodes[name]
    rule = rule_of(node)
    assert isinstance(rule, PopulationRule), rule
    return rule.equation(node, fused.source.conventions.of(name), fused.source.shapes[name])


def _population(name: str, source: NirSource, equation: Equation, bias: FloatArray) -> FloatPopulation:
    return FloatPopulation(
        name,
        source.shapes[name],
        equation.decay_u,
        equation.decay_v,
        equation.threshold,
        bias,
        source.labels(name),
        reset=equation.reset,
        spikes=equation.spikes,
    )


def _constants(equation: Equation, arrival: Arrival) -> tuple[FloatArray, dict[int, FloatArray]]:
    """The bias of a population, and what synapses of a source that fires in every step must bring.

    A constant that is there from the first step, into a current without memory, is a bias. One that comes later, or
    that ramps up through a decaying current, needs synapses: the weight from the source, by delay. So does a membrane
    that does not start at 0: what is left of it in the first step is an impulse, a constant that the next step takes
    back, and with it what a decaying current would have kept.
    """
    shape, memoryless = equation.gain.shape, bool((equation.decay_u == 1).all())
    driven = {delay: equation.gain * values.reshape(shape) for delay, values in arrival.constants.items()}
    bias = equation.leak + driven.pop(0, np.zeros(shape)) if memoryless else equation.leak
    decay_u, decay_v = (np.broadcast_to(d, (bias.size,)).reshape(shape) for d in (equation.decay_u, equation.decay_v))
    begun = (1 - decay_v) * equation.start
    for delay, values in enumerate((begun, -(2 - decay_u) * begun, (1 - decay_u) * begun)):
        driven[delay] = driven.get(delay, np.zeros(shape)) + values
    return bias, {delay: values for delay, values in sorted(driven.items()) if values.any()}


def _source(target: str, source: NirSource) -> FloatPopulation:
    """One neuron that fires in every step, for the constants that enter the population `target`."""
    name = f"{target}.bias"
    while name in source.nodes:
        name += "_"
    labels = replace(source.labels(target), role="bias")
    return FloatPopulation(name, (1,), np.ones(1), np.ones(1), 0.5, np.ones(1), labels)


def _from_source(source: str, target: str, weights: dict[int, FloatArray]) -> list[FloatSynapse]:
    return [
        FloatSynapse(source, target, Dense(values.reshape(-1, 1)), delay, learned=False)
        for delay, values in weights.items()
    ]


def _with_gain(synapse: FloatSynapse, gain: FloatArray) -> FloatSynapse:
    scaled = operators.compose(synapse.operator, operators.Diagonal(gain))
    return replace(synapse, operator=operators.as_synapse(scaled, synapse.operator.input_shape))
