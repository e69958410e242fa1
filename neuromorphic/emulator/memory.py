"""What `run` allocates at its peak, told from a network's shapes before anything is simulated."""

from __future__ import annotations

import math

import torch

from snnergy.artefacts.sent_counts import VALUES_AT_ONCE
from snnergy.artefacts.types import Recording
from snnergy.neuromorphic.cost import recorded_bytes, spike_bytes
from snnergy.neuromorphic.counting import counted_only
from snnergy.neuromorphic.emulator.on_torch import memory as on_torch
from snnergy.neuromorphic.emulator.run import BATCH, engine_here
from snnergy.neuromorphic.ir import Conv2d, Dense, QuantNet, QuantSynapse
from snnergy.neuromorphic.loops import groups, last_used
from snnergy.neuromorphic.taps import synapse_count

# Of a block of steps: sums, those of one exponent, and a product in floating point that becomes integers.
_BLOCK_COPIES = 6
_BLOCK = 2 << 20
# u and v of a neuron, and what they were before the block.
_BYTES_A_NEURON = 16
# A weight in 16 bits, and as a product takes it; while it is packed, in its old order and its new one, and its size.
_BYTES_A_WEIGHT, _WHILE_PACKED = 10, 24
# A synapse by itself: weight, target and the same as a matrix; while it is packed, both ends and their order.
_BYTES_A_SYNAPSE, _WHILE_SORTED = 24, 48
# A value while it is counted: whether there is one, as a number, and its size.
_BYTES_COUNTED = 17
# How many synapses a source has, all and of those other than zero, twice while it is counted.
_BYTES_A_SOURCE = 32


def needed(net: QuantNet, samples: int, steps: int, *, record: Recording = "full", record_state: bool = False) -> int:
    """Bytes that `run` takes for `samples` samples of `steps` steps, its records and its inputs in int32 among them."""
    if not net.reset:
        samples, steps = 1, samples * steps
    together = min(samples, BATCH * torch.get_num_threads())
    recorded = recorded_bytes(net, record=record, record_state=record_state) * steps
    inputs = sum(4 * math.prod(port.shape) for port in net.inputs) * steps
    joined = 1 if samples == 1 else 2
    work = _at_work(net, together, steps) if engine_here() == "kernels" else on_torch.at_work(
        net, together, steps, record_state
    )  # fmt: skip
    if record == "counts":
        work += _counting(net, together, steps)
    return samples * (inputs + joined * recorded) + together * 2 * inputs + work


def _counting(net: QuantNet, together: int, steps: int) -> int:
    """Bytes of spikes that are dropped once they are counted, and of what counts them."""
    names = counted_only(net)
    spikes = {p.name: p.size * spike_bytes(p) * steps for p in net.populations if p.name in names}
    if engine_here() == "torch":
        alive = [sum(spikes.values())]
    else:
        preds = net.preds()
        in_order, held, alive = groups(preds, preds), 0, [0]
        for group, done in zip(in_order, last_used(in_order, preds), strict=True):
            held += sum(spikes.get(name, 0) for name in group)
            alive.append(held)
            held -= sum(spikes.get(name, 0) for name in done)
    columns = {name: 1 + 2 * sum(synapse.source == name for synapse in net.synapses) for name in names}
    fans = [net.population(name).size * count for name, count in columns.items()]
    threads = min(together, torch.get_num_threads())
    widest = max((net.population(name).size for name in names), default=0)
    at_once = max(widest, min(VALUES_AT_ONCE, together * steps * widest))
    return together * max(alive) + 4 * sum(fans) + threads * (8 * max(fans, default=0) + _BYTES_COUNTED * at_once)


def _at_work(net: QuantNet, together: int, steps: int) -> int:
    """Bytes beside inputs and records while `together` samples are simulated by the kernels."""
    preds = net.preds()
    counts = sum(steps * 4 * population.size for population in net.populations if population.spikes == "many")
    # The populations of a loop are at work together.
    state = _BYTES_A_NEURON * max(sum(net.population(name).size for name in group) for group in groups(preds, preds))
    row = 4 * max((max(_ends(synapse)) for synapse in net.synapses), default=0)
    threads = min(together, torch.get_num_threads())
    # A loop handles a step of all its samples at once, however large that is.
    block = _BLOCK_COPIES * min(max(threads * _BLOCK, row * together), row * together * steps)
    return together * (state + counts) + block + _of_synapses(net)


def _ends(synapse: QuantSynapse) -> tuple[int, int]:
    operator = synapse.operator
    return math.prod(operator.input_shape), math.prod(operator.output_shape)


def _of_synapses(net: QuantNet) -> int:
    """Bytes that do not grow with the samples."""
    held, packing = 0, 0
    for synapse in net.synapses:
        operator = synapse.operator
        held += _BYTES_A_SOURCE * _ends(synapse)[0]
        if isinstance(operator, Dense | Conv2d) and operator.delays is None:
            held += _BYTES_A_WEIGHT * operator.weight.size
            packing = max(packing, _WHILE_PACKED * operator.weight.size)
        else:
            held += _BYTES_A_SYNAPSE * synapse_count(operator)
            packing = max(packing, _WHILE_SORTED * synapse_count(operator))
    return held + packing
