"""What one time step of one sample costs, told from a network's shapes alone."""

from __future__ import annotations

import math

import numpy as np

from snnergy.neuromorphic.ir import Conv2d, Operator, QuantNet, QuantPopulation


def products(net: QuantNet) -> int:
    """Multiplications of a weight with a value, borders included, if every value were other than zero."""
    return sum(_products(synapse.operator) for synapse in net.synapses)


def _products(operator: Operator) -> int:
    places = operator.output_shape[1:] if isinstance(operator, Conv2d) else ()
    return operator.weight.size * math.prod(places)


def spike_bytes(population: QuantPopulation) -> int:
    """What a neuron's spikes of one step take."""
    return np.dtype(population.spike_type).itemsize


def recorded_bytes(net: QuantNet, *, record_state: bool = False) -> int:
    """What is recorded: inputs in int32, spikes in a byte or, as counts, in int32, u and v in int32, two counts in
    int64 for each synapse.

    Args:
        record_state: u and v of every population, not of readouts alone.
    """
    inputs = sum(4 * math.prod(port.shape) for port in net.inputs)
    spikes = sum(spike_bytes(population) * population.size for population in net.populations if population.spiking)
    states = sum(8 * population.size for population in net.populations if record_state or not population.spiking)
    return inputs + spikes + states + 16 * len(net.synapses)
