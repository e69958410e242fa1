"""What a node sent, as counts: all that an energy ledger needs of its spike trains.

For one sample and step, over the source neurons i of an edge, with x_i the value sent and fan_i the synapses reached:

    events = Σ_i [x_i ≠ 0] · fan_i      weighted = Σ_i |x_i| · fan_i
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.types import Counts, IntArray

EXACT = 2.0**53  # sums of integers below this are exact in float64
_EXACT_NARROW = 2.0**24  # and in float32
VALUES_AT_ONCE = 1 << 18  # turned into floats: they stay in the cache


@dataclass(frozen=True, eq=False)
class SentCounts:
    """Of N samples of T steps; `(N, T, columns)` with a column for the node itself, where fan_i is 1, and two for each
    edge that leaves it, in their order: all its synapses, and those of a weight other than zero.

    events: from 2⁵³ on, not exact. weighted: the same array where all values are 0 or 1. least, greatest: values.
    static: whether every sample repeats its first step; looked at for inputs only.
    """

    events: Counts
    weighted: Counts
    least: int
    greatest: int
    static: bool = False


def fan_of(size: int, fans: Sequence[tuple[IntArray, IntArray]]) -> IntArray:
    """The columns that a node of `size` neurons is counted by, `(neurons, 1 + 2 · edges)`.

    Args:
        fans: of each edge that leaves it, the synapses that every neuron reaches: all, and those of a weight other than
            zero.
    """
    return np.stack([np.ones(size, np.int32), *(column.reshape(-1) for pair in fans for column in pair)], axis=1)


def sent_counts(values: npt.NDArray[np.integer[Any]], fan: IntArray, *, binary: bool) -> SentCounts:
    """Count what a node sent.

    Args:
        values: `(N, T, neurons)`.
        fan: of `fan_of`.
        binary: whether the node says that it sends 0 and 1 alone.
    """
    least, greatest = int(values.min(initial=0)), int(values.max(initial=0))
    events = _exact_product(values, fan, np.bool_, 1)
    plain = binary or (least >= 0 and greatest <= 1)
    weighted = events if plain else _exact_product(values, fan, np.float64, max(greatest, -least))
    return SentCounts(events, weighted, least, greatest)


def is_static(values: npt.NDArray[np.integer[Any]]) -> bool:
    """Whether every sample `(N, T, …)` repeats its first step."""
    return bool((values == values[:, :1]).all())


def joined_counts(parts: Sequence[SentCounts]) -> SentCounts:
    """Those of consecutive samples as one."""
    if len(parts) == 1:
        return parts[0]
    events = np.concatenate([part.events for part in parts])
    binary = all(part.weighted is part.events for part in parts)
    weighted = events if binary else np.concatenate([part.weighted for part in parts])
    least, greatest = min(part.least for part in parts), max(part.greatest for part in parts)
    return SentCounts(events, weighted, least, greatest, all(part.static for part in parts))


def _exact_product(values: npt.NDArray[np.integer[Any]], fan: IntArray, what: type, largest: int) -> Counts:
    """Sums of the magnitudes of `values` (as bool: of those other than zero) times `fan`, over the last axis.

    Exact below 2⁵³; what is more comes out as that or more.
    """
    whole = fan.sum(axis=0, dtype=np.float64).max(initial=0) * largest
    factors = fan.astype(np.float32 if whole < _EXACT_NARROW else np.float64)
    rows = values.reshape(-1, values.shape[-1])
    product = np.empty((len(rows), fan.shape[1]), dtype=np.int64)
    at_once = max(1, VALUES_AT_ONCE // max(1, rows.shape[1]))
    for first in range(0, len(rows), at_once):
        chosen = slice(first, first + at_once)
        sums = np.abs(rows[chosen].astype(what).astype(factors.dtype)) @ factors
        product[chosen] = np.minimum(sums, EXACT)
    return product.reshape(*values.shape[:-1], fan.shape[1])
