"""Data sets by name: paired video and audio images as 8-bit pixels, `(T, C, H, W)` a sample.

What reads a data set is imported when it is asked for: each needs libraries that the others do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.extras import require
from snnergy.artefacts.samples import LABEL, MODALITIES, to_units
from snnergy.training.config.data import AveConfig, CremaDConfig, DataConfig, DigitsConfig, GridConfig, Split
from snnergy.training.config.experiment import Config
from snnergy.training.config.systems import SystemConfig
from snnergy.training.data.presence import refuse_missing

if TYPE_CHECKING:
    from snnergy.training.data.clips import Listing
    from snnergy.training.data.dataset import AudioVisualDataset, ClipSource

__all__ = ["arrays", "build_dataset", "model_inputs"]


def build_dataset(
    data: DataConfig, model: SystemConfig, split: Split, *, seed: int = 0, dropout: float = 0.0
) -> AudioVisualDataset:
    """The samples of one split.

    Args:
        data: names the data set.
        model: gives time steps, image size, audio encoding and the blank modality.
        split: `train`, `val` or `test`.
        seed: of the training samples; evaluation samples are fixed by the data section alone.
        dropout: probability that a training sample loses one of its modalities.

    Raises:
        UserError: the data set is not there, or none of its clips can be used, or they cannot be paired, or the
            packages that read it are not installed.
    """
    refuse_missing(data)
    require(f"data set {data.name!r}", "train", "torch", "librosa", "sklearn", "av")
    from snnergy.training.data.dataset import AudioVisualDataset

    source, evaluation_seed = _source(data, model, split)
    return AudioVisualDataset(
        source, data.task, split, seed if split == "train" else evaluation_seed, model.blank, dropout
    )


def arrays(config: Config, split: Split, limit: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """The samples of one split as 8-bit pixels, the same at every call: what evaluation uses.

    Args:
        config: the experiment.
        split: `train` gives the samples of the first epoch.
        limit: first samples only; None for all.

    Returns:
        video uint8 `(N, T, C, H, W)`, audio uint8 `(N, T, 1, H, W)`, label int64 `(N,)`.

    Raises:
        UserError: as `build_dataset`, or they exceed the budget of memory.
    """
    dataset = build_dataset(config.data, config.model, split, seed=config.seed)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    _refuse_excess(config, split, count, copies=2)
    samples = [dataset[i] for i in range(count)]
    return {name: np.stack([sample[name] for sample in samples]) for name in (*MODALITIES, LABEL)}


def model_inputs(config: Config, split: Split, limit: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """`arrays` in the model's own units: what a samples file holds.

    Returns:
        video `(N, T, C, H, W)` and audio `(N, T, 1, H, W)` float32 in 0..1, label `(N,)` int64.
    """
    pixels = arrays(config, split, limit)
    _refuse_excess(config, split, len(pixels[LABEL]), copies=6)
    return {name: to_units(pixels[name]) for name in MODALITIES} | {LABEL: pixels[LABEL]}


def _refuse_excess(config: Config, split: Split, count: int, copies: int) -> None:
    """Raise `UserError` where so many copies of the 8-bit pixels of a split exceed the budget of memory."""
    model = config.model
    refuse_excess(
        f"{config.name}: {count} {split} samples of time_steps = {model.time_steps} and image_size = "
        f"{model.image_size}",
        copies * count * model.time_steps * (model.video_channels + 1) * model.image_size**2,
    )


def _source(data: DataConfig, model: SystemConfig, split: Split) -> tuple[ClipSource, int]:
    """The clips of one split, and the seed of its samples where it is an evaluation split."""
    if isinstance(data, DigitsConfig):
        from snnergy.training.data.digits import DigitClips

        return DigitClips(data, model, split), data.split_seed
    if isinstance(data, GridConfig):
        from snnergy.training.data.grid import GridClips

        return GridClips(data, model, split), data.evaluation_seed
    from snnergy.training.data.clips import MediaClips

    # Evaluation draws nothing from recorded media, so that any seed will do.
    return MediaClips(_lister(data)(data, split), data, model, split), 0


def _lister(data: DataConfig) -> Callable[[Any, Split], Listing]:
    """The function that reads a data set's own lists."""
    from snnergy.training.data import ave, crema_d, urbansound8k_av

    if isinstance(data, AveConfig):
        return ave.list_clips
    return crema_d.list_clips if isinstance(data, CremaDConfig) else urbansound8k_av.list_clips
