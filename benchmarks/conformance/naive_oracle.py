"""A second oracle of NIR graphs: plain loops over steps, nodes, edges and taps in double precision.

It shares no code with the toolchain and is written from NIR's documentation alone, as slow and as literal as it can be.

    LIF      tau·dv/dt = (v_leak − v) + r·I            IF, I    dv/dt = r·I
    CubaLIF  tau_syn·di/dt = −i + w_in·I, then LIF with tau_mem on the new i; LI, CubaLI likewise, without a spike

from 0 in Euler steps of dt, or with the exponential ones as if the input stayed the same over the step; with a gain of
one it is added whole, to a current before that decays where steps are exponential. A spike where v > threshold. hard:
v = v_reset. soft: v − n·threshold. n is 1, or with several spikes a step floor(v / threshold). A late reset acts on the
v of the next step before that is compared.

Every value comes with its size: the same sums over absolute values. A model in single precision may be off by a small
multiple of 2^-24 of that, which says where a spike is a tie, and nothing else does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from benchmarks.conformance.naive_structure import (
    NEURONS,
    READOUTS,
    Shape,
    Tap,
    back_edges,
    flattened,
    into,
    order_of,
    shapes_of,
    taps_of,
)

Vector = npt.NDArray[np.float64]  # of one node in one step, flat
ROUNDING = 2.0**-18  # of a value's size: 64 roundings of single precision


@dataclass
class Outcome:
    """Of one sample. values: what each node emits, `(T, *shape)`. sizes: of these. ties: spikes that rounding decides.

    differing: by node, spikes that differ from those that were followed and are no ties.
    """

    values: dict[str, npt.NDArray[np.float64]]
    sizes: dict[str, npt.NDArray[np.float64]]
    ties: int = 0
    differing: dict[str, int] = field(default_factory=dict)


def simulate(
    graph: nir.NIRGraph,
    inputs: Mapping[str, npt.NDArray[Any]],
    *,
    dt: float,
    reset: str = "hard",
    spikes: str = "one",
    integration: str = "euler",
    gain: str = "file",
    follow: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Outcome:
    """Run one sample.

    Args:
        inputs: `(T, *shape)` of each Input by its name.
        follow: spikes `(T, *shape)` of another simulator, by node. Each neuron counts where it would have fired
            otherwise, and goes on with the spikes that it is given, so that one tie does not spoil all that follows.
    """
    nodes, edges = flattened(graph)
    shapes = shapes_of(nodes, edges)
    late = back_edges(nodes, edges, dt)
    order = order_of(nodes, edges, late, dt)
    stepped = _Stepped(dt, reset, spikes, integration, gain)
    states = {name: _State(nodes[name], name, shapes[name], stepped) for name in nodes}
    for a, b in edges:
        states[b].entering = shapes[a]
    steps = len(next(iter(inputs.values())))
    outcome = Outcome({}, {})
    done = {name: np.zeros((2, steps, math.prod(shapes[name]))) for name in nodes}
    for t in range(steps):
        for name in order:
            state = states[name]
            if isinstance(nodes[name], nir.Input) and not into(name, edges):
                value = np.asarray(inputs[name][t], np.float64).reshape(-1)
                done[name][:, t] = value, np.abs(value)
                continue
            if isinstance(nodes[name], nir.Delay):  # looks at the past of what feeds it, or at this very step
                done[name][:, t] = _delayed(state.delays, [(done[a], (a, b) in late) for a, b in edges if b == name], t)
                continue
            total = np.zeros((2, math.prod(state.entering)))
            for a, b in edges:
                if b == name and (a, b) not in late:
                    total = total + done[a][:, t]
                elif b == name and t > 0:
                    total = total + done[a][:, t - 1]
            given = None if follow is None or name not in follow else np.asarray(follow[name][t], np.float64)
            done[name][:, t] = state.step(total[0], total[1], None if given is None else given.reshape(-1))
    for name, (value, size) in done.items():
        outcome.values[name] = value.reshape(steps, *shapes[name])
        outcome.sizes[name] = size.reshape(steps, *shapes[name])
        outcome.ties += states[name].ties
        if states[name].differing:
            outcome.differing[name] = states[name].differing
    return outcome


@dataclass(frozen=True)
class _Stepped:
    """How steps are taken."""

    dt: float
    reset: str
    spikes: str
    integration: str
    gain: str


class _State:
    """A node and what it remembers."""

    def __init__(self, node: Any, name: str, shape: Shape, stepped: _Stepped) -> None:
        self.node, self.name, self.dt, self.spikes = node, name, stepped.dt, stepped.spikes
        self.soft, self.late = "soft" in stepped.reset, "late" in stepped.reset
        self.exponential, self.whole = stepped.integration == "exponential", stepped.gain == "one"
        self.shape, self.entering = shape, shape
        self.v, self.i = np.zeros((2, 2, math.prod(shape)))  # each with its size
        self.sent = np.zeros(math.prod(shape))
        self.ties = self.differing = 0
        self._taps: list[Tap] | None = None

    def parameter(self, name: str) -> Vector:
        """One value a neuron."""
        return np.broadcast_to(np.asarray(getattr(self.node, name), np.float64), self.shape).reshape(-1)

    @property
    def delays(self) -> list[int]:
        """Steps of each element of a Delay."""
        return [round(float(d)) for d in self.parameter("delay") / self.dt]

    def step(self, x: Vector, size: Vector, given: Vector | None) -> tuple[Vector, Vector]:
        """What it emits, and the size of that, for what enters."""
        node = self.node
        if isinstance(node, nir.Threshold):
            return self._fired(x, size, self.parameter("threshold"), given)
        if isinstance(node, NEURONS):
            v, v_size = self._charged(x, size)
            if self.late:
                v, v_size = self._after(self.sent, v, v_size)
            n, n_size = self._fired(v, v_size, self.parameter("v_threshold"), given)
            self.sent = n
            self.v = np.stack((v, v_size) if self.late else self._after(n, v, v_size))
            return n, n_size
        if isinstance(node, READOUTS):
            self.v = np.stack(self._charged(x, size))
            return self.v[0], self.v[1]
        if isinstance(node, nir.Scale):
            gain = self.parameter("scale")
            return gain * x, np.abs(gain) * size
        if isinstance(node, nir.Input | nir.Output | nir.Flatten):
            return x, size
        return self._linear(x, size)

    def _after(self, n: Vector, v: Vector, size: Vector) -> tuple[Vector, Vector]:
        """The membrane once n spikes have acted on it."""
        if self.soft:
            lower = np.where(n > 0, n * np.where(n > 0, self.parameter("v_threshold"), 0.0), 0.0)
            return v - lower, size + np.abs(lower)
        to = self.parameter("v_reset")
        return np.where(n > 0, to, v), np.where(n > 0, np.abs(to), size)

    def _rate(self, tau: str) -> Vector:
        """The share of itself that a state loses in a step."""
        steps = self.dt / self.parameter(tau)
        return np.array([1 - math.exp(-s) for s in steps]) if self.exponential else steps

    def _charged(self, x: Vector, size: Vector) -> tuple[Vector, Vector]:
        """The membrane after one step, before it fires."""
        node, r = self.node, self.parameter("r")
        if isinstance(node, nir.CubaLIF | nir.CubaLI):
            rate, w_in = self._rate("tau_syn"), self.parameter("w_in")
            weight = rate * w_in
            if self.whole:
                weight = 1 - rate if self.exponential else np.ones_like(rate)
            self.i = np.stack(
                [
                    (1 - rate) * self.i[0] + weight * x,
                    np.abs(1 - rate) * self.i[1] + np.abs(self.i[0]) + np.abs(weight) * size,
                ]
            )
            x, size = self.i
        if isinstance(node, nir.IF | nir.I):
            weight = np.ones_like(r) if self.whole else self.dt * r
            return self.v[0] + weight * x, self.v[1] + np.abs(weight) * size
        rate = self._rate("tau_mem" if isinstance(node, nir.CubaLIF | nir.CubaLI) else "tau")
        leak, weight = self.parameter("v_leak"), np.ones_like(rate) if self.whole else rate * r
        return (
            self.v[0] + rate * (leak - self.v[0]) + weight * x,
            np.abs(1 - rate) * self.v[1] + np.abs(self.v[0]) + rate * np.abs(leak) + np.abs(weight) * size,
        )

    def _fired(self, v: Vector, size: Vector, threshold: Vector, given: Vector | None) -> tuple[Vector, Vector]:
        """Spikes of the step: its own, or those given."""
        n = np.zeros_like(v)
        many = self.spikes == "many" and not isinstance(self.node, nir.Threshold)
        for j in range(v.size):
            if v[j] > threshold[j]:
                n[j] = math.floor(v[j] / threshold[j]) if many else 1
            if given is not None and given[j] != n[j]:
                # The count is right within the rounding if v is that near to where it begins or ends.
                off = ROUNDING * (size[j] + abs(v[j]))
                ends = given[j] + 1 if many else math.inf
                near = (given[j] == 0 or v[j] > given[j] * threshold[j] - off) and (
                    v[j] < (ends if given[j] else 1) * threshold[j] + off
                )
                self.ties += bool(near)
                self.differing += not near
        if given is not None:
            n = given
        return n, np.abs(n)

    def _linear(self, x: Vector, size: Vector) -> tuple[Vector, Vector]:
        if self._taps is None:
            self._taps = taps_of(self.node, self.entering, self.shape)
        count = math.prod(self.shape)
        out, out_size, xs, sizes = [0.0] * count, [0.0] * count, x.tolist(), size.tolist()
        for o, i, weight in self._taps:
            out[o] += weight * xs[i]
            out_size[o] += abs(weight) * sizes[i]
        value, value_size = np.array(out), np.array(out_size)
        bias = getattr(self.node, "bias", None)
        if bias is not None:
            each = np.repeat(np.broadcast_to(np.asarray(bias, np.float64), self.shape[:1]), count // self.shape[0])
            value, value_size = value + each, value_size + np.abs(each)
        return value, value_size


def _delayed(
    delays: list[int], sources: Sequence[tuple[npt.NDArray[np.float64], bool]], t: int
) -> npt.NDArray[np.float64]:
    found = np.zeros((2, len(delays)))
    for source, late in sources:
        for j, d in enumerate(delays):
            if t - d - late >= 0:
                found[:, j] += source[:, t - d - late, j]
    return found
