"""Float activity of a graph on calibration samples, as quantization and the fidelity report need it."""

from __future__ import annotations

import torch
from torch import Tensor

from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.passes.quantize import Calibration

_BATCH = 16


def calibrate(source: NirSource, samples: Samples) -> Calibration:
    """Run the float oracle on `samples` and keep every neuron's output, flattened to `(N, T, neurons)`."""
    parts: dict[str, list[Tensor]] = {}
    for first in range(0, len(samples), _BATCH):
        batch = {name: array[first : first + _BATCH] for name, array in samples.arrays.items()}
        values = interpret(source, batch).values
        values |= {name: torch.from_numpy(array).float() for name, array in batch.items()}
        for name, value in values.items():
            parts.setdefault(name, []).append(value.flatten(2))
    return Calibration({name: torch.cat(batches) for name, batches in parts.items()})
