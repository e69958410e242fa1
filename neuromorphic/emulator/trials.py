"""One population on given input, tried with one set of weights after another, a few samples at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from snnergy.neuromorphic.emulator.on_torch.run import scan
from snnergy.neuromorphic.emulator.on_torch.synapses import drive
from snnergy.neuromorphic.emulator.run import engine_here
from snnergy.neuromorphic.ir import FloatSynapse, QuantPopulation, QuantSynapse
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


def trials(synapses: Sequence[FloatSynapse], sources: Sequence[Tensor], expected: Tensor) -> Trials:
    """Get ready for trials.

    Args:
        synapses: all that lead to the population; only their structure counts.
        sources: whole numbers that the source of each sends, `(N, T, neurons)`.
        expected: what the population should do, `(N, T, neurons)`: its spikes, or a readout's membrane in model units.
    """
    if engine_here() == "torch":
        return _OnTorch(sources, expected)
    from snnergy.neuromorphic.emulator.trials_on_kernels import OnKernels

    return OnKernels(synapses, {s.source: x for s, x in zip(synapses, sources, strict=True)}, expected)


@dataclass(frozen=True)
class _OnTorch:
    sources: Sequence[Tensor]
    expected: Tensor

    def begin(self, synapses: Sequence[QuantSynapse]) -> Trial:
        return _TrialOnTorch(self, synapses)


@dataclass(frozen=True)
class _TrialOnTorch:
    given: _OnTorch
    synapses: Sequence[QuantSynapse]

    def of(self, forms: Sequence[Form], samples: slice) -> list[Apart]:
        few = [x[samples] for x in self.given.sources]
        a_in = torch.stack([drive(s, x) for s, x in zip(self.synapses, few, strict=True)]).sum(0)
        return [_apart(form, a_in * 2.0**form.shift, self.given.expected[samples]) for form in forms]


def _apart(form: Form, a_in: Tensor, expected: Tensor) -> Apart:
    done = scan(form.population, a_in, not form.population.spiking)
    if not form.population.spiking:
        return Apart(squares(done.v, expected, form.population))
    ahead = (done.spikes.int() - expected.int()).cumsum(1)
    return Apart(int((done.spikes != expected).sum()), int(ahead.abs().sum()), bool(done.spikes.any()))


def squares(v: Tensor, expected: Tensor, readout: QuantPopulation) -> float:
    """Sum of squares by which the membrane of a readout is off, in model units."""
    return float((v.double() / (readout.scale * (1 << ALIGN_SHIFT)) - expected).square().sum())
