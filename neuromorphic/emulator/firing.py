"""A population on its way through time: from the sums that its synapses bring to the spikes that it sends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.arrivals import Sums
from snnergy.neuromorphic.emulator.kernels import neurons
from snnergy.neuromorphic.emulator.layout import channels_last
from snnergy.neuromorphic.emulator.packed import Delivery
from snnergy.neuromorphic.emulator.sent import Sent
from snnergy.neuromorphic.ir import QuantPopulation, is_late, subtracts
from snnergy.neuromorphic.limits import ALIGN_SHIFT, BIAS_EXPONENT, DECAY_ONE, STATE_MAX


@dataclass(frozen=True, eq=False)
class Neurons:
    """A population as the kernels take it; arrays `(neurons,)` int32, channels last."""

    population: QuantPopulation
    channels: int
    deliveries: tuple[Delivery, ...]
    keep_u: IntArray
    keep_v: IntArray
    bias: IntArray

    @classmethod
    def of(cls, population: QuantPopulation, channels: int, incoming: tuple[Delivery, ...]) -> Neurons:
        """Lay `population` out."""

        def each(values: IntArray) -> IntArray:
            spread = np.broadcast_to(values.reshape(-1).astype(np.int32), population.size)
            return np.ascontiguousarray(channels_last(spread, channels))

        keep_u, keep_v = (each(DECAY_ONE - rates) for rates in (population.du, population.dv))
        return cls(population, channels, incoming, keep_u, keep_v, each(population.bias << BIAS_EXPONENT))


@dataclass(eq=False)
class Firing:
    """Its state `(N, neurons)`, what it has sent, and what is recorded of u and v, `(N, T, neurons)` or empty."""

    neurons: Neurons
    u: IntArray
    v: IntArray
    sent: Sent
    recorded_u: IntArray
    recorded_v: IntArray
    wrapped: int = 0
    clipped: int = 0

    @classmethod
    def begin(cls, member: Neurons, samples: int, steps: int, *, record: bool) -> Firing:
        """With cleared state."""
        population = member.population
        u, v = np.zeros((2, samples, population.size), np.int32)
        recorded = np.empty((2, samples, steps if record else 0, population.size), np.int32)
        most = 1 if population.spikes == "one" else max(2, STATE_MAX // max(1, population.vth << ALIGN_SHIFT))
        return cls(member, u, v, Sent.room(samples, steps, population.size, most=most), *recorded)

    @property
    def name(self) -> str:
        """The population's."""
        return self.neurons.population.name

    def advance(self, chosen: slice, first: int, sums: Sums) -> None:
        """Handle the steps from `first` on that `sums` has, of the samples `chosen`."""
        p, n = self.neurons.population, self.neurons
        u, v = self.u[chosen], self.v[chosen]
        spikes = self.sent.events[chosen] if self.sent.graded is None else self.sent.graded[chosen]
        recorded = (self.recorded_u[chosen], self.recorded_v[chosen])
        threshold = p.vth << ALIGN_SHIFT
        if p.stock and sums.bound < neurons.SMALL_SUM:
            before = (u.copy(), v.copy()) if sums.bound > neurons.ONE_WRAP else (u, v)
            wrapped, clipped, left = neurons.scan(
                sums.a_in, sums.exponent, bool(n.keep_u.any()), n.keep_u, n.keep_v, n.bias, np.int32(threshold), u, v,
                spikes, first, *recorded,
            )  # fmt: skip
            if not left:
                self.wrapped, self.clipped = self.wrapped + wrapped, self.clipped + clipped
                return
            u[:], v[:] = before
        wrapped, clipped = neurons.scan_wide(
            sums.a_in, sums.exponent, subtracts(p.reset), is_late(p.reset), p.spikes == "many", n.keep_u, n.keep_v,
            n.bias, threshold, u, v, spikes, first, *recorded,
        )  # fmt: skip
        self.wrapped, self.clipped = self.wrapped + wrapped, self.clipped + clipped
        if self.sent.graded is not None:
            steps = slice(first, first + sums.a_in.shape[1])
            self.sent.events[chosen, steps, : p.size] = spikes[:, steps] != 0
