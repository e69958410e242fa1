"""What `compile` takes for a network in floating point."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.emulator.networks import NETWORKS, STEPS, as_nir, spikes
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.lowering.lower import lower

SAMPLES = 3  # that it calibrates on


def rows(_rounds: int) -> Iterator[dict[str, Any]]:
    """A row a network."""
    for name, (make, rate) in NETWORKS.items():
        net = make()
        samples = Samples({"x": spikes(net, SAMPLES, STEPS, rate)["x"].astype(np.float32)})
        source = from_graph(as_nir(net))
        begun = time.perf_counter()
        lower(source, samples)
        seconds = round(time.perf_counter() - begun, 2)
        yield {"kind": "compile", "network": name, "calibration_samples": SAMPLES, "compile_seconds": seconds}
