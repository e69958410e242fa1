"""What one time step of one sample costs, told from a network's shapes alone."""

from __future__ import annotations

import math

import numpy as np

from snnergy.artefacts.types import Recording
from snnergy.neuromorphic.counting import counted_only
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


def recorded_bytes(net: QuantNet, *, record: Recording = "full", record_state: bool = False) -> int:
    """What is recorded: inputs in int32, spikes in a byte or, where there can be several, in int32, u and v in int32,
    two counts in int64 for each synapse.

    Args:
        record: counts have outputs' spikes only, and for other populations three columns of int64, or six.
        record_state: u and v of every population, not of readouts alone.
    """
    inputs = sum(4 * math.prod(port.shape) for port in net.inputs)
    dropped = counted_only(net) if record == "counts" else ()
    spikes = sum(spike_bytes(p) * p.size for p in net.populations if p.spiking and p.name not in dropped)
    kinds = {p.name: 1 if p.spikes == "one" else 2 for p in net.populations if p.name in dropped}
    counts = 8 * (sum(kinds.values()) + 2 * sum(kinds.get(synapse.source, 0) for synapse in net.synapses))
    states = sum(8 * population.size for population in net.populations if record_state or not population.spiking)
    return inputs + spikes + counts + states + 16 * len(net.synapses)
