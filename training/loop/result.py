"""How a training run is followed, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# A progress bar; or a function that is given a line for each epoch; or nothing.
Progress = Literal["bar"] | Callable[[str], None] | None

# Of metrics.json, what is said of a run when it ends.
FIGURES = (
    "val_accuracy",
    "test_accuracy",
    "test_samples",
    "best_epoch",
    "train_samples_per_second",
    "peak_memory_bytes",
)


@dataclass(frozen=True)
class TrainResult:
    """Where the best network lies, and what metrics.json says of it."""

    checkpoint: Path
    metrics: dict[str, Any]
