"""A network that keeps its state from sample to sample: its N samples of T steps are one stream of N·T steps.

What a simulator knows is one run from cleared state, so it is given the stream as one sample, and what it records is
cut into samples again. Where the network clears its state, both leave everything as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.records import Records
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.ir import QuantNet

_Scalar = TypeVar("_Scalar", bound=np.integer[Any])


def folded(net: QuantNet, inputs: Mapping[str, IntArray]) -> dict[str, IntArray]:
    """`inputs` `(N, T, …)` as `net` is to be simulated on them: `(1, N·T, …)` where it keeps its state."""
    if net.reset:
        return dict(inputs)
    return {name: array.reshape(1, -1, *array.shape[2:]) for name, array in inputs.items()}


def unfolded(net: QuantNet, records: Records, samples: int) -> Records:
    """The records of `folded` inputs as those of `samples` samples."""
    if net.reset:
        return records

    def cut(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
        return array.reshape(samples, -1, *array.shape[2:])

    return replace(
        records,
        values={name: cut(array) for name, array in records.values.items()},
        u={name: cut(array) for name, array in records.u.items()},
        v={name: cut(array) for name, array in records.v.items()},
        delivered=tuple(map(cut, records.delivered)),
        delivered_nonzero=tuple(map(cut, records.delivered_nonzero)),
        sent={
            name: replace(counts, events=cut(counts.events), weighted=cut(counts.weighted))
            for name, counts in records.sent.items()
        },
    )


def unfolded_progress(
    net: QuantNet, progress: Callable[[int], None] | None, samples: int
) -> Callable[[int], None] | None:
    """`progress` for a run on `folded` inputs, whose one sample stands for `samples`."""
    if net.reset or progress is None:
        return progress
    return lambda finished: progress(finished * samples)
