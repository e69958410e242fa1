"""Float activity of a graph on calibration samples, as quantization and the fidelity report need it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.budget import VARIABLE, memory, size_text
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import FloatNet
from snnergy.neuromorphic.passes.quantize import Calibration

_BATCH = 16
# Bytes of a value: as float32 and as it is recorded; of the node that is quantized or compared, its input and its state
# in float64; of a node that is interpreted, what it emits and its membrane.
_KEPT, _COMPARED, _INTERPRETED = 8, 32, 12


def calibrate(source: NirSource, samples: Samples) -> Calibration:
    """Run the float oracle on `samples` and keep every neuron's output, flattened to `(N, T, neurons)`.

    Raises:
        UserError: that takes more memory than is allowed, or a value leaves single precision.
    """
    _refuse_excess(source, samples)
    parts: dict[str, list[Tensor]] = {}
    for first in range(0, len(samples), _BATCH):
        batch = {name: array[first : first + _BATCH] for name, array in samples.arrays.items()}
        with np.errstate(over="ignore"):
            batch = {name: np.asarray(array, np.float32) for name, array in batch.items()}
        values = {name: torch.from_numpy(array) for name, array in batch.items()} | interpret(source, batch).values
        for name, value in values.items():
            if not value.isfinite().all():
                raise UserError(
                    f"{source.name}: node {name!r}: leaves single precision on the calibration samples; scale the "
                    "samples, or the weights before it, down"
                )
            parts.setdefault(name, []).append(value.flatten(2))
    # Node by node, so that only one of them is there twice.
    return Calibration({name: torch.cat(parts.pop(name)) for name in tuple(parts)})


def with_sources(calibration: Calibration, net: FloatNet) -> Calibration:
    """`calibration` with the spikes of the sources in `net`, which are no nodes of its graph: one in every step."""
    fed = {synapse.target for synapse in net.synapses}
    ones = torch.ones(*next(iter(calibration.values.values())).shape[:2], 1)
    return Calibration(calibration.values | {p.name: ones for p in net.populations if p.name not in fed})


def _refuse_excess(source: NirSource, samples: Samples) -> None:
    """Hold what compilation keeps of the samples, until it has measured the outcome on them, to the budget."""
    count, steps = next(iter(samples.arrays.values())).shape[:2]
    sizes = {name: math.prod(source.shapes[name]) for name in source.order}
    kept = source.of_kind("input", "neuron", "readout", "output")
    every = steps * (_KEPT * sum(sizes[name] for name in kept) + _COMPARED * max(sizes.values()))
    interpreted = steps * _INTERPRETED * sum(sizes.values())
    needed = count * every + min(count, _BATCH) * interpreted
    allowed = memory()
    if needed > allowed:
        fitting = max(1, allowed // (every + interpreted))
        raise UserError(
            f"calibration: {count} samples of {steps} steps take {size_text(needed)} of memory, {size_text(allowed)} "
            f"are allowed; use fewer calibration samples, such as {fitting}, or set {VARIABLE} to "
            f"{size_text(needed, up=True)} or more"
        )
