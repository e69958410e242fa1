"""The networks that are timed, their input, and both in the forms that others take."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from benchmarks.simulators.serving import Layer, Task
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, Operator, QuantNet, QuantPopulation, QuantSynapse

STEPS = 100
DECAY = 1024  # of a membrane, in 4096ths
WEIGHT = 127


def chain(shape: tuple[int, ...], layers: list[tuple[Operator, int]], rng: np.random.Generator) -> QuantNet:
    """Populations one behind the other; each operator gets random weights, and each population its threshold."""
    populations, synapses, source = [], [], "x"
    for depth, (operator, threshold) in enumerate(layers, 1):
        name = f"layer{depth}"
        weight = rng.integers(-WEIGHT, WEIGHT, operator.weight.shape, endpoint=True).astype(np.int32)
        populations.append(
            QuantPopulation(
                name,
                operator.output_shape,
                np.array([4096]),
                np.array([DECAY]),
                threshold,
                np.zeros(1, np.int32),
                True,
                1.0,
                depth,
            )
        )
        synapses.append(QuantSynapse(source, name, type(operator)(**{**vars(operator), "weight": weight})))
        source = name
    return QuantNet((InputPort("x", shape, "binary"),), tuple(populations), tuple(synapses), (source,))


def dense(width: int = 1024) -> QuantNet:
    """Three dense layers, which fire at about 10 to 20 % if 5 % of the inputs spike."""
    empty = Dense(np.zeros((width, width), np.int32))
    return chain((width,), [(empty, int(limit * (width / 1024) ** 0.5)) for limit in (750, 1050, 1250)],
                 np.random.default_rng(0))  # fmt: skip


def conv(side: int = 32) -> QuantNet:
    """Two convolutions of 3 × 3 and ten outputs; the layers fire at about 8 to 14 % if 8 % of the inputs spike."""
    first = Conv2d(np.zeros((16, 2, 3, 3), np.int32), (2, side, side), padding=(1, 1))
    second = Conv2d(np.zeros((32, 16, 3, 3), np.int32), (16, side, side), padding=(1, 1))
    readout = Dense(np.zeros((10, 32 * side * side), np.int32))
    return chain((2, side, side), [(first, 130), (second, 300), (readout, 7000)], np.random.default_rng(0))


NETWORKS: dict[str, tuple[Callable[[], QuantNet], float]] = {"dense": (dense, 0.05), "conv": (conv, 0.08)}


def spikes(net: QuantNet, samples: int, steps: int, rate: float) -> dict[str, IntArray]:
    """Random input."""
    shape = (samples, steps, *net.inputs[0].shape)
    return {"x": (np.random.default_rng(1).random(shape) < rate).astype(np.int32)}


def as_nir(net: QuantNet) -> nir.NIRGraph:
    """A chain as a graph of floats."""
    nodes: dict[str, Any] = {"x": nir.Input({"input": np.array(net.inputs[0].shape)})}
    for synapse, population in zip(net.synapses, net.populations, strict=True):
        operator, size = synapse.operator, population.shape
        weight = operator.weight.astype(np.float32)
        if isinstance(operator, Conv2d):
            bias = np.zeros(len(weight), np.float32)
            nodes[f"w.{population.name}"] = nir.Conv2d(None, weight, 1, operator.padding, 1, 1, bias)
        else:
            nodes[f"f.{population.name}"] = nir.Flatten({"input": None}, 0, -1)
            nodes[f"w.{population.name}"] = nir.Linear(weight)
        full = np.full(size, 4096 / DECAY, np.float32)
        nodes[population.name] = nir.LIF(full, full, 0 * full, 0 * full + population.vth, 0 * full)
    nodes["out"] = nir.Output({"output": np.array(net.populations[-1].shape)})
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), metadata={"dt": 1.0}, type_check=False)


def as_task(net: QuantNet, inputs: dict[str, IntArray]) -> Task:
    """A chain and its input for other simulators."""
    layers = [
        Layer(s.operator.weight, getattr(s.operator, "padding", (0, 0)), int(p.dv[0]), p.vth)
        for s, p in zip(net.synapses, net.populations, strict=True)
    ]
    return Task(layers, inputs[net.inputs[0].name].astype(np.uint8))
