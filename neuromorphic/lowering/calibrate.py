"""Float activity of a graph on calibration samples, as quantization and the fidelity report need it.

The float oracle runs on a few samples at a time. What it emitted on the first of them is kept, a byte a spike, as far
as memory allows; on the others it runs again whenever they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.budget import VARIABLE, memory, size_text
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.sample_file import SampleFile
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic.graph.interpret import emissions
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import FloatNet
from snnergy.neuromorphic.passes.calibration import SEARCHED, Activity

# Samples at once: as many as keep what a node emits within a stretch of memory that is used again and again.
_BATCH, _STRETCH = 16, 16 << 20
# Bytes of a value: in float32; of the node at hand, its input, its output and copies of either while it is quantized or
# compared.
_VALUE, _AT_HAND = 4, 32


class FloatActivity:
    """What `source` does on `samples`; a `Calibration`."""

    def __init__(self, source: NirSource, samples: Samples | SampleFile, net: FloatNet) -> None:
        """Keep room.

        Args:
            net: what became of the graph; its inputs and populations are what is asked for.

        Raises:
            UserError: what trials are judged on takes more memory than is allowed.
        """
        self.source, self.samples = source, samples
        self._names = [port.name for port in net.inputs] + [population.name for population in net.populations]
        self._spikes = {p.name for p in net.populations if p.threshold is not None and p.spikes == "one"}
        fed = {synapse.target for synapse in net.synapses}
        sizes = {port.name: math.prod(port.shape) for port in net.inputs} | {p.name: p.size for p in net.populations}
        self._row = sum(size * (1 if name in self._spikes else _VALUE) for name, size in sizes.items())  # bytes a step
        self._unfed = [population.name for population in net.populations if population.name not in fed]
        self.extents = _extents(samples)
        for name, ends in self.extents.items():
            self._require_finite(name, all(map(math.isfinite, ends)))
        self._kept: list[Activity] = []
        self._at_once, self._keeping = self._planned()

    def given(self) -> Iterator[Samples]:
        """The samples of each batch."""
        return self.samples.batches(self._at_once)

    def batches(self) -> Iterator[Activity]:
        """See `Calibration`.

        Raises:
            UserError: a value leaves single precision.
        """
        yield from self._kept
        done = len(self._kept)
        if done * self._at_once >= len(self.samples):
            return
        for index, given in enumerate(self.given()):
            if index < done:
                continue
            batch = self._interpreted(given)
            if index == len(self._kept) and index * self._at_once + len(given) <= self._keeping:
                self._kept.append(batch)
            yield batch

    def first(self, name: str) -> Tensor:
        """See `Calibration`."""
        parts, found = [], 0
        for batch in self.batches():
            parts.append(batch[name])
            found += len(parts[-1])
            if found >= SEARCHED:
                break
        return torch.cat(parts)[:SEARCHED]

    def _interpreted(self, given: Samples) -> Activity:
        arrays = {name: np.asarray(array, np.float32) for name, array in given.arrays.items()}
        found: dict[str, Tensor] = {}
        for name, value, _ in emissions(self.source, arrays, membranes=False):
            if name in self._names:
                found[name] = self._sound(name, value)
        some = next(iter(arrays.values()))
        return found | {name: torch.ones(*some.shape[:2], 1, dtype=torch.uint8) for name in self._unfed}

    def _sound(self, name: str, value: Tensor) -> Tensor:
        flat = value.flatten(2)
        if name in self._spikes or (name in self.extents and bool(((flat == 0) | (flat == 1)).all())):
            return flat.to(torch.uint8)
        self._require_finite(name, bool(flat.isfinite().all()))
        return flat

    def _require_finite(self, name: str, finite: bool) -> None:
        if not finite:
            raise UserError(
                f"{self.source.name}: node {name!r}: leaves single precision on the calibration samples; scale the "
                "samples, or the weights before it, down"
            )

    def _planned(self) -> tuple[int, int]:
        """How many samples are run at once, and how many are kept."""
        steps = self.samples.steps
        sizes = [math.prod(self.source.shapes[name]) for name in self.source.order]
        at_once = max(1, min(_BATCH, len(self.samples), _STRETCH // (steps * _VALUE * max(sizes))))
        work = at_once * steps * (_VALUE * sum(sizes) + _AT_HAND * max(sizes))
        kept = steps * self._row
        fewest, allowed = min(SEARCHED, len(self.samples)), memory()
        if fewest * kept + work > allowed:
            fitting = max(1, (allowed - work) // kept)
            raise UserError(
                f"calibration: {fewest} samples of {steps} steps take {size_text(fewest * kept + work)} of memory, "
                f"{size_text(allowed)} are allowed; use fewer calibration samples, such as {fitting}, or set "
                f"{VARIABLE} to {size_text(fewest * kept + work, up=True)} or more"
            )
        return at_once, (allowed - work) // kept


def _extents(samples: Samples | SampleFile) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each input."""
    found: dict[str, tuple[float, float]] = {}
    with np.errstate(over="ignore"):
        for batch in samples.batches():
            for name, array in batch.arrays.items():
                low, high = found.get(name, (math.inf, -math.inf))
                found[name] = min(low, float(np.float32(array.min()))), max(high, float(np.float32(array.max())))
    return found
