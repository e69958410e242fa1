"""Contestants take turns, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Contestant = Callable[[], float]  # one run, which gives its seconds


def clocked(call: Callable[[], object]) -> Contestant:
    """A contestant of what runs in this process."""

    def run() -> float:
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun

    return run


def in_turns(contestants: Mapping[str, Contestant], rounds: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Seconds of each round of each; with `warm`, a round more is run first and thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + warm):
        for name, run in contestants.items():
            seconds[name].append(run())
    return {name: runs[int(warm) :] for name, runs in seconds.items()}


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(runs) for name, runs in seconds.items()}
