"""What `run` allocates at its peak, told from a network's shapes before anything is simulated."""

from __future__ import annotations

import math

import torch

from snnergy.neuromorphic.cost import recorded_bytes
from snnergy.neuromorphic.emulator.on_torch import memory as on_torch
from snnergy.neuromorphic.emulator.run import BATCH, engine_here
from snnergy.neuromorphic.ir import Conv2d, Dense, QuantNet, QuantSynapse
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
# How many synapses a source has, all and of those other than zero, twice while it is counted; what fills up its row.
_BYTES_A_SOURCE = 48


def needed(net: QuantNet, samples: int, steps: int, *, record_state: bool = False) -> int:
    """Bytes that `run` takes for `samples` samples of `steps` steps, its records and its inputs in int32 among them."""
    if not net.reset:
        samples, steps = 1, samples * steps
    together = min(samples, BATCH * torch.get_num_threads())
    recorded = recorded_bytes(net, record_state=record_state) * steps
    inputs = sum(4 * math.prod(port.shape) for port in net.inputs) * steps
    joined = 1 if samples == 1 else 2
    work = _at_work if engine_here() == "kernels" else on_torch.at_work
    return samples * (inputs + joined * recorded) + together * 2 * inputs + work(net, together, steps, record_state)


def _at_work(net: QuantNet, together: int, steps: int, record_state: bool) -> int:
    """Bytes beside inputs and records while `together` samples are simulated by the kernels."""
    sizes = [population.size for population in net.populations]
    counts = sum(steps * 4 * population.size for population in net.populations if population.spikes == "many")
    state = _BYTES_A_NEURON * sum(sizes)
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
