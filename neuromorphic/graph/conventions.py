"""What NIR leaves open and every equation needs: the time step, what a spike does, how many of them a step has."""

from __future__ import annotations

from dataclasses import dataclass

from snnergy.neuromorphic.ir import Reset, Spikes


@dataclass(frozen=True)
class Conventions:
    """How a graph is to be read.

    dt: time step in the unit of the graph's time constants. reset, spikes: as in `FloatPopulation`; `hard` puts the
    membrane to v_reset.
    """

    dt: float
    reset: Reset = "hard"
    spikes: Spikes = "one"
