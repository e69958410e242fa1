"""What a run costs against batch, steps, activity and size, and how straight that line is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.emulator.networks import NETWORKS, STEPS, conv, dense, spikes
from benchmarks.emulator.turns import clocked, in_turns, medians
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.layerwise import Emulation
from snnergy.neuromorphic.ir import QuantNet

BATCHES = (1, 2, 4, 8, 16, 32)
LENGTHS = (50, 100, 200, 400, 800)
RATES = (0.01, 0.02, 0.04, 0.08, 0.12, 0.16)  # of the input
SIZES: dict[str, tuple[Callable[[int], QuantNet], Sequence[int]]] = {
    "dense": (dense, (256, 512, 1024, 1536, 2048)),
    "conv": (conv, (8, 16, 32, 48, 64)),
}
_BATCH = 8  # at which activity and size are varied
Point = tuple[float, QuantNet, dict[str, IntArray]]  # x, and what is run there


def rows(rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each network and axis."""
    for name, (make, rate) in NETWORKS.items():
        net = make()
        yield _measured(name, "batch", [(n, net, spikes(net, n, STEPS, rate)) for n in BATCHES], rounds)
        yield _measured(name, "steps", [(t, net, spikes(net, 1, t, rate)) for t in LENGTHS], rounds)
        yield _measured(name, "activity", [(r, net, spikes(net, _BATCH, STEPS, r)) for r in RATES], rounds)
        sized, sizes = SIZES[name]
        nets = [(size, sized(size)) for size in sizes]
        yield _measured(name, "size", [(n, net, spikes(net, _BATCH, STEPS, rate)) for n, net in nets], rounds)


def _measured(name: str, axis: str, points: Sequence[Point], rounds: int) -> dict[str, Any]:
    """One row. Against batch and steps the line is one of x, against activity and size one of events."""
    emulations = {x: (Emulation(net), inputs) for x, net, inputs in points}

    def runs(x: float) -> Callable[[], object]:
        emulation, inputs = emulations[x]
        return lambda: emulation.run(inputs)

    events = {x: sum(int(c.sum()) for c in e.run(inputs).delivered) for x, (e, inputs) in emulations.items()}
    seconds = medians(in_turns({str(x): clocked(runs(x)) for x in emulations}, rounds))
    places = [x if axis in ("batch", "steps") else events[x] for x in emulations]
    slope, intercept, r2 = line(places, [seconds[str(x)] for x in emulations])
    return {
        "kind": "cost",
        "network": name,
        "axis": axis,
        "against": axis if axis in ("batch", "steps") else "events",
        "runs": rounds,
        "points": [{axis: x, "events": events[x], "seconds": round(seconds[str(x)], 6)} for x in emulations],
        "seconds_per_unit": slope,
        "seconds_at_0": intercept,
        "r2": round(r2, 5),
    }


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope, intercept and coefficient of determination of the least squares."""
    places, values = np.asarray(x, float), np.asarray(y, float)
    slope, intercept = np.polyfit(places, values, 1)
    left = float(np.square(values - slope * places - intercept).sum())
    whole = float(np.square(values - values.mean()).sum())
    return float(slope), float(intercept), 1 - left / whole if whole else 1.0
