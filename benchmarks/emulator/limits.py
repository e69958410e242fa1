"""What one core of this machine could do at most, beside which the emulator's events a second are a share.

Reading: a sum over an array that lies in a cache, or in none of them. Adding: 8-bit weights onto 16-bit sums that both
lie in the first-level cache, which is what an event is once nothing has to be fetched. An event is at least one byte
that is read and one addition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numba
import numpy as np
import torch

from benchmarks.emulator.networks import NETWORKS, STEPS, spikes
from benchmarks.emulator.turns import clocked, in_turns, medians
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.layerwise import Emulation

# Bytes that are read again and again: in the second-level cache, in the third, in neither.
READ = {"l2": 256 << 10, "l3": 8 << 20, "dram": 1 << 30}
_ROWS, _ROW = 16, 512  # of weights and of sums; 8 KiB and 1 KiB
_TIMES = 1 << 15
_SIDE = 1024  # of matrices
_UNROLLED = 32  # words that are summed apart, so that no addition waits for another


@numba.njit(nogil=True)
def _read(words: IntArray, times: int) -> int:
    sums = np.zeros(_UNROLLED, np.int64)
    for _ in range(times):
        for first in range(0, len(words), _UNROLLED):
            for lane in range(_UNROLLED):
                sums[lane] += words[first + lane]
    return sums.sum()


@numba.njit(nogil=True)
def _add(weights: IntArray, sums: IntArray, times: int) -> None:
    for _ in range(times):
        for row in range(len(weights)):
            for column in range(_ROW):
                sums[column] += weights[row, column]


def rows(rounds: int) -> Iterator[dict[str, Any]]:
    """One row."""
    work: dict[str, tuple[float, Callable[[], object]]] = {}
    for place, size in READ.items():
        words, times = np.ones(size // 8, np.int64), max(1, (1 << 30) // size)
        work[f"{place}_bytes"] = size * times, partial(_read, words, times)
    weights, sums = np.ones((_ROWS, _ROW), np.int8), np.zeros(_ROW, np.int16)
    work["additions"] = _ROWS * _ROW * _TIMES, partial(_add, weights, sums, _TIMES)
    a, b = torch.ones(_SIDE, _SIDE), torch.ones(_SIDE, _SIDE)
    work["flop"] = 2 * _SIDE**3, lambda: a @ b
    found = {}
    for what, (amount, call) in work.items():
        found[what] = amount / _seconds(call, rounds)
    for network, (make, rate) in NETWORKS.items():
        net = make()
        emulation, inputs = Emulation(net), spikes(net, 1, STEPS, rate)
        events = sum(int(c.sum()) for c in emulation.run(inputs).delivered)
        speed = events / _seconds(partial(emulation.run, inputs), rounds)
        yield {
            "kind": "limits",
            "network": network,
            "events_per_second": round(speed),
            **{f"{what}_per_second": round(value) for what, value in found.items()},
            **{
                f"share_of_{what}": round(speed / found[what], 4)
                for what in ("l2_bytes", "l3_bytes", "dram_bytes", "additions")
            },
            "share_of_flop": round(2 * speed / found["flop"], 4),
        }


def _seconds(call: Callable[[], object], rounds: int) -> float:
    return medians(in_turns({"it": clocked(call)}, rounds))["it"]
