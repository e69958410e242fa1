"""The emulator beside other simulators, each in its environment, on the same weights and input, all on one thread.

Spikes are compared by their overlap, those in common per those of either: a membrane in floating point is now and then
on the other side of a threshold than one in integers, and what follows differs from there on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.emulator.asked import NoAnswer, Simulator, script
from benchmarks.emulator.networks import NETWORKS, STEPS, as_task, spikes
from benchmarks.emulator.turns import clocked, in_turns, medians
from benchmarks.simulators.serving import Array
from snnergy.neuromorphic.emulator.layerwise import Emulation

SIMULATORS = (
    "spikingjelly", "sinabs", "snntorch", "norse", "brian2", "brian2_loihi", "nengo_loihi", "xylosim"
)  # fmt: skip
COMPARED = (("dense", 1), ("dense", 16), ("conv", 1), ("conv", 16))
_SLOW_S = 2.0  # who takes longer has fewer rounds,
_FEW = 5  # but these


def rows(rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each simulator, network and batch."""
    with ExitStack() as stack:
        started = {name: stack.enter_context(Simulator(script(name))) for name in SIMULATORS}
        absent: dict[str, str] = {}
        for name, simulator in started.items():
            try:
                simulator.introduced()
            except NoAnswer as error:
                absent[name] = str(error)
        for network, batch in COMPARED:
            yield from _compared(network, batch, rounds, started, absent)


def overlap(ours: Array, theirs: Array) -> float:
    """Spikes in common per spikes of either; 1 where there are none."""
    either = int(np.maximum(ours, theirs).sum())
    return int(np.minimum(ours, theirs).sum()) / either if either else 1.0


def _compared(
    network: str, batch: int, rounds: int, started: dict[str, Simulator], absent: dict[str, str]
) -> Iterator[dict[str, Any]]:
    make, rate = NETWORKS[network]
    net = make()
    inputs = spikes(net, batch, STEPS, rate)
    task, emulation = as_task(net, inputs), Emulation(net)
    records = emulation.run(inputs)
    ours = records.values[net.outputs[0]]
    found: dict[str, dict[str, Any]] = {}
    patient: dict[int, dict[str, Simulator]] = {rounds: {}, min(rounds, _FEW): {}}
    for name, simulator in started.items():
        found[name] = {"version": simulator.version, "differs": simulator.differs}
        try:
            if name in absent:
                raise NoAnswer(absent[name])
            sent, seconds = simulator.given(task)
        except NoAnswer as error:
            found[name]["refused"] = str(error)
            continue
        found[name]["output_spikes"] = int(sent.sum())
        found[name]["overlap"] = round(overlap(ours, sent.reshape(ours.shape)), 4)
        patient[rounds if seconds < _SLOW_S else min(rounds, _FEW)][name] = simulator
    for turns, those in patient.items():
        if not those:
            continue
        contestants = {name: simulator.run for name, simulator in those.items()}
        runs = in_turns({"emulator": clocked(lambda: emulation.run(inputs)), **contestants}, turns)
        seconds_of = medians(runs)
        for name in those:
            found[name] |= {
                "seconds": round(seconds_of[name], 6),
                "seconds_emulator": round(seconds_of["emulator"], 6),
                "ratio": round(seconds_of[name] / seconds_of["emulator"], 2),
                "runs": turns,
            }
    shared = {
        "kind": "simulator",
        "network": network,
        "batch": batch,
        "steps": STEPS,
        "output_spikes_emulator": int(ours.sum()),
        "rates": {node: round(float(values.mean()), 3) for node, values in records.values.items()},
        "events": sum(int(counts.sum()) for counts in records.delivered),
    }
    for name, figures in found.items():
        yield {**shared, "simulator": name, **figures}
