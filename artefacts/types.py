"""Words that files and folders share: shapes, arrays, what a value can be, and where a node stands in its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
Counts = npt.NDArray[np.int64]

# What one value on an edge can be: a spike, a count of spikes, or an analog number (in integer steps). It decides AC
# against MAC and is declared, never guessed from data.
ValueClass = Literal["binary", "integer", "real"]
VALUE_CLASSES: tuple[ValueClass, ...] = get_args(ValueClass)

# What of each node is kept: every value, or the counts that a ledger needs.
Recording = Literal["full", "counts"]


@dataclass(frozen=True)
class Labels:
    """Where a node stands in the model, for reports. Empty strings and None where a graph does not say."""

    role: str = ""
    stage: int | None = None
    block: int | None = None
    modality: str = ""
