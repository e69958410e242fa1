"""The files that an unfinished run goes on from, written whole, and read as files that anyone could have changed.

Lightning would unpickle them without restriction, and delete files whose paths stand in them. What it is given here
consists of plain types and tensors, and the paths in it are those of this run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import CheckpointIO

from snnergy.training import torch_archive
from snnergy.training.loop.resume_state import BEST, refusal

# What code meets that is given values of other types and shapes than it wrote.
MISFITS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_MOMENTS = ("exp_avg", "exp_avg_sq")
_ADAM = {"step", *_MOMENTS}
_CHANGING = {"params", "lr", "last_epoch", "_step_count", "_last_lr", "_get_lr_called_within_step", "_is_initial"}


class ResumeFiles(CheckpointIO):
    """Reads and writes for Lightning, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Replace a file whole or not at all."""
        torch_archive.write(Path(path), checkpoint, force=True)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Plain types and tensors.

        Raises:
            UserError: the file is damaged, or holds more.
        """
        try:
            state: dict[str, Any] = torch_archive.read(Path(path))
            for name, callback in state["callbacks"].items():
                if name.startswith(ModelCheckpoint.__name__):
                    self._use_own_paths(callback)
            seconds = state["callbacks"]["Timer"]["time_elapsed"]["train"]
            if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
                raise ValueError(f"trained for {seconds!r} seconds")
        except (torch_archive.Damaged, torch_archive.Forbidden, *MISFITS) as error:
            raise refusal(Path(path), error) from error
        return state

    def remove_checkpoint(self, path: str | Path) -> None:
        """Nothing: each of the two files has one name, under which it is replaced."""

    def _use_own_paths(self, state: dict[str, Any]) -> None:
        """The paths of a best file are those of this folder, whichever stand in the file, or where it has been."""
        best = str(self.folder / BEST)
        scores = list(state["best_k_models"].values())
        if len(scores) > 1 or not all(isinstance(score, torch.Tensor) and score.numel() == 1 for score in scores):
            raise ValueError("more than one best score")
        state |= {
            "dirpath": str(self.folder),
            "best_k_models": dict.fromkeys([best] if scores else [], scores[0] if scores else None),
            "best_model_path": best if scores else "",
            "kth_best_model_path": best if scores else "",
            "last_model_path": "",
        }


class Restored(Callback):
    """Looks at what Lightning has made of a file before the first step uses it.

    begun: whether an epoch has passed since: what fails before that fails for what was restored.
    """

    begun = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare it with what a new run starts from.

        Raises:
            ValueError: it is none of this run.
        """
        for parameter, state in trainer.optimizers[0].state.items():
            if state.keys() != _ADAM or any(state[name].shape != parameter.shape for name in _MOMENTS):
                raise ValueError("the state of the optimizer is that of other weights")
        values = list(pl_module.state_dict().values())
        values += [state[name] for state in trainer.optimizers[0].state.values() for name in _ADAM]
        if not all(torch.isfinite(value).all() for value in values):
            raise ValueError("weights or moments are NaN or infinite")
        for state in trainer.optimizers[0].state.values():
            if state["step"].numel() != 1 or state["step"] < 0 or (state["exp_avg_sq"] < 0).any():
                raise ValueError("a count of steps or a mean of squares is negative")
        new: Any = pl_module.configure_optimizers()
        expected = new["lr_scheduler"]["scheduler"].state_dict()
        for group, fresh in zip(trainer.optimizers[0].param_groups, new["optimizer"].param_groups, strict=True):
            if group.keys() != fresh.keys() or any(group[name] != fresh[name] for name in fresh.keys() - _CHANGING):
                raise ValueError("the settings of the optimizer are others")
            if not isinstance(group["lr"], float) or not math.isfinite(group["lr"]):
                raise ValueError(f"the learning rate is {group['lr']!r}")
        schedule = trainer.lr_scheduler_configs[0].scheduler.state_dict()
        if schedule.keys() != expected.keys() or any(schedule[n] != expected[n] for n in expected.keys() - _CHANGING):
            raise ValueError("the schedule of the learning rate is another")
        if not _counts([trainer.fit_loop.state_dict(), schedule["last_epoch"], schedule["_step_count"]]):
            raise ValueError("a count of steps is none")
        rates = schedule["_last_lr"]
        if not isinstance(rates, list) or not all(isinstance(r, float) and math.isfinite(r) for r in rates):
            raise ValueError(f"the last learning rates are {rates!r}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that an epoch has passed."""
        self.begun = True


def _counts(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(_counts(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and 0 <= value < 1 << 62
