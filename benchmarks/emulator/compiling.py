"""What `compile` takes: a small convolutional network, one of N-MNIST's size with pools, and SNNergy's own for GRID.

Calibration samples are random. The first round is thrown away, for it loads the kernels' machine code.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import nir
import numpy as np
import torch

from benchmarks.emulator.networks import STEPS, as_nir, conv, spikes
from benchmarks.emulator.turns import clocked, in_turns, medians
from snnergy.artefacts.samples import Samples
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.lowering.lower import lower
from tests.export.networks import network, pixels

SAMPLES = {"conv": 3, "nmnist": 24, "grid": 24}
RATE = {"conv": 0.08, "nmnist": 0.03}


def nmnist() -> nir.NIRGraph:
    """Two convolutions of 5 × 5, each before a pool, and ten outputs, on 2 × 34 × 34 events; all of them LIF."""
    rng = np.random.default_rng(0)

    def weight(outputs: int, inputs: int, active: float, *taps: int) -> Any:
        scale = (inputs * np.prod(taps) * active) ** -0.5  # sums of about the threshold
        return rng.normal(0, scale, (outputs, inputs, *taps)).astype(np.float32)

    def kernel(outputs: int, inputs: int) -> nir.Conv2d:
        return nir.Conv2d(None, weight(outputs, inputs, 0.1, 5, 5), 1, 0, 1, 1, np.zeros(outputs, np.float32))

    def neurons(*shape: int) -> nir.LIF:
        full = np.ones(shape, np.float32)
        return nir.LIF(4 * full, 4 * full, 0 * full, full, 0 * full)

    def pool() -> nir.SumPool2d:
        return nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))

    nodes: dict[str, Any] = {
        "x": nir.Input({"input": np.array([2, 34, 34])}),
        "conv1": kernel(12, 2), "layer1": neurons(12, 30, 30), "pool1": pool(), "layer2": neurons(12, 15, 15),
        "conv2": kernel(32, 12), "layer3": neurons(32, 11, 11), "pool2": pool(), "layer4": neurons(32, 5, 5),
        "flat": nir.Flatten({"input": None}, 0, -1), "dense": nir.Linear(weight(10, 800, 0.05)), "layer5": neurons(10),
        "out": nir.Output({"output": np.array([10])}),
    }  # fmt: skip
    return nir.NIRGraph(nodes, list(pairwise(nodes)), metadata={"dt": 1.0}, type_check=False)


def task(name: str) -> tuple[NirSource, Samples]:
    """A network and its calibration samples."""
    count = SAMPLES[name]
    if name == "grid":
        model = network(time_steps=6, image_size=48, base_dim=24, mlp_ratio=2, classes=10)
        return from_graph(to_nir(model, {})), Samples(dict(pixels(count, model)))
    if name == "conv":
        net = conv()
        return from_graph(as_nir(net)), Samples({"x": spikes(net, count, STEPS, RATE[name])["x"].astype(np.float32)})
    events = np.random.default_rng(1).random((count, STEPS, 2, 34, 34)) < RATE[name]
    return from_graph(nmnist()), Samples({"x": events.astype(np.float32)})


def rows(rounds: int) -> Iterator[dict[str, Any]]:
    """A row a network."""
    torch.manual_seed(0)
    contestants = {name: clocked(partial(lower, *task(name))) for name in SAMPLES}
    for name, seconds in medians(in_turns(contestants, rounds)).items():
        yield {
            "kind": "compile",
            "network": name,
            "calibration_samples": SAMPLES[name],
            "compile_seconds": round(seconds, 3),
        }
