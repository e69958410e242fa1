"""An integer network on compiled kernels: one population after another, all its steps in a row.

A population's input over all steps is known before it is simulated, so it is worked off in blocks of steps that stay in
the cache: what its synapses bring, then its neurons. The populations of a loop share their blocks, which are as short
as the soonest way back; what comes from a member behind is of a block before.

Spikes travel one by one where there are few of them, and as exact products of matrices where there are many or where
they are more than spikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.records import Records
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.kernels import events, neurons
from snnergy.neuromorphic.emulator.layout import as_shaped, channels_last, channels_of
from snnergy.neuromorphic.emulator.packed import Delivery, deliveries
from snnergy.neuromorphic.ir import QuantNet, QuantPopulation
from snnergy.neuromorphic.limits import ALIGN_SHIFT, BIAS_EXPONENT, DECAY_ONE
from snnergy.neuromorphic.loops import groups

Way = Literal["events", "products"]
# Share of neurons that spike in a step from which on a product costs less than its events.
DENSE = 0.2
# Sums of a block, in bytes. Those of events stay in a second-level cache with the state and the weights of a layer;
# products of matrices are worth more rows.
BLOCK: dict[Way, int] = {"events": 256 << 10, "products": 2 << 20}


@dataclass(eq=False)
class Sent:
    """What a node sends, channels last.

    events: 0 or 1, `(N, T, row)`, a row being its `size` neurons filled up to whole words.
    graded: the values themselves `(N, T, size)` where they are more than that. largest: of them, in size.
    """

    events: npt.NDArray[np.uint8]
    size: int
    graded: IntArray | None = None
    largest: int = 1

    @property
    def values(self) -> IntArray:
        """`(N, T, size)`."""
        return self.events[..., : self.size] if self.graded is None else self.graded

    def part(self, samples: slice) -> Sent:
        """That of some samples, sharing memory."""
        return Sent(
            self.events[samples], self.size, None if self.graded is None else self.graded[samples], self.largest
        )

    @property
    def share(self) -> float:
        """Of the neurons, how many send something in a step."""
        samples, steps, _ = self.events.shape
        return float(np.count_nonzero(self.events)) / (samples * steps * self.size)


@dataclass(frozen=True, eq=False)
class Neurons:
    """A population as the kernels take it; arrays `(neurons,)` int32, channels last."""

    population: QuantPopulation
    channels: int
    deliveries: tuple[Delivery, ...]
    keep_u: IntArray
    keep_v: IntArray
    bias: IntArray

    @classmethod
    def of(cls, population: QuantPopulation, channels: int, incoming: tuple[Delivery, ...]) -> Neurons:
        """Lay `population` out."""

        def each(values: IntArray) -> IntArray:
            spread = np.broadcast_to(values.reshape(-1).astype(np.int32), population.size)
            return np.ascontiguousarray(channels_last(spread, channels))

        return cls(
            population, channels, incoming, each(DECAY_ONE - population.du), each(DECAY_ONE - population.dv),
            each(population.bias << BIAS_EXPONENT),
        )  # fmt: skip


class Emulation:
    """A network ready to run. way: how all spikes are to travel; None lets their number decide."""

    def __init__(self, net: QuantNet, way: Way | None = None) -> None:
        """Pack the synapses, once for all runs."""
        self.net, self._way = net, way
        self._channels = channels_of(net)
        preds = net.preds()
        self._groups = [
            tuple(
                Neurons.of(net.population(name), self._channels[name], deliveries(net, name, self._channels))
                for name in group
            )
            for group in groups(preds, preds)
        ]

    def run(self, inputs: dict[str, IntArray], *, record_state: bool = False) -> Records:
        """Simulate integers of each input `(N, T, *shape)` from cleared state."""
        samples, steps = next(iter(inputs.values())).shape[:2]
        sent = {port.name: self._entering(port.name, inputs[port.name]) for port in self.net.inputs}
        counts = np.zeros((len(self.net.synapses), samples, steps, 2), np.int64)
        records = Records({port.name: np.ascontiguousarray(inputs[port.name]) for port in self.net.inputs})
        for group in self._groups:
            begun = [Progress.begin(member, samples, steps, record_state) for member in group]
            sent |= {progress.name: progress.sent for progress in begun}
            self._work_off(begun, sent, counts)
            for progress in begun:
                self._record(progress, records)
        return replace(
            records,
            delivered=tuple(counts[..., 0]),
            delivered_nonzero=tuple(counts[..., 1]),
        )

    def _entering(self, name: str, values: IntArray) -> Sent:
        flat = channels_last(values.reshape(*values.shape[:2], -1), self._channels[name])
        spikes = _rows(*flat.shape)
        spikes[..., : flat.shape[2]] = flat != 0
        largest = max(int(flat.max(initial=0)), -int(flat.min(initial=0)))
        if largest <= 1 and flat.min(initial=0) == 0:
            return Sent(spikes, flat.shape[2])
        return Sent(spikes, flat.shape[2], np.ascontiguousarray(flat, np.int32), largest)

    def _work_off(self, members: list[Progress], sent: dict[str, Sent], counts: IntArray) -> None:
        samples, steps = counts.shape[1:3]
        names = [member.name for member in members]
        ways = {id(d): self._way_of(d, sent, names) for member in members for d in member.neurons.deliveries}
        size = sum(member.neurons.population.size for member in members)
        back = [
            d.delay
            for place, member in enumerate(members)
            for d in member.neurons.deliveries
            if d.source in names[place:]
        ]
        rows = BLOCK["products" if "products" in ways.values() else "events"] // (4 * size)
        at_once = max(1, min(steps, rows, *back))
        together = samples if back else max(1, min(samples, rows // at_once))
        for chosen in _pieces(samples, together):
            few = {name: sent[name].part(chosen) for name in {d.source for m in members for d in m.neurons.deliveries}}
            for first in range(0, steps, at_once):
                last = min(first + at_once, steps)
                for member in members:
                    member.advance(chosen, first, last, few, counts[:, chosen], ways)
            for member in members:
                member.count_undelivered(few, counts[:, chosen])

    def _way_of(self, delivery: Delivery, sent: dict[str, Sent], within: list[str]) -> Way:
        source = sent[delivery.source]
        if source.graded is not None or not delivery.packed.by_events:
            return "products"
        if self._way is not None:
            return self._way
        if delivery.source in within:  # its spikes are not there yet
            return "events"
        return "products" if source.share > DENSE else "events"

    def _record(self, progress: Progress, records: Records) -> None:
        population, channels = progress.neurons.population, progress.neurons.channels
        sent = progress.sent
        if population.spiking:
            records.values[population.name] = as_shaped(sent.values, channels, population.shape)
        if progress.recorded_u.shape[1]:
            records.u[population.name] = as_shaped(progress.recorded_u, channels, population.shape)
            records.v[population.name] = as_shaped(progress.recorded_v, channels, population.shape)
        if progress.wrapped or progress.clipped:
            records.overflows[population.name] = (progress.wrapped, progress.clipped)


@dataclass(eq=False)
class Progress:
    """A population on its way through time: its state, what it has sent, and what is recorded."""

    neurons: Neurons
    u: IntArray
    v: IntArray
    sent: Sent
    recorded_u: IntArray
    recorded_v: IntArray
    wrapped: int = 0
    clipped: int = 0

    @classmethod
    def begin(cls, member: Neurons, samples: int, steps: int, record_state: bool) -> Progress:
        """With cleared state."""
        population = member.population
        u, v = np.zeros((2, samples, population.size), np.int32)
        kept = steps if record_state or not population.spiking else 0
        recorded = np.empty((2, samples, kept, population.size), np.int32)
        sent = Sent(_rows(samples, steps, population.size), population.size)
        if population.spikes == "many":
            sent.graded = np.zeros((samples, steps, population.size), np.int32)
            sent.largest = (1 << 23) // max(1, population.vth << ALIGN_SHIFT)
        return cls(member, u, v, sent, *recorded)

    @property
    def name(self) -> str:
        """The population's."""
        return self.neurons.population.name

    def advance(
        self, chosen: slice, first: int, last: int, sent: dict[str, Sent], counts: IntArray, ways: dict[int, Way]
    ) -> None:
        """Handle the steps `first` to `last` of the samples `chosen`."""
        samples = self.u[chosen].shape[0]
        bound = sum(
            d.packed.heaviest * sent[d.source].largest * 2.0 ** max(d.exponent, 0) for d in self.neurons.deliveries
        )
        wide = np.int32 if bound < 1 << 31 else np.int64
        shape = (samples, last - first, self.neurons.population.size)
        total, exponent = np.zeros(shape, wide), 0
        sums = _by_exponent(self.neurons.deliveries)
        for shift, together in sums:
            part: IntArray = np.zeros(shape, wide) if len(sums) > 1 and shift else total
            for delivery in together:
                _deliver(delivery, first, last, sent[delivery.source], part, counts[delivery.index], ways[id(delivery)])
            if part is not total:
                total += np.left_shift(part, shift) if shift > 0 else np.right_shift(part, -shift)
            elif len(sums) == 1:
                exponent = shift
        self._fire(chosen, first, total, exponent, bound)

    def count_undelivered(self, sent: dict[str, Sent], counts: IntArray) -> None:
        """Count the events that are still on their way when time ends."""
        for delivery in self.neurons.deliveries:
            spikes = sent[delivery.source].events
            steps = spikes.shape[1]
            first = max(0, steps - delivery.delay)
            events.count(spikes, first, steps, delivery.packed.reach, counts[delivery.index])

    def _fire(self, chosen: slice, first: int, a_in: IntArray, exponent: int, bound: float) -> None:
        p, n = self.neurons.population, self.neurons
        u, v = self.u[chosen], self.v[chosen]
        threshold = p.vth << ALIGN_SHIFT
        spikes = self.sent.events[chosen] if self.sent.graded is None else self.sent.graded[chosen]
        recorded = (self.recorded_u[chosen], self.recorded_v[chosen])
        if bound < neurons.SMALL_SUM and p.stock:
            before = (u.copy(), v.copy()) if bound > neurons.ONE_WRAP else (u, v)
            wrapped, clipped, left = neurons.scan(
                a_in, exponent, bool(n.keep_u.any()), n.keep_u, n.keep_v, n.bias, np.int32(threshold), u, v,
                spikes, first, *recorded,
            )  # fmt: skip
            if not left:
                self.wrapped, self.clipped = self.wrapped + wrapped, self.clipped + clipped
                return
            u[:], v[:] = before
        wrapped, clipped = neurons.scan_wide(
            a_in, exponent, p.reset == "soft", p.spikes == "many", n.keep_u, n.keep_v, n.bias, threshold, u, v,
            spikes, first, *recorded,
        )  # fmt: skip
        self.wrapped, self.clipped = self.wrapped + wrapped, self.clipped + clipped
        if self.sent.graded is not None:
            steps = slice(first, first + a_in.shape[1])
            self.sent.events[chosen, steps, : p.size] = spikes[:, steps] != 0


def _deliver(delivery: Delivery, first: int, last: int, sent: Sent, a_in: IntArray, counts: IntArray, way: Way) -> None:
    """Add what arrives in the steps `first` to `last` to `a_in`, and count it."""
    begin, end = max(0, first - delivery.delay), last - delivery.delay
    if end <= begin:
        return
    at = begin + delivery.delay - first
    if way == "events":
        delivery.packed.add_events(sent.events, begin, end, a_in, at, counts)
        return
    events.count(sent.events, begin, end, delivery.packed.reach, counts)
    rows = sent.values[:, begin:end].reshape(-1, sent.size)
    found = delivery.packed.product(rows, sent.largest)
    arrived = a_in[:, at : at + end - begin]
    np.add(arrived, found.astype(a_in.dtype).reshape(arrived.shape), out=arrived)


def _by_exponent(incoming: tuple[Delivery, ...]) -> list[tuple[int, list[Delivery]]]:
    """Deliveries that can be summed before they are shifted: all of an exponent, or one alone if bits are lost."""
    found: dict[tuple[int, int], list[Delivery]] = {}
    for place, delivery in enumerate(incoming):
        found.setdefault((delivery.exponent, place if delivery.exponent < 0 else -1), []).append(delivery)
    return [(exponent, together) for (exponent, _), together in found.items()]


def _rows(samples: int, steps: int, size: int) -> npt.NDArray[np.uint8]:
    """Room for spikes, whole words a row."""
    return np.zeros((samples, steps, -(-size // events.WORD) * events.WORD), np.uint8)


def _pieces(count: int, at_once: int) -> Iterator[slice]:
    return (slice(first, min(first + at_once, count)) for first in range(0, count, at_once))
