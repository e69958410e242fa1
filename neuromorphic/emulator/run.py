"""Runs an integer network in logical time, population by population in topological order.

A feed-forward network needs no loop over time steps across layers: a population's whole input over all T and all
samples is known before it is simulated. Only the membrane itself is scanned step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.records import Records, joined
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.continuous import folded, unfolded, unfolded_progress
from snnergy.neuromorphic.emulator.fixed_point import NeuronState, step
from snnergy.neuromorphic.emulator.synapses import delivered, drive
from snnergy.neuromorphic.inputs import check_integers
from snnergy.neuromorphic.ir import QuantNet, QuantPopulation, QuantSynapse

# Samples simulated together: enough to fill the kernels, few enough that state stays in cache.
BATCH = 16


@dataclass(frozen=True)
class Scan:
    """One population over a batch: spikes uint8 (int32 where there can be several), u and v int32, each
    `(N, T, neurons)`; u and v may be empty.
    """

    spikes: Tensor
    u: Tensor
    v: Tensor
    wrapped: int
    clipped: int


def run(
    net: QuantNet,
    inputs: dict[str, IntArray],
    *,
    record_state: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Records:
    """Simulate `net`.

    Args:
        inputs: integers of each input port, `(N, T, *shape)`; one stream where the network keeps its state.
        record_state: also keep u and v of every population (of readouts they are kept always).
        progress: called with the number of samples finished since the last call.

    Raises:
        UserError: an input is missing, has another shape or exceeds its port's payload.
    """
    check_integers(net, inputs)
    samples = next(iter(inputs.values())).shape[0]
    stream, progress = folded(net, inputs), unfolded_progress(net, progress, samples)
    parts = []
    for first in range(0, next(iter(stream.values())).shape[0], BATCH):
        batch = {name: array[first : first + BATCH] for name, array in stream.items()}
        parts.append(_run_batch(net, batch, record_state))
        if progress is not None:
            progress(next(iter(batch.values())).shape[0])
    return unfolded(net, joined(parts), samples)


def _run_batch(net: QuantNet, inputs: dict[str, IntArray], record_state: bool) -> Records:
    records = Records({port.name: np.ascontiguousarray(inputs[port.name]) for port in net.inputs})
    values = {name: torch.from_numpy(array.astype(np.int32)).flatten(2) for name, array in records.values.items()}
    counts: dict[int, tuple[Tensor, Tensor]] = {}
    for population in net.populations:
        incoming = [(i, s) for i, s in enumerate(net.synapses) if s.target == population.name]
        a_in = _driven(population, [s for _, s in incoming], values)
        counts |= {i: delivered(s, values[s.source]) for i, s in incoming}
        keep = record_state or not population.spiking
        done = scan(population, a_in, keep)
        shape = (*done.spikes.shape[:2], *population.shape)
        if population.spiking:
            values[population.name] = done.spikes
            records.values[population.name] = done.spikes.reshape(shape).numpy()
        if keep:
            records.u[population.name] = done.u.reshape(shape).numpy()
            records.v[population.name] = done.v.reshape(shape).numpy()
        if done.wrapped or done.clipped:
            records.overflows[population.name] = (done.wrapped, done.clipped)
    ordered = [counts[index] for index in range(len(net.synapses))]
    return Records(
        records.values,
        records.u,
        records.v,
        tuple(all_taps.numpy() for all_taps, _ in ordered),
        tuple(alive.numpy() for _, alive in ordered),
        records.overflows,
    )


def _driven(population: QuantPopulation, incoming: list[QuantSynapse], values: dict[str, Tensor]) -> Tensor:
    """Synaptic input over time, float64 holding integers `(N, T, neurons)`; none where no synapse brings any."""
    if not incoming:
        return torch.zeros(*next(iter(values.values())).shape[:2], population.size, dtype=torch.float64)
    a_in = drive(incoming[0], values[incoming[0].source])
    for s in incoming[1:]:
        a_in += drive(s, values[s.source])
    return a_in


def scan(population: QuantPopulation, a_in: Tensor, keep: bool) -> Scan:
    """Step the membranes of `population` through its synaptic input `(N, T, neurons)`; u and v only if `keep`."""
    samples, steps, neurons = a_in.shape
    state = NeuronState.cleared(samples, neurons)
    bias = torch.from_numpy(population.bias.reshape(-1).astype(np.float64))
    spikes = torch.from_numpy(np.empty((samples, steps, neurons), population.spike_type))
    u, v = torch.empty(2, samples, steps if keep else 0, neurons, dtype=torch.int32)
    for t in range(steps):
        spikes[:, t] = step(population, bias, state, a_in[:, t])
        if keep:
            u[:, t], v[:, t] = state.u.int(), state.v.int()
    return Scan(spikes, u, v, state.wrapped, state.clipped)
