"""Float activity on calibration samples as passes read it: batch by batch, so that their number costs no memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from torch import Tensor

# What each input sends (real units) and each spiking population (spikes), and the membrane of each readout,
# `(N, T, neurons)`: uint8 where nothing but 0 and 1 can be, else float32.
Activity = Mapping[str, Tensor]


class Calibration(Protocol):
    """What a float network does on its calibration samples."""

    @property
    def extents(self) -> Mapping[str, tuple[float, float]]:
        """Smallest and largest value of each input, of all samples."""
        ...

    def batches(self) -> Iterator[Activity]:
        """All samples in their order; may be read again."""
        ...

    def first(self, name: str) -> Tensor:
        """The activity of one node on the samples that trials are judged on: `SEARCHED`, or all if there are fewer."""
        ...


SEARCHED = 24
