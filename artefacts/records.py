"""What a simulator hands back: every node's values in logical time, the pipeline's latency removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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


def joined(parts: Sequence[Records]) -> Records:
    """The records of consecutive samples as one."""
    if len(parts) == 1:
        return parts[0]

    def merged(quantity: str) -> dict[str, IntArray]:
        tables = [getattr(part, quantity) for part in parts]
        return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}

    def stacked(quantity: str) -> tuple[IntArray, ...]:
        counts = [getattr(part, quantity) for part in parts]
        return tuple(np.concatenate(arrays) for arrays in zip(*counts, strict=True))

    return Records(
        merged("values"), merged("u"), merged("v"), stacked("delivered"), stacked("delivered_nonzero"),
        added([part.overflows for part in parts]),
        {name: joined_counts([part.sent[name] for part in parts]) for name in parts[0].sent},
    )  # fmt: skip


def added(parts: Sequence[dict[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    """Overflows of several runs, added up by population."""
    total: dict[str, tuple[int, int]] = {}
    for name, (wrapped, clipped) in (item for part in parts for item in part.items()):
        before = total.get(name, (0, 0))
        total[name] = (before[0] + wrapped, before[1] + clipped)
    return total
