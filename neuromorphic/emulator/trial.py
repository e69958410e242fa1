"""What it is to try a population on given input, with one set of weights after another, a few samples at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from snnergy.neuromorphic.ir import QuantPopulation, QuantSynapse
from snnergy.neuromorphic.limits import ALIGN_SHIFT


@dataclass(frozen=True)
class Apart:
    """How far what a population does is from what it should do.

    differing: spikes; of a readout, the sum of squares in model units. distance: by how many spikes a neuron is ahead
    or behind, summed over steps. fired: whether it did.
    """

    differing: float = 0
    distance: int = 0
    fired: bool = False

    def __add__(self, other: Apart) -> Apart:
        return Apart(self.differing + other.differing, self.distance + other.distance, self.fired or other.fired)


@dataclass(frozen=True)
class Form:
    """One way to be of the population. shift: bits by which the sums of the weights at hand are moved up for it."""

    population: QuantPopulation
    shift: int = 0


class Trial(Protocol):
    """A population behind one set of weights."""

    def of(self, forms: Sequence[Form], samples: slice) -> list[Apart]:
        """How each of the forms does on some of the samples."""
        ...


class Trials(Protocol):
    """A population that waits for its weights."""

    def begin(self, synapses: Sequence[QuantSynapse]) -> Trial:
        """Get ready for trials behind `synapses`."""
        ...


def squares(v: Tensor, expected: Tensor, readout: QuantPopulation) -> float:
    """Sum of squares by which the membrane of a readout is off, in model units."""
    return float((v.double() / (readout.scale * (1 << ALIGN_SHIFT)) - expected).square().sum())
