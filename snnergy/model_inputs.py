"""Samples of an experiment in the model's own units: float32 pixels / 255, `(N, T, C, H, W)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import MODALITIES, to_units
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, ModelConfig, load_config
from snnergy.training.data import Split, arrays

_CONFIG_SUFFIXES = {".yaml", ".yml"}


def experiment_of(source: Path) -> Config:
    """The experiment that `source` describes (YAML), or that it was trained by (a checkpoint).

    Raises:
        UserError: neither can be read.
    """
    return load_config(source) if source.suffix in _CONFIG_SUFFIXES else checkpoint.load(source).config


def model_inputs(config: Config, split: Split, limit: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """The samples of one split.

    Args:
        limit: first samples only; None for all.

    Returns:
        video `(N, T, C, H, W)` and audio `(N, T, 1, H, W)` float32 in 0..1, label `(N,)` int64.

    Raises:
        UserError: the data set is not there.
    """
    samples = arrays(config, split, limit)
    return {name: to_units(samples[name]) for name in MODALITIES} | {"label": samples["label"]}


def random_inputs(model: ModelConfig, count: int, seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    """Uniform random pixels in the shapes that `model` takes: for checks that need no meaning."""
    rng = np.random.default_rng(seed)
    side = (model.image_size, model.image_size)
    channels = {"video": model.video_channels, "audio": 1}
    return {
        name: to_units(rng.integers(0, 256, size=(count, model.time_steps, channels[name], *side), dtype=np.uint8))
        for name in MODALITIES
    }


def parity_inputs(source: Path, count: int) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Inputs to compare two forms of a trained network on, and a word for what they are.

    Args:
        source: checkpoint.

    Returns:
        video and audio of `count` validation samples; random pixels where the data set is not there, because parity
        must hold on any input.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    experiment = checkpoint.load(source).config
    try:
        inputs = model_inputs(experiment, "val", count)
    except UserError as missing:
        return random_inputs(experiment.model, count), f"samples of random pixels ({missing})"
    return {name: inputs[name] for name in MODALITIES}, f"validation samples of {experiment.data.name}"
