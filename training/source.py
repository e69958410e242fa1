"""Experiments and checkpoints as a user names them; that they are there is found without importing torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.kinds import CHECKPOINT, require
from snnergy.training.config.packaged import experiment_names, packaged_experiments

if TYPE_CHECKING:
    from snnergy.training.config.experiment import Config

_CONFIG_ENDINGS = (".yaml", ".yml")


def checkpoint_of(source: str | Path, output: Path, purpose: str) -> Path:
    """The checkpoint that `source` is, or that its experiment has left in `output`; `purpose` is for the error.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    experiment = experiment_of(source)
    if Path(source).suffix not in _CONFIG_ENDINGS and Path(source).is_file():
        return Path(source)
    path = output / experiment.name / "checkpoint.pt"
    if not path.is_file():
        raise UserError(
            f"{path}: is not there, and {purpose} starts from a trained network; train {source} first, or pass the "
            "checkpoint"
        )
    return path


def experiment_of(source: str | Path) -> Config:
    """The experiment that `source` is (a YAML file, or the name of a packaged one) or was trained by (a checkpoint).

    Raises:
        UserError: none of them can be read.
    """
    path, packaged = Path(source), packaged_experiments()
    if path.suffix in _CONFIG_ENDINGS or (str(source) in packaged and not path.is_file()):
        from snnergy.training.config.experiment import load_config

        return load_config(source)
    origin = f"{CHECKPOINT.origin}, a YAML experiment, or one of {experiment_names(str(source))}"
    require((path, replace(CHECKPOINT, origin=origin)))
    from snnergy.training import checkpoint

    return checkpoint.load_config(path)
