"""Turns time constants into decays per step and folds the membrane's input gain into weights and biases.

From here on every population obeys

    u[t] = (1 − decay_u)·u[t−1] + Σ W·s[t];   v[t] = (1 − decay_v)·v[t−1] + u[t] + bias

Euler step of NIR's equations: decay = dt/tau, and the gain dt/tau·r (LIF), dt·r (IF) moves into W and the bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.ir import FloatArray, FloatNet, FloatPopulation, FloatSynapse
from snnergy.neuromorphic.passes.conditions import FITTING, SORTED, SPIKES_ONLY
from snnergy.neuromorphic.passes.fuse import SPIKING_SOURCES, FusedGraph
from snnergy.neuromorphic.passes.infra import Pass


@dataclass(frozen=True)
class _Neuron:
    """One node's equation for a step of dt. gain multiplies synaptic input, bias_gain multiplies its bias."""

    decay_u: float
    decay_v: float
    gain: FloatArray
    leak: FloatArray
    threshold: float | None


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
        return _discretise(ir)


def _discretise(fused: FusedGraph) -> FloatNet:
    source = fused.source
    violations: list[str] = []
    populations: list[FloatPopulation] = []
    synapses: list[FloatSynapse] = []
    for name in (n for n in source.order if n in fused.arrivals):
        try:
            neuron = _neuron(source.nodes[name], source.dt, source.shapes[name])
        except UserError as error:
            violations += [f"{source.name}: node {name!r}: {violation}" for violation in error.violations]
            continue
        # A constant through a decaying current would need a ramp in u; only a memoryless current is a plain bias.
        carried = fused.arrivals[name].bias.reshape(source.shapes[name])
        if neuron.decay_u != 1.0 and np.any(carried):
            violations.append(f"{source.name}: node {name!r}: a bias enters its decaying current; move it to v_leak")
        bias = neuron.gain * carried + neuron.leak
        populations.append(
            FloatPopulation(
                name, source.shapes[name], neuron.decay_u, neuron.decay_v, neuron.threshold, bias, source.labels(name)
            )
        )
        synapses += [_with_gain(synapse, neuron.gain) for synapse in fused.synapses(name)]
    if violations:
        raise UserError(violations)
    return FloatNet(source.ports(), tuple(populations), tuple(synapses), fused.outputs)


def _with_gain(synapse: FloatSynapse, gain: FloatArray) -> FloatSynapse:
    operator = operators.compose(synapse.operator, operators.Diagonal(gain))
    assert not isinstance(operator, operators.Diagonal)
    return replace(synapse, operator=operator)


def _neuron(node: Any, dt: float, shape: tuple[int, ...]) -> _Neuron:
    violations: list[str] = []

    def uniform(field: str) -> float:
        values = np.unique(np.asarray(getattr(node, field), dtype=np.float64))
        if values.size != 1:
            violations.append(
                f"{field} varies from {values[0]:g} to {values[-1]:g}; a population has one: split the node"
            )
        return float(values[0])

    def rate(field: str) -> float:
        tau = uniform(field)
        if tau < dt:
            violations.append(f"{field} {tau:g} is shorter than dt {dt:g}; pass a smaller --dt")
        return dt / tau

    def full(value: Any) -> FloatArray:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), shape).copy()

    if isinstance(node, nir.Output):
        return _Neuron(1.0, 1.0, full(1.0), full(0.0), None)
    if isinstance(node, nir.Threshold):
        return _Neuron(1.0, 1.0, full(1.0), full(0.0), uniform("threshold"))
    if hasattr(node, "v_reset") and np.any(node.v_reset):
        violations.append(
            f"v_reset {np.unique(node.v_reset)}: Loihi resets to 0; shift the membrane so that v_reset is 0"
        )
    decay_u, decay_v, gain, leak = 1.0, 0.0, full(node.r) * dt, full(0.0)
    if isinstance(node, nir.CubaLIF | nir.CubaLI):
        decay_u, decay_v = rate("tau_syn"), rate("tau_mem")
        gain, leak = full(node.r) * full(node.w_in) * decay_u * decay_v, full(node.v_leak) * decay_v
    elif isinstance(node, nir.LIF | nir.LI):
        decay_v = rate("tau")
        gain, leak = full(node.r) * decay_v, full(node.v_leak) * decay_v
    threshold = uniform("v_threshold") if hasattr(node, "v_threshold") else None
    if threshold is not None and threshold <= 0:
        violations.append(f"v_threshold {threshold:g}: must be above 0, or the neuron fires without input")
    if violations:
        raise UserError(violations)
    return _Neuron(decay_u, decay_v, gain, leak, threshold)
