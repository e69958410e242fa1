"""What the synapses of a population bring in a block of steps.

Spikes travel one by one where there are few of them, and as exact products of matrices where there are many or where
they are more than spikes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.kernels import events
from snnergy.neuromorphic.emulator.packed import Delivery
from snnergy.neuromorphic.emulator.sent import Sent

Way = Literal["events", "products"]
_SUMS = (np.int16, np.int32, np.int64)


class Room:
    """Arrays for sums, taken again for every block: fresh memory costs as much as what is added up in it."""

    def __init__(self) -> None:
        self._held: dict[str, IntArray] = {}

    def zeros(self, use: str, shape: tuple[int, ...], bound: float) -> IntArray:
        """For sums up to `bound`, in the fewest bits that hold them; those of one use share their memory."""
        kind = next(kind for kind in _SUMS if bound <= np.iinfo(kind).max)
        size, held = math.prod(shape), self._held.get(use)
        if held is None or held.dtype != kind or held.size < size:
            held = self._held[use] = np.empty(size, kind)
        found = held[:size].reshape(shape)
        found.fill(0)
        return found


@dataclass(frozen=True, eq=False)
class Sums:
    """Synaptic input of a block: `a_in` `(N, steps, neurons)` times 2^exponent, at least 0; `bound` limits its size."""

    a_in: IntArray
    exponent: int
    bound: float


def way_of(delivery: Delivery, sent: Mapping[str, Sent], unknown: Collection[str], wanted: Way | None) -> Way:
    """How a delivery's spikes are to travel.

    Args:
        unknown: nodes that have not sent anything yet.
        wanted: None lets the number of spikes decide.
    """
    source = sent[delivery.source]
    if source.graded is not None or not delivery.packed.by_events:
        return "products"
    if wanted is not None:
        return wanted
    return "products" if delivery.source not in unknown and source.share > delivery.packed.many else "events"


def arriving(
    incoming: Sequence[Delivery],
    ways: Mapping[int, Way],
    sent: Mapping[str, Sent],
    block: tuple[int, int],
    shape: tuple[int, int, int],
    counts: IntArray,
    room: Room,
) -> Sums:
    """Add up what arrives.

    Args:
        ways: of each delivery, by its id.
        sent: of every source, of the samples at hand.
        block: first step, and the one behind the last.
        shape: of the sums, `(N, steps, neurons)`.
        counts: `(synapses, N, T, 2)` events of the network's synapses, which are added to.
        room: where the sums are kept, until the next block's.
    """
    bound = sum(d.packed.heaviest * sent[d.source].largest * 2.0 ** max(d.exponent, 0) for d in incoming)
    total = room.zeros("total", shape, bound)
    sums = _by_exponent(incoming)
    for shift, together in sums:
        part = room.zeros("part", shape, bound) if len(sums) > 1 and shift else total
        for delivery in together:
            _deliver(delivery, block, sent[delivery.source], part, counts[delivery.index], ways[id(delivery)])
        if part is not total:
            np.add(total, np.left_shift(part, shift) if shift > 0 else np.right_shift(part, -shift), out=total)
    exponent = sums[0][0] if len(sums) == 1 else 0
    if exponent < 0:
        np.right_shift(total, -exponent, out=total)
    return Sums(total, max(exponent, 0), bound)


def count_undelivered(incoming: Sequence[Delivery], sent: Mapping[str, Sent], counts: IntArray) -> None:
    """Count the events that are still on their way when time ends."""
    for delivery in incoming:
        spikes = sent[delivery.source].events
        steps = spikes.shape[1]
        events.count(spikes, max(0, steps - delivery.delay), steps, delivery.packed.reach, counts[delivery.index])


def _deliver(
    delivery: Delivery, block: tuple[int, int], sent: Sent, a_in: IntArray, counts: IntArray, way: Way
) -> None:
    begin, end = max(0, block[0] - delivery.delay), block[1] - delivery.delay
    if end <= begin:
        return
    at = begin + delivery.delay - block[0]
    if way == "events":
        delivery.packed.add_events(sent.events, begin, end, a_in, at, counts)
        return
    events.count(sent.events, begin, end, delivery.packed.reach, counts)
    values, arrived = sent.values[:, begin:end], a_in[:, at : at + end - begin]
    if sent.graded is not None and (values == values[:, :1]).all():  # the same in every step: an image that stays
        values = values[:, :1]
    found = delivery.packed.product(values.reshape(-1, sent.size), sent.largest)
    events.add(found.reshape(*values.shape[:2], -1), arrived)


def _by_exponent(incoming: Sequence[Delivery]) -> list[tuple[int, list[Delivery]]]:
    """Deliveries that can be summed before they are shifted: all of an exponent, or one alone if bits are lost."""
    found: dict[tuple[int, int], list[Delivery]] = {}
    for place, delivery in enumerate(incoming):
        found.setdefault((delivery.exponent, place if delivery.exponent < 0 else -1), []).append(delivery)
    return [(exponent, together) for (exponent, _), together in found.items()]
