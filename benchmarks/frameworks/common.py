"""What the makers share: the weights and the spikes of our networks, and the files that are written of each.

Imported in environments that hold one framework each: nothing but NumPy here.

NAME.nir         as the framework's own exporter wrote it
NAME.npz         the spikes, uint8 `(N, T, *shape)`, under the name of the graph's input
NAME.float.npz   `out`, what the framework itself emits for them, `(N, T, classes)`
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SAMPLES, STEPS = 12, 16
INPUTS, HIDDEN, CLASSES = 16, 20, 5
MAPS, SIDE = 4, 8  # channels of the convolution, height and width of its input


def weight(seed: int, *shape: int, gain: float = 2.0) -> npt.NDArray[np.float32]:
    """Weights `(out, in, …)` that make most neurons fire."""
    fan_in = math.prod(shape[1:])
    rng = np.random.default_rng(seed)
    return (gain * rng.normal(0.25, 1.0, shape) / math.sqrt(fan_in)).astype(np.float32)


def bias(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Biases that add a little."""
    return np.random.default_rng(seed).uniform(-0.1, 0.2, count).astype(np.float32)


def spikes(*shape: int) -> npt.NDArray[np.uint8]:
    """Spike trains whose rate differs between samples and elements."""
    rng = np.random.default_rng(7)
    rates = rng.uniform(0, 0.6, (SAMPLES, 1, *shape))
    return (rng.random((SAMPLES, STEPS, *shape)) < rates).astype(np.uint8)


def save(folder: Path, name: str, input_name: str, x: Array, out: Array) -> None:
    """Write what lies beside the graph, and say what it is."""
    assert out.shape[:2] == x.shape[:2], (out.shape, x.shape)
    np.savez_compressed(folder / f"{name}.npz", **{input_name: x})
    np.savez_compressed(folder / f"{name}.float.npz", out=out.astype(np.float32))
    print(f"{name}: out {out.shape}, {out.mean():.3f} a step on average, at most {out.max():g}")


def main(networks: Mapping[str, Callable[[Path, str], None]]) -> None:
    """Make each network in the folder that the command line names; each takes the folder and its own name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in networks.items():
        make(folder, name)
