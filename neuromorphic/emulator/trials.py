"""One population on given input, tried by whatever computes fastest here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnergy.neuromorphic.emulator.on_torch.run import scan
from snnergy.neuromorphic.emulator.on_torch.synapses import drive
from snnergy.neuromorphic.emulator.run import engine_here
from snnergy.neuromorphic.emulator.trial import Apart, Form, Trial, Trials, squares
from snnergy.neuromorphic.ir import FloatSynapse, QuantSynapse


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
