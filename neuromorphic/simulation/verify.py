"""Holds the emulator to Lava: both run the same samples, and every value of every node must be equal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnergy.artefacts.sample_file import sample_source
from snnergy.artefacts.samples import SampleSource
from snnergy.neuromorphic.inputs import shapes_of, to_integers
from snnergy.neuromorphic.simulation.backends import Emulator, Lava
from snnergy.neuromorphic.simulation.networks import NetSource, as_network
from snnergy.neuromorphic.simulation.plan import planned


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

    def __str__(self) -> str:
        return (
            f"emulator against Lava: {self.values_compared} values (spikes, u, v) of {self.nodes} nodes on "
            f"{self.samples} samples, {self.total_mismatches} mismatches"
        )


def verify(
    net: NetSource, x: SampleSource, *, timeout_s: float | None = None, memory: int | None = None
) -> Verification:
    """Run both simulators on `x`, streamed one sample after another, and compare them bit for bit.

    Args:
        net, x: as `simulate` takes them; a few samples are enough, Lava is slow.
        timeout_s: seconds without a step after which Lava is given up; None for 600 until it has begun, then 20 times
            what a step has taken, and 60 at least.
        memory: bytes that both runs keep within, everything recorded; None for what `SNNERGY_MEMORY` says, else 1 GiB.

    Raises:
        UserError: the network or the samples cannot be used, they do not fit in `memory`, or Lava cannot run here.
        BackendFailed: Lava raised, or died or stood still twice on one sample.
    """
    network = as_network(net).net
    samples = sample_source(x, shapes_of(network.inputs)).read()
    # One stream: all of it at once, and what Lava recorded beside what the emulator does.
    planned(replace(network, reset=False), samples, at_most=1, record_state=True, kept=True, memory=memory)
    inputs = to_integers(samples, network.inputs)
    theirs = Lava(timeout_s).run(network, inputs, record_state=True)
    ours = Emulator().run(network, inputs, record_state=True)
    compared = 0
    mismatches: dict[str, int] = {}
    for population in network.populations:
        name = population.name
        pairs = [(ours.u, theirs.u), (ours.v, theirs.v)]
        pairs += [(ours.values, theirs.values)] if population.spiking else []
        compared += sum(expected[name].size for expected, _ in pairs)
        differing = sum(int(np.count_nonzero(expected[name] != found[name])) for expected, found in pairs)
        if differing:
            mismatches[name] = differing
    return Verification(len(samples), len(network.populations), compared, mismatches)
