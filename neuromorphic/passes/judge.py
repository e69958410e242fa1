"""How near a rounded population comes to the float model, driven by the float model's own sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnergy.neuromorphic.emulator.trials import Response, Trials, trials
from snnergy.neuromorphic.ir import FloatPopulation, FloatSynapse, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.limits import ALIGN_SHIFT


@dataclass(frozen=True)
class Verdict:
    """error, drift and mute as in `quantize.Quantized`."""

    error: float
    drift: float = 0.0
    mute: bool = False


@dataclass(frozen=True)
class Judge:
    """Float activity that the roundings of one population are held to. expected: its own, `(N, T, neurons)`."""

    trials: Trials
    expected: Tensor

    @classmethod
    def of(
        cls, population: FloatPopulation, synapses: Sequence[FloatSynapse], sources: Sequence[Tensor], own: Tensor
    ) -> Judge:
        """For `population`.

        Args:
            sources: what the source of each synapse sends, in integer steps, `(N, T, neurons)`.
            own: what the population does, `(N, T, neurons)`.
        """
        tried = trials(synapses, sources)
        if population.threshold is not None:
            own = own.to(torch.uint8 if population.spikes == "one" else torch.int32)
        return cls(tried, tried.kept(own))

    def verdicts(self, populations: Sequence[QuantPopulation], synapses: Sequence[QuantSynapse]) -> list[Verdict]:
        """Of several thresholds behind the same synapses."""
        responses = self.trials.respond(populations, synapses, record=not populations[0].spiking)
        return [self._verdict(*pair) for pair in zip(populations, responses, strict=True)]

    def _verdict(self, population: QuantPopulation, found: Response) -> Verdict:
        expected = self.expected
        if population.spiking:
            differing, distance = self.trials.apart(found.spikes, expected)
            mute = bool(expected.any()) and not found.spikes.any()
            return Verdict(differing / expected.numel(), distance / expected.numel(), mute)
        membrane = found.v.double() / (population.scale * (1 << ALIGN_SHIFT))
        off = (membrane - expected).square().mean().sqrt() / expected.square().mean().sqrt().clamp_min(1e-12)
        return Verdict(float(off))
