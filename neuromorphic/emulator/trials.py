"""One population on given input, tried with one set of weights and thresholds after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from snnergy.neuromorphic.emulator.on_torch.run import scan
from snnergy.neuromorphic.emulator.on_torch.synapses import drive
from snnergy.neuromorphic.emulator.run import engine_here
from snnergy.neuromorphic.ir import FloatSynapse, QuantPopulation, QuantSynapse


@dataclass(frozen=True)
class Response:
    """Of one population, both `(N, T, neurons)`: spikes, and v, which may be empty."""

    spikes: Tensor
    v: Tensor


class Trials(Protocol):
    """A population that waits for its weights."""

    def apart(self, found: Tensor, expected: Tensor) -> tuple[int, int]:
        """Of spikes `(N, T, neurons)`, how many differ, and by how many one is ahead or behind, summed over steps."""
        ...

    def kept(self, values: Tensor) -> Tensor:
        """Values of the population, `(N, T, neurons)`, in the order in which responses hold its neurons."""
        ...

    def respond(
        self, populations: Sequence[QuantPopulation], synapses: Sequence[QuantSynapse], *, record: bool
    ) -> list[Response]:
        """What several forms of the population do behind the same synapses; v only if `record`."""
        ...


def trials(synapses: Sequence[FloatSynapse], sources: Sequence[Tensor]) -> Trials:
    """Get ready for trials.

    Args:
        synapses: all that lead to the population; only their structure counts.
        sources: whole numbers that the source of each sends, `(N, T, neurons)`.
    """
    if engine_here() == "torch":
        return _OnTorch(sources)
    return _OnKernels(synapses, {s.source: x for s, x in zip(synapses, sources, strict=True)})


class _OnKernels:
    def __init__(self, synapses: Sequence[FloatSynapse], values: Mapping[str, Tensor]) -> None:
        from snnergy.neuromorphic.emulator.kernels import compiled, neurons
        from snnergy.neuromorphic.emulator.layout import channels_of
        from snnergy.neuromorphic.emulator.sent import Sent

        compiled.announce(neurons.scan)
        self._target = synapses[0].target
        self._channels = channels_of(synapses)
        self._sent = {name: Sent.of(x.int().numpy(), self._channels[name]) for name, x in values.items()}

    def kept(self, values: Tensor) -> Tensor:
        from snnergy.neuromorphic.emulator.layout import channels_last

        return torch.from_numpy(np.ascontiguousarray(channels_last(values.numpy(), self._channels[self._target])))

    def apart(self, found: Tensor, expected: Tensor) -> tuple[int, int]:
        from snnergy.neuromorphic.emulator.kernels.comparison import compare

        differing, distance = compare(found.numpy(), expected.numpy())
        return differing, distance

    def respond(
        self, populations: Sequence[QuantPopulation], synapses: Sequence[QuantSynapse], *, record: bool
    ) -> list[Response]:
        from snnergy.neuromorphic.emulator.layerwise import tried

        fired = tried(populations, synapses, self._sent, self._channels, record=record)
        return [Response(torch.from_numpy(f.sent.values), torch.from_numpy(f.recorded_v)) for f in fired]


class _OnTorch:
    def __init__(self, sources: Sequence[Tensor]) -> None:
        self._sources = sources

    def kept(self, values: Tensor) -> Tensor:
        return values

    def apart(self, found: Tensor, expected: Tensor) -> tuple[int, int]:
        ahead = (found.int() - expected.int()).cumsum(1)
        return int((found != expected).sum()), int(ahead.abs().sum())

    def respond(
        self, populations: Sequence[QuantPopulation], synapses: Sequence[QuantSynapse], *, record: bool
    ) -> list[Response]:
        a_in = torch.stack([drive(s, x) for s, x in zip(synapses, self._sources, strict=True)]).sum(0)
        scans = [scan(population, a_in, record) for population in populations]
        return [Response(done.spikes, done.v) for done in scans]
