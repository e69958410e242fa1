"""Where lava-dl's own network files and conformance vectors lie, and small `.net` files in its layout."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import h5py
import numpy as np
import pytest

VECTORS = Path(sysconfig.get_path("purelib")) / "tests/lava/lib/dl/netx"


def stock_file(relative: str) -> Path:
    """A file inside the lava-dl wheel; the test is skipped where the wheel is not installed."""
    path = VECTORS / relative
    if not path.is_file():
        pytest.skip(f"{relative}: comes with lava-dl 0.6.0, which is installed on Python 3.10 only")
    return path


def neuron(layer: h5py.Group, **overrides: object) -> None:
    fields = {"type": np.bytes_("LOIHI"), "iDecay": 1024, "vDecay": 415, "vThMant": 80, "refDelay": 1} | overrides
    for name, value in fields.items():
        layer[f"neuron/{name}"] = value


def chain_file(path: Path) -> h5py.File:
    """A valid stock chain, open for changes: spikes (2, 5, 5) → conv (3, 3, 3) → flatten → dense 4 with delays."""
    rng = np.random.default_rng(0)
    file = h5py.File(path, "w")
    layers = [("input", (2, 5, 5)), ("conv", (3, 3, 3)), ("flatten", (27,)), ("dense", (4,))]
    for index, (kind, shape) in enumerate(layers):
        layer = file.create_group(f"layer/{index}")
        layer["type"], layer["shape"] = np.array([kind], "S10"), np.array(shape)
    conv, dense = file["layer/1"], file["layer/3"]
    conv["weight"] = rng.integers(-8, 9, (3, 2, 3, 3, 1)).astype(np.float32)
    conv["bias"] = np.array([5, -2, 0], np.float32)
    for name, value in {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}.items():
        conv[name] = value
    dense["weight"] = 2.0 * rng.integers(-8, 9, (4, 27)).astype(np.float32)
    dense["delay"] = np.array([0, 3, 70, 1], np.float32)
    for layer in (conv, dense):
        neuron(layer)
    return file
