"""What `run` allocates at its peak, told from a network's shapes before anything is simulated."""

from __future__ import annotations

import math

import numpy as np

from snnergy.neuromorphic.cost import spike_bytes
from snnergy.neuromorphic.emulator.on_torch.synapses import WORKSPACE, row_bytes
from snnergy.neuromorphic.ir import QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.loops import groups

# A weight as it is multiplied, once for those of one delay, its magnitude, whether it is zero, and its source.
_BYTES_PER_WEIGHT = 24
# u, v and what they are computed from in one step, float64.
_BYTES_PER_NEURON = 8 * 8


def at_work(net: QuantNet, together: int, steps: int, record_state: bool) -> int:
    """Bytes beside inputs and records while `together` samples of `steps` steps are simulated."""
    preds = net.preds()
    # The populations of a loop are at work together.
    widest = max(
        (
            sum(_at_work(net, net.population(name), steps, record_state) for name in group)
            for group in groups(preds, preds)
        ),
        default=0,
    )
    return together * widest + _of_synapses(net, together * steps)


def _at_work(net: QuantNet, population: QuantPopulation, steps: int, record_state: bool) -> int:
    """Bytes for each sample while `population` is simulated: its synaptic input, or its state over time."""
    incoming = net.incoming(population.name)
    sources = {port.name: 4 * math.prod(port.shape) for port in net.inputs}
    sources |= {p.name: p.size * spike_bytes(p) for p in net.populations}
    driven = max((_driven(s, population.size, sources[s.source]) for s in incoming), default=0)
    summed = 8 * population.size if len(incoming) > 1 else 0
    state = 8 * population.size if record_state or not population.spiking else 0
    scanned = (8 + spike_bytes(population)) * population.size + state
    return steps * max(driven + summed, scanned) + _BYTES_PER_NEURON * population.size


def _driven(synapse: QuantSynapse, targets: int, source: int) -> int:
    """Bytes for each step of one synapse's product: a float32 that becomes float64, and its source if that is late."""
    operator = synapse.operator
    if operator.delays is not None:
        return 24 * targets + source
    return 12 * targets + (source if synapse.delay else 0)


def _of_synapses(net: QuantNet, rows: int) -> int:
    """Bytes that do not grow with the samples: the workspace, weights, and the fan-out of every source neuron."""
    fan_out = sum(8 * math.prod(s.operator.input_shape) for s in net.synapses)
    weights = max((_BYTES_PER_WEIGHT * s.operator.weight.size for s in net.synapses), default=0)
    workspace = max((min(max(WORKSPACE, row_bytes(s.operator)), rows * row_bytes(s.operator)) for s in net.synapses),
                    default=0)  # fmt: skip
    return fan_out + weights + _of_loops(net) + 2 * workspace


def _of_loops(net: QuantNet) -> int:
    """Bytes of the weights that loops keep ready for every step, int32 and float64, once for each of their delays."""
    preds = net.preds()
    place = {name: index for index, group in enumerate(groups(preds, preds)) for name in group}
    within = [s.operator for s in net.synapses if place.get(s.source) == place[s.target]]
    return sum(12 * o.weight.size * (1 if o.delays is None else len(np.unique(o.delays))) for o in within)
