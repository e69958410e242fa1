"""Data sets by name: paired video and audio images as 8-bit pixels, `(T, C, H, W)` a sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.training.config.data import DataConfig, DigitsConfig, GridConfig
from snnergy.training.config.experiment import Config, ModelConfig
from snnergy.training.data import ave, crema_d, urbansound8k_av
from snnergy.training.data.clips import Listing, MediaClips
from snnergy.training.data.dataset import AudioVisualDataset, ClipSource, Excluded, Split
from snnergy.training.data.digits import DigitClips
from snnergy.training.data.grid import GridClips

__all__ = ["AudioVisualDataset", "Excluded", "Split", "arrays", "build_dataset"]

_LISTS: dict[str, Callable[[Any, Split], Listing]] = {
    "crema_d": crema_d.list_clips,
    "ave": ave.list_clips,
    "urbansound8k_av": urbansound8k_av.list_clips,
}


def build_dataset(
    data: DataConfig, model: ModelConfig, split: Split, *, seed: int = 0, dropout: float = 0.0
) -> AudioVisualDataset:
    """The samples of one split.

    Args:
        data: names the data set.
        model: gives time steps, image size, audio encoding and the blank modality.
        split: `train`, `val` or `test`.
        seed: of the training samples; evaluation samples are fixed by the data section alone.
        dropout: probability that a training sample loses one of its modalities.

    Raises:
        UserError: the data set is not there, or none of its clips can be used.
    """
    source: ClipSource
    if isinstance(data, DigitsConfig):
        source, evaluation_seed = DigitClips(data, model, split), data.split_seed
    elif isinstance(data, GridConfig):
        source, evaluation_seed = GridClips(data, model, split), data.evaluation_seed
    else:
        # Evaluation draws nothing from recorded media, so that any seed will do.
        source, evaluation_seed = MediaClips(_LISTS[data.name](data, split), data, model, split), 0
    return AudioVisualDataset(source, split, seed if split == "train" else evaluation_seed, model.blank, dropout)


def arrays(config: Config, split: Split, limit: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """The samples of one split as arrays, the same at every call: what evaluation and export use.

    Args:
        config: the experiment.
        split: `train` gives the samples of the first epoch.
        limit: first samples only; None for all.

    Returns:
        video uint8 `(N, T, C, H, W)`, audio uint8 `(N, T, 1, H, W)`, label int64 `(N,)`.
    """
    dataset = build_dataset(config.data, config.model, split, seed=config.seed)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    samples = [dataset[i] for i in range(count)]
    return {name: np.stack([sample[name] for sample in samples]) for name in ("video", "audio", "label")}
