"""What a simulator hands back: every node's values in logical time, the pipeline's latency removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from snnergy.artefacts.sent_counts import SentCounts, joined_counts
from snnergy.artefacts.types import IntArray


@dataclass(frozen=True, eq=False)
class Records:
    """Recorded integers of one run over N samples of T steps.

    values: `(N, T, *shape)` of each input (what was injected) and of each spiking population (0 or 1, or how many
        spikes there were), unless it was counted.
    sent: what was counted of a node in place of its values, with a pair of columns for each synapse that leaves it.
    u, v: `(N, T, *shape)` int32 after the step and its reset; of readouts always, of the others on request.
    delivered: for each synapse of the network, in order, `(N, T)` synaptic events that arrived at its
        targets (every tap inside the source counts once a non-zero value). Empty where a backend cannot count.
    delivered_nonzero: the same, taps of weight zero left out.
    overflows: of each population that met them, how often u wrapped around and v was clipped.
    """

    values: dict[str, IntArray]
    u: dict[str, IntArray] = field(default_factory=dict)
    v: dict[str, IntArray] = field(default_factory=dict)
    delivered: tuple[IntArray, ...] = ()
    delivered_nonzero: tuple[IntArray, ...] = ()
    overflows: dict[str, tuple[int, int]] = field(default_factory=dict)
    sent: dict[str, SentCounts] = field(default_factory=dict)

    def __len__(self) -> int:
        return next(iter(self.values.values())).shape[0]


class Gathered:
    """Records of many samples, put together from those of a few at a time, in any order and by several threads."""

    def __init__(self, samples: int) -> None:
        self._samples, self._lock = samples, Lock()
        self._whole: Records | None = None
        self._parts: dict[int, Records] = {}  # by their first sample, without what has a place in the whole

    def put(self, first: int, part: Records) -> int:
        """Copy `part`, whose samples begin with the one numbered `first`, to its place, and say how many it has."""
        if len(part) == self._samples:
            self._whole = part
            return len(part)
        with self._lock:
            whole = self._whole = self._whole or _arranged(part, lambda array: _room(array, self._samples))
            self._parts[first] = Records({}, overflows=part.overflows, sent=part.sent)
        place = slice(first, first + len(part))
        for theirs, ours in zip(_arrays(part), _arrays(whole), strict=True):
            ours[place] = theirs
        return len(part)

    def whole(self) -> Records:
        """All of them."""
        assert self._whole is not None
        parts = [self._parts[first] for first in sorted(self._parts)]
        if not parts:
            return self._whole
        sent = {name: joined_counts([part.sent[name] for part in parts]) for name in parts[0].sent}
        return replace(self._whole, overflows=added([part.overflows for part in parts]), sent=sent)


def _room(array: IntArray, samples: int) -> IntArray:
    """For so many samples, its axes in the same order in memory."""
    return np.empty_like(array, shape=(samples, *array.shape[1:]))


def _arrays(records: Records) -> list[IntArray]:
    tables = (records.values, records.u, records.v)
    return [*(a for table in tables for a in table.values()), *records.delivered, *records.delivered_nonzero]


def _arranged(records: Records, change: Callable[[IntArray], IntArray]) -> Records:
    """With other arrays in place of its own."""
    values, u, v = (
        {name: change(array) for name, array in table.items()} for table in (records.values, records.u, records.v)
    )
    delivered, alive = (tuple(map(change, counts)) for counts in (records.delivered, records.delivered_nonzero))
    return replace(records, values=values, u=u, v=v, delivered=delivered, delivered_nonzero=alive)


def joined(parts: Sequence[Records]) -> Records:
    """The records of consecutive samples as one."""
    gathered, first = Gathered(sum(len(part) for part in parts)), 0
    for part in parts:
        first += gathered.put(first, part)
    return gathered.whole()


def added(parts: Sequence[dict[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    """Overflows of several runs, added up by population."""
    total: dict[str, tuple[int, int]] = {}
    for name, (wrapped, clipped) in (item for part in parts for item in part.items()):
        before = total.get(name, (0, 0))
        total[name] = (before[0] + wrapped, before[1] + clipped)
    return total
