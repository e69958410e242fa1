"""One call for both simulators, and the check that they agree on every value of every node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic import emulator, lava
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.records import Records

Backend = Literal["emulator", "lava"]


@dataclass(frozen=True)
class Verification:
    """Emulator against Lava: spikes, u and v of every population in every step.

    mismatches: values that differ, by node; nodes that agree are left out.
    """

    samples: int
    nodes: int
    values_compared: int
    mismatches: dict[str, int]

    @property
    def total_mismatches(self) -> int:
        """Over all nodes; 0 where the simulators agree."""
        return sum(self.mismatches.values())


def simulate(
    net: QuantNet,
    inputs: dict[str, IntArray],
    *,
    backend: Backend = "emulator",
    record_state: bool = False,
    timeout_s: float = 600.0,
    progress: Callable[[int], None] | None = None,
) -> Records:
    """Run `net` on integer `inputs`, each `(N, T, *shape)`.

    Args:
        timeout_s: wall-clock limit of a Lava run; the emulator has none.
        progress: called with the number of samples finished since the last call.
    """
    if backend == "emulator":
        return emulator.run(net, inputs, record_state=record_state, progress=progress)
    return lava.run(net, inputs, record_state=record_state, timeout_s=timeout_s, progress=progress)


def verify(net: QuantNet, inputs: dict[str, IntArray], *, timeout_s: float = 600.0) -> Verification:
    """Run both simulators on `inputs`, streamed one sample after another, and compare them bit for bit."""
    ours = emulator.run(net, inputs, record_state=True)
    theirs = lava.run(net, inputs, record_state=True, timeout_s=timeout_s)
    compared = 0
    mismatches: dict[str, int] = {}
    for population in net.populations:
        for expected, found in (
            (ours.values, theirs.values) if population.spiking else ({}, {}),
            (ours.u, theirs.u),
            (ours.v, theirs.v),
        ):
            if not expected:
                continue
            a, b = expected[population.name], found[population.name]
            compared += a.size
            differing = int(np.count_nonzero(a != b))
            if differing:
                mismatches[population.name] = mismatches.get(population.name, 0) + differing
    samples = next(iter(inputs.values())).shape[0]
    return Verification(samples, len(net.populations), compared, mismatches)
