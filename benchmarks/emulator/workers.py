"""What a second worker is worth: samples of a network that is packed, on one thread and on two."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.emulator.networks import NETWORKS, STEPS, spikes
from benchmarks.emulator.turns import clocked, in_turns, medians
from snnergy.neuromorphic import emulator

BATCH = 256


def rows(rounds: int) -> Iterator[dict[str, Any]]:
    """A row a network."""
    for name, (make, rate) in NETWORKS.items():
        net = make()
        inputs = spikes(net, BATCH, STEPS, rate)
        run = partial(emulator.run, net, inputs, simulator=emulator.prepared(net))
        jobs = {str(count): clocked(partial(run, jobs=count)) for count in (1, 2)}
        seconds = medians(in_turns(jobs, rounds))
        yield {
            "kind": "workers",
            "network": name,
            "batch": BATCH,
            "seconds": {count: round(value, 4) for count, value in seconds.items()},
            "ratio": round(seconds["1"] / seconds["2"], 2),
        }
