"""Runs an integer network in logical time, population by population, and loop by loop, in the order of the signal.

A feed-forward network needs no loop over time steps across layers: a population's whole input over all T and all
samples is known before it is simulated. Only the membrane itself is scanned step by step. The populations of a loop are
scanned together: what comes from outside is known before, what comes from within is added in each step.

All of this runs on any device of torch's that has 64-bit floating point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.records import Records
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.on_torch.fixed_point import NeuronState, step
from snnergy.neuromorphic.emulator.on_torch.synapses import delivered, drive, driver, single_delays
from snnergy.neuromorphic.ir import QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.loops import groups


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


def run(net: QuantNet, inputs: dict[str, IntArray], *, record_state: bool = False, device: str = "cpu") -> Records:
    """Simulate integers of each input `(N, T, *shape)` from cleared state, on a device of torch's."""
    records = Records({port.name: np.ascontiguousarray(inputs[port.name]) for port in net.inputs})
    values = {
        name: torch.from_numpy(array.astype(np.int32)).flatten(2).to(device) for name, array in records.values.items()
    }
    preds = net.preds()
    for group in groups(preds, preds):
        for population, done in _scanned(net, group, values, record_state).items():
            shape = (*done.spikes.shape[:2], *net.population(population).shape)
            if net.population(population).spiking:
                values[population] = done.spikes
                records.values[population] = done.spikes.reshape(shape).cpu().numpy()
            if done.u.shape[1]:
                records.u[population] = done.u.reshape(shape).cpu().numpy()
                records.v[population] = done.v.reshape(shape).cpu().numpy()
            if done.wrapped or done.clipped:
                records.overflows[population] = (done.wrapped, done.clipped)
    counts = [delivered(s, values[s.source]) for s in net.synapses]
    return Records(
        records.values,
        records.u,
        records.v,
        tuple(all_taps.cpu().numpy() for all_taps, _ in counts),
        tuple(alive.cpu().numpy() for _, alive in counts),
        records.overflows,
    )


def _scanned(net: QuantNet, group: tuple[str, ...], values: dict[str, Tensor], record_state: bool) -> dict[str, Scan]:
    """The populations of one of the net's groups on what is known: `values` of all that lead to it."""
    begun, within = {}, {}
    for name in group:
        population, incoming = net.population(name), net.incoming(name)
        a_in = _driven(population, [s for s in incoming if s.source not in group], values)
        begun[name] = Scanner(population, a_in, record_state or not population.spiking)
        parts = [part for s in incoming if s.source in group for part in single_delays(s)]
        within[name] = [(part.source, part.delay, driver(part, a_in.device)) for part in parts]
    for t in range(next(iter(values.values())).shape[1]):
        for name, scanner in begun.items():
            for source, delay, driven in within[name]:
                if t >= delay:
                    scanner.a_in[:, t] += driven(begun[source].spikes[:, t - delay])
            scanner.step(t)
    return {name: scanner.done() for name, scanner in begun.items()}


def _driven(population: QuantPopulation, incoming: list[QuantSynapse], values: dict[str, Tensor]) -> Tensor:
    """Synaptic input over time, float64 holding integers `(N, T, neurons)`; none where no synapse brings any."""
    if not incoming:
        some = next(iter(values.values()))
        return torch.zeros(*some.shape[:2], population.size, dtype=torch.float64, device=some.device)
    a_in = drive(incoming[0], values[incoming[0].source])
    for s in incoming[1:]:
        a_in += drive(s, values[s.source])
    return a_in


def scan(population: QuantPopulation, a_in: Tensor, keep: bool) -> Scan:
    """Step the membranes of `population` through its synaptic input `(N, T, neurons)`; u and v only if `keep`."""
    scanner = Scanner(population, a_in, keep)
    for t in range(a_in.shape[1]):
        scanner.step(t)
    return scanner.done()


class Scanner:
    """A population on its way through the steps of `a_in`. spikes: those so far. Both `(N, T, neurons)`."""

    def __init__(self, population: QuantPopulation, a_in: Tensor, keep: bool) -> None:
        """Begin with cleared state."""
        samples, steps, neurons = a_in.shape
        self.a_in = a_in
        self.spikes = torch.from_numpy(np.empty((samples, steps, neurons), population.spike_type)).to(a_in.device)
        self._population, self._keep = population, keep
        self._bias = torch.from_numpy(population.bias.reshape(-1).astype(np.float64)).to(a_in.device)
        self._state = NeuronState.cleared(samples, neurons, a_in.device)
        self._u, self._v = torch.empty(2, samples, steps if keep else 0, neurons, dtype=torch.int32, device=a_in.device)

    def step(self, t: int) -> None:
        """Handle step t, after all before it."""
        self.spikes[:, t] = step(self._population, self._bias, self._state, self.a_in[:, t])
        if self._keep:
            self._u[:, t], self._v[:, t] = self._state.u.int(), self._state.v.int()

    def done(self) -> Scan:
        """What came of it."""
        return Scan(self.spikes, self._u, self._v, int(self._state.wrapped), int(self._state.clipped))
