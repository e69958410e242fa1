"""An integer network on compiled kernels: one population after another, all its steps in a row.

A population's input over all steps is known before it is simulated, so it is worked off in blocks of steps that stay in
the cache: what its synapses bring, then its neurons. The populations of a loop share their blocks, which are as short
as the soonest way back; what comes from a member behind is of a block before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from snnergy.artefacts.records import Records
from snnergy.artefacts.sent_counts import SentCounts, sent_counts
from snnergy.artefacts.types import IntArray, Recording
from snnergy.neuromorphic.counting import counted_only, fans
from snnergy.neuromorphic.emulator.arrivals import Room, Sums, Way, arriving, count_undelivered, way_of
from snnergy.neuromorphic.emulator.firing import Firing, Neurons
from snnergy.neuromorphic.emulator.layout import as_shaped, channels_last, channels_of
from snnergy.neuromorphic.emulator.packed import deliveries
from snnergy.neuromorphic.emulator.sent import Sent
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.loops import groups, last_used

# Sums of a block, in bytes of 32 bits each. Those of events, mostly half as large, stay in a cache together with the
# state and the weights of a layer; products of matrices are worth more rows.
_BLOCK: dict[Way, int] = {"events": 1 << 20, "products": 2 << 20}


class Emulation:
    """A network ready to run. way: how all spikes are to travel; None lets their number decide."""

    def __init__(self, net: QuantNet, way: Way | None = None) -> None:
        """Pack the synapses, once for all runs."""
        self.net, self._way = net, way
        self._channels = channels_of(net.synapses)
        preds = net.preds()
        in_order = groups(preds, preds)
        self._groups = [tuple(self._laid_out(name) for name in group) for group in in_order]
        self._last_used = last_used(in_order, preds)

    def _laid_out(self, name: str) -> Neurons:
        incoming = deliveries(self.net.synapses, name, self._channels)
        return Neurons.of(self.net.population(name), self._channels[name], incoming)

    @cached_property
    def _fans(self) -> dict[str, IntArray]:
        """By what the populations that are counted only are counted, as they are kept."""
        found = fans(self.net, counted_only(self.net))
        return {name: channels_last(fan.T, self._channels[name]).T for name, fan in found.items()}

    def run(self, inputs: dict[str, IntArray], *, record_state: bool = False, record: Recording = "full") -> Records:
        """Simulate integers of each input `(N, T, *shape)` from cleared state.

        Args:
            record: counts drop the spikes of a population as soon as its last target is done; only outputs and
                inputs keep theirs.
        """
        samples, steps = next(iter(inputs.values())).shape[:2]
        records = Records({port.name: np.ascontiguousarray(inputs[port.name]) for port in self.net.inputs})
        sent = {name: Sent.of(values, self._channels[name]) for name, values in records.values.items()}
        counts = np.zeros((len(self.net.synapses), samples, steps, 2), np.int64)
        for group, done in zip(self._groups, self._last_used, strict=True):
            sent |= self._simulated(group, sent, counts, records, record_state, record)
            if record == "counts":
                records.sent.update({name: self._counted(name, sent[name]) for name in done if name in self._fans})
                sent = {name: values for name, values in sent.items() if name not in done}
        return replace(records, delivered=tuple(counts[..., 0]), delivered_nonzero=tuple(counts[..., 1]))

    def _simulated(
        self,
        group: tuple[Neurons, ...],
        sent: Mapping[str, Sent],
        counts: IntArray,
        records: Records,
        record_state: bool,
        record: Recording,
    ) -> dict[str, Sent]:
        """What one of the groups sends, recorded."""
        samples, steps = counts.shape[1:3]
        begun = [
            Firing.begin(member, samples, steps, record=record_state or not member.population.spiking)
            for member in group
        ]
        sending = {firing.name: firing.sent for firing in begun}
        _work_off(begun, {**sent, **sending}, counts, self._way)
        for firing in begun:
            _record(firing, records, values=record == "full" or firing.name not in self._fans)
        return sending

    def _counted(self, name: str, sent: Sent) -> SentCounts:
        return sent_counts(sent.values, self._fans[name], binary=self.net.population(name).spikes == "one")


def _work_off(members: list[Firing], sent: Mapping[str, Sent], counts: IntArray, way: Way | None) -> None:
    """Simulate populations that wait for nothing but each other, through all steps.

    Args:
        sent: of every source, and of the members.
        counts: as in `arriving`.
    """
    samples, steps = counts.shape[1:3]
    names = [member.name for member in members]
    every = [(place, d) for place, member in enumerate(members) for d in member.neurons.deliveries]
    ways = {id(d): way_of(d, sent, names, way) for _, d in every}
    together, at_once = blocks(samples, steps, sum(member.sent.size for member in members), ways.values())
    room = Room()
    back = [d.delay for place, d in every if d.source in names[place:]]
    if back:
        together, at_once = samples, min(at_once, *back)
    for chosen in _pieces(samples, together):
        few = {name: sent[name].part(chosen) for name in {d.source for _, d in every}}
        for block in _pieces(steps, at_once):
            for member in members:
                member.advance(chosen, block.start, _sums(member, ways, few, chosen, block, counts, room))
        for member in members:
            count_undelivered(member.neurons.deliveries, few, counts[:, chosen])


def blocks(samples: int, steps: int, neurons: int, ways: Collection[Way]) -> tuple[int, int]:
    """How many samples, and steps of them, are worked off at once: all steps before more samples."""
    rows = _BLOCK["products" if "products" in ways else "events"] // (4 * neurons)
    at_once = max(1, min(steps, rows))
    return max(1, min(samples, rows // at_once)), at_once


def _sums(
    member: Firing,
    ways: Mapping[int, Way],
    few: Mapping[str, Sent],
    chosen: slice,
    block: slice,
    counts: IntArray,
    room: Room,
) -> Sums:
    shape = (chosen.stop - chosen.start, block.stop - block.start, member.sent.size)
    return arriving(member.neurons.deliveries, ways, few, (block.start, block.stop), shape, counts[:, chosen], room)


def _record(firing: Firing, records: Records, *, values: bool) -> None:
    population, channels = firing.neurons.population, firing.neurons.channels
    if population.spiking and values:
        records.values[population.name] = as_shaped(firing.sent.values, channels, population.shape)
    if firing.recorded_u.shape[1]:
        records.u[population.name] = as_shaped(firing.recorded_u, channels, population.shape)
        records.v[population.name] = as_shaped(firing.recorded_v, channels, population.shape)
    if firing.wrapped or firing.clipped:
        records.overflows[population.name] = (firing.wrapped, firing.clipped)


def _pieces(count: int, at_once: int) -> Iterator[slice]:
    return (slice(first, min(first + at_once, count)) for first in range(0, count, at_once))
