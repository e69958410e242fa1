"""Recorded networks that several tests share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.energy.activity_files import Edge, Node, write_activity

SAMPLES, STEPS, CLASSES = 5, 3, 4


def spikes(rng: np.random.Generator, *shape: int, rate: float = 0.3, samples: int = SAMPLES) -> np.ndarray:
    return (rng.random((samples, STEPS, *shape)) < rate).astype(np.uint8)


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Integers, about one in seven of them zero."""
    return rng.integers(-3, 4, shape)


def labels(role: str, stage: int, **others: Any) -> dict[str, Any]:
    return {"role": role, "stage": stage, "block": 0, "modality": "video"} | others


def mixed_nodes(rng: np.random.Generator) -> list[Node]:
    """An analog image, spiking populations of two stages, one that sums spikes, and a readout."""
    counts = rng.integers(0, 4, (SAMPLES, STEPS, 4, 3, 3)).astype(np.uint8)
    return [
        Node("image", rng.integers(-40, 41, (SAMPLES, STEPS, 2, 6, 6)), kind="input", value_class="real"),
        Node("stage1.stem", spikes(rng, 4, 6, 6), attrs=labels("stem", 1, biased=144)),
        Node("stage1.q", spikes(rng, 4, 3, 3), attrs=labels("q", 1)),
        Node("stage2.gate", spikes(rng, 4, 3, 3, rate=0.1), attrs=labels("gate", 2, memoryless=True)),
        Node("stage2.sum", counts, value_class="integer", attrs=labels("mlp1", 2)),
        Node("head", kind="readout", value_class="integer", shape=(CLASSES,), attrs={"biased": CLASSES}),
    ]


def mixed_edges(rng: np.random.Generator) -> list[Edge]:
    return [
        Edge("image", "stage1.stem", weights(rng, 4, 2, 3, 3), padding=1, origin=("stem.conv",)),
        Edge("stage1.stem", "stage1.q", weights(rng, 4, 4, 3, 3), stride=2, padding=1, origin=("q.conv",)),
        Edge("stage1.q", "stage2.gate", np.ones((4, 1, 1, 1), int), groups=4, learned=False),
        Edge("stage1.q", "stage2.sum", weights(rng, 4, 4, 1, 1), origin=("mlp1.conv",)),
        Edge("stage2.gate", "stage2.sum", weights(rng, 4, 4, 1, 1), origin=("alpha", "mlp1.conv")),
        Edge("stage2.sum", "head", weights(rng, CLASSES, 36), origin=("pool", "linear")),
    ]


def mixed(path: Path, *, seed: int = 0, prediction: Sequence[int] = (0, 1, 2, 3, 3)) -> Path:
    """A file with every value class, every kind of node, and four of five samples predicted correctly."""
    rng = np.random.default_rng(seed)
    return write_activity(path, mixed_nodes(rng), mixed_edges(rng), label=(0, 1, 2, 3, 0), prediction=prediction)


def spiking(path: Path, *, seed: int = 0) -> Path:
    """A file of a network that spikes drive throughout, its input included."""
    rng = np.random.default_rng(seed)
    nodes = [
        Node("events", spikes(rng, 2, 5, 5), kind="input"),
        Node("hidden", spikes(rng, 3, 5, 5), attrs=labels("mlp1", 1)),
        Node("head", kind="readout", value_class="integer", shape=(CLASSES,)),
    ]
    edges = [
        Edge("events", "hidden", weights(rng, 3, 2, 3, 3), padding=1, origin=("conv",)),
        Edge("hidden", "head", weights(rng, CLASSES, 75), origin=("linear",)),
    ]
    return write_activity(path, nodes, edges)
