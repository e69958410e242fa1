"""Says how a run goes in lines of text, for where no progress bar can be shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

_LINE_EVERY_S = 30.0
_METRICS = ("train_loss", "val_loss", "val_accuracy")


class EpochLines(Callback):
    """Writes a line when an epoch ends, and one every half minute within an epoch; in the first process only.

    Args:
        write: is given each line.
        clock: gives seconds.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._begun = self._written = clock()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the epoch's seconds."""
        self._begun = self._written = self._clock()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write how far a long epoch is."""
        if self._clock() - self._written >= _LINE_EVERY_S:
            self._line(trainer, f"{batch_idx + 1} of {trainer.num_training_batches} batches")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the epoch has reached; validation has run by now."""
        found = trainer.callback_metrics
        self._line(trainer, ", ".join(f"{name} {found[name].item():.4f}" for name in _METRICS if name in found))

    def _line(self, trainer: Trainer, text: str) -> None:
        self._written = self._clock()
        if trainer.is_global_zero:
            seconds = self._written - self._begun
            self._write(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {text}, {seconds:.0f} s")
