"""Random NIR graphs with inputs: every node type and every way to wire them, small, the same for the same seed.

A graph grows neuron by neuron. Each is fed by one or more branches of up to three linear nodes from inputs and neurons
before it, and may feed back. Weights are drawn so that most neurons fire, some always, some never.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from benchmarks.conformance.naive_structure import NEURONS, READOUTS, Shape, shape_of

# What a graph may hold beyond feed-forward layers of neurons with one time constant and one threshold each. A graph has
# each of those that are enabled with a chance of its own.
CHANCES = {
    "self loop": 0.15,
    "loop over layers": 0.15,
    "loop with delay": 0.15,
    "nested": 0.1,
    "tau each": 0.12,
    "threshold each": 0.12,
    "reset value": 0.08,
    "soft": 0.15,
    "late": 0.15,
    "many": 0.15,
    "exponential": 0.15,
    "gain one": 0.1,
    "long delay": 0.08,
    "delay each": 0.1,
    "bias before current": 0.2,
    "infinite threshold": 0.08,
    "scalar": 0.1,
    "flat and maps": 0.1,
    "extreme": 0.3,
}
FEATURES = frozenset(CHANCES)
_STEPS, _SAMPLES = 8, 3
_NEURONS_MAX = 5


@dataclass(frozen=True, eq=False)
class Case:
    """A graph, how it is to be read, and samples `(N, T, *shape)` by input. features: of `FEATURES`, those it has."""

    seed: int
    graph: nir.NIRGraph
    dt: float
    reset: str
    spikes: str
    integration: str
    gain: str
    features: frozenset[str]
    inputs: dict[str, npt.NDArray[np.float32]]


def random_case(seed: int, enabled: Set[str] = FEATURES) -> Case:
    """The case of `seed`, with none but the enabled features."""
    rng = np.random.default_rng(seed)
    drawn = {name for name, chance in CHANCES.items() if rng.random() < chance} & enabled
    growing = _Growing(rng, drawn, float(rng.choice([1.0, 1e-3, 1e-4])))
    growing.grow()
    graph = nir.NIRGraph(growing.nodes, growing.edges, type_check=False)
    if "nested" in drawn:
        graph = _nested(graph, rng)
    reset = "late-" * ("late" in drawn) + ("soft" if "soft" in drawn else "hard")
    spikes = "many" if "many" in drawn else "one"
    integration, gain = "exponential" if "exponential" in drawn else "euler", "one" if "gain one" in drawn else "file"
    had = frozenset(growing.had | drawn & {"soft", "late", "many", "exponential", "gain one", "extreme", "nested"})
    return Case(seed, graph, growing.dt, reset, spikes, integration, gain, had, growing.inputs)


@dataclass
class _Growing:
    """A graph that grows. wanted, had: features that it shall have and has. ends: what can be listened to."""

    rng: np.random.Generator
    wanted: set[str]
    dt: float
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    inputs: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    had: set[str] = field(default_factory=set)
    ends: list[str] = field(default_factory=list)

    def grow(self) -> None:
        for index in range(int(self.rng.integers(1, 3))):
            self._input(f"in{index}")
        for index in range(int(self.rng.integers(2, _NEURONS_MAX + 1))):
            self._neuron(f"n{index}")
        self._loop_over_layers()
        self._leave()

    def _chance(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def _whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def _wants(self, feature: str) -> bool:
        """Whether to do now what the graph shall have; half of the times, so that it comes at any place."""
        return feature in self.wanted and self._chance(0.5)

    def _add(self, name: str, node: Any, *sources: str) -> str:
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        self.shapes[name] = shape_of(node, self.shapes[sources[0]] if sources else ())
        return name

    # Inputs

    def _input(self, name: str) -> None:
        kind = self.rng.choice(["maps", "maps", "line", "flat"])
        shape: Shape = (self._whole(2, 9),)
        if kind == "maps":
            shape = (self._whole(1, 3), self._whole(3, 7), self._whole(3, 7))
        elif kind == "line":
            shape = (self._whole(1, 3), self._whole(4, 9))
        extents = (_SAMPLES, _STEPS, *shape)
        if self._chance(0.6):
            metadata: dict[str, Any] = {"value_class": "binary"}
            values = (self.rng.random(extents) < self.rng.uniform(0.1, 0.9)).astype(np.float32)
        else:
            bits, signed = self._whole(2, 8), self._chance(0.4)
            scale = float(2.0 ** -self._whole(0, bits))  # a power of two, exact in single precision
            low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
            metadata = {"value_class": "real", "scale": scale, "bits": bits, "signed": int(signed)}
            values = (self.rng.integers(low, high + 1, extents) * scale).astype(np.float32)
        self._add(name, nir.Input({"input": np.array(shape)}, metadata=metadata))
        self.inputs[name] = values
        self.ends.append(name)

    # Branches

    def _weights(self, shape: Shape, fan_in: int) -> npt.NDArray[np.float32]:
        gain = 10 ** self.rng.uniform(-0.1, 0.7) / math.sqrt(fan_in)
        weight = self.rng.normal(0.5 * gain, gain, shape)
        if self._wants("extreme"):  # a few far above the others, or all of them far off
            weight *= np.where(self.rng.random(shape) < 0.05, 50.0, 1.0) * 10 ** self.rng.uniform(-3, 2)
        return weight.astype(np.float32)

    def _bias(self, count: int) -> npt.NDArray[np.float32]:
        return (self.rng.normal(0, 0.2, count) * (self.rng.random(count) < 0.7)).astype(np.float32)

    def _branch(self, source: str, target: str, *, biased: bool) -> str:
        """Linear nodes behind `source`; the name of the last, or `source`."""
        at = source
        for place in range(self._whole(1, 3)):
            before = self.shapes[at]
            if len(before) == 3 and self._chance(0.75):
                node = self._over_maps(before, biased)
            elif len(before) == 2 and self._chance(0.75):
                node = self._conv1d(before, biased)
            elif len(before) > 1:
                node = nir.Flatten({"input": np.array(before)}, 0)
            else:
                node = self._dense(before[0], self._whole(2, 9), biased)
            at = self._add(f"{target}.{source}.{place}", node, at)
            if not biased and self._chance(0.15):
                at = self._add(f"{target}.{source}.{place}.delay", self._delay(self.shapes[at]), at)
            if self._chance(0.2):
                at = self._add(f"{target}.{source}.{place}.scale", self._scale(self.shapes[at]), at)
        return at

    def _dense(self, inputs: int, outputs: int, biased: bool) -> Any:
        weight = self._weights((outputs, inputs), inputs)
        return nir.Affine(weight, self._bias(outputs)) if biased and self._chance(0.5) else nir.Linear(weight)

    def _over_maps(self, shape: Shape, biased: bool) -> Any:
        if self._chance(0.35):
            return self._pool(shape)
        channels, outputs = shape[0], self._whole(1, 4)
        groups = 1
        if self._chance(0.3):
            groups = int(self.rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
            outputs = groups * self._whole(1, 2)
        dilation = tuple(2 if side >= 5 and self._chance(0.2) else 1 for side in shape[1:])
        kernel = tuple(self._whole(1, 3 if side > 2 * d else 1) for side, d in zip(shape[1:], dilation, strict=True))
        weight = self._weights((outputs, channels // groups, *kernel), channels // groups * math.prod(kernel))
        padding: Any = tuple(self._whole(0, 2) for _ in kernel)
        stride = tuple(1 if self._chance(0.6) else 2 for _ in kernel)
        if stride == (1, 1) and all(k % 2 for k in kernel) and self._chance(0.3):
            padding = "same"
        bias = self._bias(outputs) if biased else np.zeros(outputs, np.float32)
        return nir.Conv2d((shape[1], shape[2]), weight, stride, padding, dilation, groups, bias)

    def _pool(self, shape: Shape) -> Any:
        kernel = [self._whole(1, min(3, side)) for side in shape[1:]]
        padding = [self._whole(0, k // 2) if self._chance(0.3) else 0 for k in kernel]
        kind = nir.SumPool2d if self._chance(0.5) else nir.AvgPool2d
        stride = kernel if self._chance(0.6) else [self._whole(1, 3), self._whole(1, 3)]
        return kind(np.array(kernel), np.array(stride), np.array(padding))

    def _conv1d(self, shape: Shape, biased: bool) -> Any:
        outputs, kernel = self._whole(1, 4), self._whole(1, min(3, shape[1]))
        weight = self._weights((outputs, shape[0], kernel), shape[0] * kernel)
        bias = self._bias(outputs) if biased else np.zeros(outputs, np.float32)
        return nir.Conv1d(shape[1], weight, self._whole(1, 2), self._whole(0, 1), 1, 1, bias)

    def _scale(self, shape: Shape) -> Any:
        """One a channel where there are maps, or one an element."""
        each = self.rng.uniform(-0.5, 2, (shape[0],) + (1,) * (len(shape) - 1) if self._chance(0.5) else shape)
        return nir.Scale(np.broadcast_to(each, shape).astype(np.float32))

    def _delay(self, shape: Shape) -> Any:
        steps = np.full(shape, self._whole(0, 4))
        if self._wants("long delay"):
            self.had.add("long delay")
            steps[...] = self._whole(63, 140)
        if self._wants("delay each"):
            self.had.add("delay each")
            steps = self.rng.integers(0, 6, shape)
        return nir.Delay((steps * self.dt).astype(np.float32))

    # Neurons

    def _neuron(self, name: str) -> None:
        kind = str(self.rng.choice(["LIF", "LIF", "IF", "CubaLIF", "Threshold"]))
        biased = (kind != "CubaLIF" or self._wants("bias before current")) and self._chance(0.7)
        source = str(self.rng.choice(self.ends[-3:]))
        ends = [self._branch(source, name, biased=biased)]
        shape = self.shapes[ends[0]]
        for other in self.rng.choice(self.ends, size=min(2, len(self.ends)), replace=False):
            if other != source and self._chance(0.4) and (end := self._joining(str(other), name, shape)):
                ends.append(end)
        if "bias before current" in self.wanted and kind == "CubaLIF" and biased:
            self.had.add("bias before current")
        if "self loop" in self.wanted and self._chance(0.6):
            self.had.add("self loop")
            self._add_neuron(name, kind, shape, ends)
            back = self._add(f"{name}.back", self._same(shape), name)
            self.edges.append((back, name))
        else:
            self._add_neuron(name, kind, shape, ends)
        self.ends.append(name)

    def _add_neuron(self, name: str, kind: str, shape: Shape, ends: list[str]) -> None:
        self._add(name, self._neuron_node(kind, shape), *dict.fromkeys(ends))
        self.shapes[name] = shape

    def _joining(self, source: str, target: str, shape: Shape) -> str:
        """A branch from `source` that can be summed with one of `shape`; empty where there is none."""
        before, name = self.shapes[source], f"{target}.{source}.join"
        if before == shape:
            return self._add(name, self._same(shape), source)
        if len(shape) > 1 and "flat and maps" not in self.wanted:
            return ""
        return self._matrix(source, name, shape)

    def _matrix(self, source: str, name: str, shape: Shape) -> str:
        """A matrix from `source`, flattened, to as many elements as `shape` has."""
        before = self.shapes[source]
        if len(before) > 1:
            source = self._add(f"{name}.flat", nir.Flatten({"input": np.array(before)}, 0), source)
        if len(shape) > 1:
            self.had.add("flat and maps")
        return self._add(name, self._dense(math.prod(before), math.prod(shape), False), source)

    def _same(self, shape: Shape) -> Any:
        """A linear node that keeps the shape."""
        if len(shape) == 1:
            return self._dense(shape[0], shape[0], False)
        if len(shape) == 3 and self._chance(0.5):
            weight = self._weights((shape[0], shape[0], 3, 3), 9 * shape[0])
            return nir.Conv2d(shape[1:], weight, 1, 1, 1, 1, np.zeros(shape[0], np.float32))
        return self._scale(shape)

    def _neuron_node(self, kind: str, shape: Shape) -> Any:
        thresholds = self._each(shape, "threshold each", 0.3, 2.0)
        if self._wants("infinite threshold") and kind != "Threshold":
            self.had.add("infinite threshold")
            thresholds[...] = np.inf
        if kind == "Threshold":
            return nir.Threshold(thresholds)
        fields = {"r": self.rng.uniform(0.5, 2, shape), "v_threshold": thresholds, "v_reset": np.zeros(shape)}
        if kind == "IF":
            fields["r"] = fields["r"] / self.dt
        else:
            fields["v_leak"] = self.rng.normal(0, 0.1, shape) * self._chance(0.3)
            fields["tau" if kind == "LIF" else "tau_mem"] = self._tau(shape)
        if kind == "CubaLIF":
            fields |= {"tau_syn": self._tau(shape), "w_in": self.rng.uniform(0.5, 3, shape)}
        if self._wants("reset value"):
            self.had.add("reset value")
            fields["v_reset"] = np.full(shape, self.rng.uniform(-0.3, 0.2))
        if self._wants("scalar"):
            self.had.add("scalar")
            fields = {name: np.reshape(values, -1)[:1] for name, values in fields.items()}
        made = {name: np.asarray(values, np.float32) for name, values in fields.items()}
        return getattr(nir, kind)(**made)

    def _each(self, shape: Shape, feature: str, low: float, high: float) -> npt.NDArray[np.float64]:
        """One value for all, or one a neuron."""
        if self._wants(feature):
            self.had.add(feature)
            return self.rng.uniform(low, high, shape)
        return np.full(shape, self.rng.uniform(low, high))

    def _tau(self, shape: Shape) -> npt.NDArray[np.float64]:
        """From one step, which forgets all, to thousands, which 12-bit decays hardly hold."""
        if self._chance(0.15):
            return np.full(shape, self.dt)
        if self._wants("extreme"):
            return np.full(shape, self.dt * 10 ** self.rng.uniform(2, 4.5))
        return self.dt * self._each(shape, "tau each", 1.05, 12.0)

    # Loops and ends

    def _loop_over_layers(self) -> None:
        joinable = "flat and maps" in self.wanted
        neurons = [name for name, node in self.nodes.items() if isinstance(node, NEURONS)]
        targets = [name for name in neurons[:-1] if joinable or len(self.shapes[name]) == 1]
        for feature in ("loop over layers", "loop with delay"):
            if feature not in self.wanted or not targets:
                continue
            first = str(self.rng.choice(targets))
            at = last = str(self.rng.choice(neurons[neurons.index(first) + 1 :]))
            name = f"{first}.{last}.{feature.split()[1]}"
            if feature == "loop with delay":
                steps = np.full(self.shapes[last], self._whole(1, 4) * self.dt, np.float32)
                at = self._add(f"{name}.delay", nir.Delay(steps), at)
            self.edges.append((self._matrix(at, name, self.shapes[first]), first))
            self.had.add(feature)

    def _leave(self) -> None:
        """A readout of what nobody listens to, and of the last neuron; outputs."""
        heard = {a for a, _ in self.edges}
        silent = [name for name in self.nodes if name not in heard or name == self.ends[-1]]
        size = self._whole(2, 4)
        arriving = [self._matrix(name, f"{name}.leave", (size,)) for name in silent]
        self._add("head", self._readout((size,)), *arriving)
        self._add("out", nir.Output({"output": np.array((size,))}), "head")
        spiking = [name for name in silent if isinstance(self.nodes[name], (*NEURONS, nir.Threshold))]
        if spiking and self._chance(0.3):
            self._add("out2", nir.Output({"output": np.array(self.shapes[spiking[0]])}), spiking[0])

    def _readout(self, shape: Shape) -> Any:
        r, leak = self.rng.uniform(0.5, 1.5, shape), np.zeros(shape)
        kind = READOUTS[int(self.rng.integers(len(READOUTS)))]
        fields = {"r": r / self.dt if kind is nir.I else r}
        if kind is nir.LI:
            fields |= {"tau": self._tau(shape), "v_leak": leak}
        if kind is nir.CubaLI:
            fields |= {"tau_mem": self._tau(shape), "tau_syn": self._tau(shape), "v_leak": leak, "w_in": r}
        return kind(**{name: np.asarray(values, np.float32) for name, values in fields.items()})


def _nested(graph: nir.NIRGraph, rng: np.random.Generator) -> nir.NIRGraph:
    """The graph with one of its nodes, and what follows if nothing else does, in a graph of their own."""
    nodes, edges = dict(graph.nodes), [(str(a), str(b)) for a, b in graph.edges]
    inside = [name for name, node in nodes.items() if not isinstance(node, nir.Input | nir.Output)]
    first = str(rng.choice(inside))
    follow = [b for a, b in edges if a == first]
    names = [first]
    if len(follow) == 1 and follow[0] in inside and [a for a, b in edges if b == follow[0]] == [first]:
        names += [name for name in follow if name != first]
    inner = {name: nodes.pop(name) for name in names}
    # The ports declare no shape that anybody would need.
    inner |= {"input": nir.Input({"input": None}), "output": nir.Output({"output": None})}
    chain = ["input", *names, "output"]
    inner_edges = list(itertools.pairwise(chain)) + [(a, b) for a, b in edges if a == b == first]
    outer = [(a if a not in names else "sub", b if b not in names else "sub") for a, b in edges]
    kept = [pair for pair, (a, b) in zip(outer, edges, strict=True) if not (a in names and b in names)]
    nodes["sub"] = nir.NIRGraph(inner, inner_edges, type_check=False)
    return nir.NIRGraph(nodes, kept, type_check=False)
