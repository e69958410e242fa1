"""Recurrent networks for the tests: NIR graphs of loops, and random integer networks of them."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np

from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from tests.neuromorphic import graphs

SIZE = 6


def spikes(size: int = SIZE) -> nir.Input:
    return nir.Input({"input": np.array([size])}, metadata={"value_class": "binary"})


def layer(rng: np.random.Generator, gain: float = 0.8, size: int = SIZE) -> nir.Linear:
    return nir.Linear(rng.normal(0, gain, (size, size)).astype(np.float32))


def delay(steps: float, size: int = SIZE) -> nir.Delay:
    return nir.Delay(graphs.full((size,), steps))


def graph(nodes: dict[str, nir.NIRNode], *edges: tuple[str, str]) -> nir.NIRGraph:
    """`nodes` from `input` to `output` with these edges, in steps of 1."""
    ends = {"input": spikes(), "output": nir.Output({"output": np.array([SIZE])})}
    return nir.NIRGraph(ends | nodes, list(edges), metadata={"dt": 1.0}, type_check=False)


def path(*names: str) -> list[tuple[str, str]]:
    return list(pairwise(names))


def random_graph(seed: int) -> nir.NIRGraph:
    """One to three layers of neurons in a row; random ways back over one or more of them, some with long Delays."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 4))
    nodes: dict[str, nir.NIRNode] = {}
    edges = []
    before = "input"
    for index in range(depth):
        nodes[f"w{index}"] = layer(rng, 1.0)
        nodes[f"n{index}"] = graphs.lif((SIZE,), tau=float(rng.choice([1.5, 3.0])))
        edges += path(before, f"w{index}", f"n{index}")
        before = f"n{index}"
    for index in range(int(rng.integers(1, 4))):
        start, end = (int(x) for x in sorted(rng.integers(0, depth, 2)))
        needed = end - start + 1  # synapses in the loop
        nodes[f"r{index}"], nodes[f"d{index}"] = layer(rng), delay(needed + int(rng.integers(0, 3)))
        back = [f"r{index}", f"d{index}"] if rng.random() < 0.5 else [f"d{index}", f"r{index}"]
        if needed == 1 and rng.random() < 0.5:
            del nodes[f"d{index}"]
            back.remove(f"d{index}")
        edges += path(f"n{end}", *back, f"n{start}")
    return graph(nodes, *edges, (before, "output"))


def samples(seed: int, count: int = 3, steps: int = 12) -> np.ndarray:
    return (np.random.default_rng(seed).random((count, steps, SIZE)) < 0.5).astype(np.float32)


def random_net(seed: int) -> QuantNet:
    """Populations in a row, each fed by the one before, and synapses back to any of them, also of one to itself."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    ports = (InputPort("input", (2, 3, 2), "real", 1.0, 4),)
    populations = [_population(rng, f"p{i}", i + 1) for i in range(count)]
    populations.append(QuantPopulation("out", (3,), 4096, 0, 131071, np.zeros(1, np.int32), False, 1.0, count + 1))
    chain = ["input", *(p.name for p in populations)]
    synapses = [_synapse(rng, a, b, 12 if b != "out" else 3) for a, b in path(*chain)]
    for _ in range(int(rng.integers(1, 4))):
        start, end = (int(x) for x in sorted(rng.integers(0, count, 2)))
        steps = end - start + 1  # of the loop: its synapses, all of which the one back must make up for
        late = steps + int(rng.integers(0, 3))
        synapses.append(_synapse(rng, f"p{end}", f"p{start}", 12, late, -steps))
    return QuantNet(ports, tuple(populations), tuple(synapses), ("out",))


def _population(rng: np.random.Generator, name: str, depth: int) -> QuantPopulation:
    du, dv = int(rng.choice([4096, 1024])), int(rng.choice([415, 2048, 4096]))
    bias = rng.integers(-40, 60, 12).astype(np.int32)
    return QuantPopulation(name, (2, 3, 2), du, dv, int(rng.integers(60, 300)), bias, True, 1.0, depth)


def _synapse(
    rng: np.random.Generator, source: str, target: str, outputs: int, late: int = 0, balance: int = 0
) -> QuantSynapse:
    exponent = int(rng.choice([0, 1, -2]))
    if outputs == 12 and rng.random() < 0.5:
        kernel = rng.integers(-127, 128, (2, 2, 3, 3)).astype(np.int32)
        operator = Conv2d(kernel, (2, 3, 2), (1, 1), (1, 1))
        return QuantSynapse(source, target, operator, exponent, late, balance)
    weight = rng.integers(-127, 128, (outputs, 12)).astype(np.int32)
    each = rng.integers(0, 3, weight.shape) if rng.random() < 0.4 else None
    return QuantSynapse(source, target, Dense(weight, each), exponent if each is None else 0, late, balance)
