"""What a node sends over time, as the kernels read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.emulator.kernels.events import WORD
from snnergy.neuromorphic.emulator.layout import channels_last


@dataclass(eq=False)
class Sent:
    """Values of a node, channels last.

    events: 0 or 1, `(N, T, row)`, a row being its `size` neurons filled up to whole words.
    graded: the values themselves `(N, T, size)` where they are more than that. largest: of them, in size.
    """

    events: npt.NDArray[np.uint8]
    size: int
    graded: IntArray | None = None
    largest: int = 1

    @classmethod
    def room(cls, samples: int, steps: int, size: int, *, most: int = 1) -> Sent:
        """Zeros, of a node that sends at most `most`."""
        rows = np.zeros((samples, steps, -(-size // WORD) * WORD), np.uint8)
        graded = np.zeros((samples, steps, size), np.int32) if most > 1 else None
        return cls(rows, size, graded, most)

    @classmethod
    def of(cls, values: IntArray, channels: int) -> Sent:
        """Integers `(N, T, *shape)` in the network's own order."""
        flat = channels_last(values.reshape(*values.shape[:2], -1), channels)
        smallest, largest = int(flat.min(initial=0)), int(flat.max(initial=0))
        sent = cls.room(*flat.shape)
        sent.events[..., : sent.size] = flat != 0
        if smallest < 0 or largest > 1:
            sent.graded, sent.largest = np.ascontiguousarray(flat, np.int32), max(largest, -smallest)
        return sent

    def part(self, samples: slice) -> Sent:
        """That of some samples, sharing memory."""
        graded = None if self.graded is None else self.graded[samples]
        return Sent(self.events[samples], self.size, graded, self.largest)

    @property
    def values(self) -> IntArray:
        """`(N, T, size)`."""
        return self.events[..., : self.size] if self.graded is None else self.graded

    @property
    def share(self) -> float:
        """Of the neurons, how many send something in a step."""
        samples, steps, _ = self.events.shape
        return float(np.count_nonzero(self.events)) / (samples * steps * self.size)
