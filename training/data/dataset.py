"""What every data set is: a source of clips, and a `Dataset` that fixes each sample's randomness by its seed.

A sample is a function of (seed, split, epoch, index) alone: training noise and pairs are fresh in every epoch, those of
evaluation never change, and neither depends on the batch, the workers or an interrupted run.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from snnergy.artefacts.samples import MODALITIES
from snnergy.training.config.data import SPLITS, Split, Task
from snnergy.training.data.pairing import Pairs, draw_pairs, pair_count

Pixels = npt.NDArray[np.uint8]
Sample = dict[str, Pixels | int]


class Excluded(NamedTuple):
    """A clip that the data set has and that cannot be used: its file, and why."""

    path: Path
    reason: str


class ClipSource(Protocol):
    """The clips of one split with their classes, and those of it that cannot be used."""

    labels: npt.NDArray[np.int64]
    excluded: tuple[Excluded, ...]

    def sample(self, seen: int, heard: int, rng: np.random.Generator, augment: bool) -> tuple[Pixels, Pixels]:
        """Draw video `(T, C, H, W)` of clip `seen` and audio `(T, 1, H, W)` of clip `heard`, with noise from `rng`."""
        ...


class AudioVisualDataset(Dataset[Sample]):
    """Samples `{"video": uint8 (T, C, H, W), "audio": uint8 (T, 1, H, W), "label": int}`.

    Args:
        source: the clips.
        task: which clip is heard with each clip that is seen, and what is asked of the two.
        split: `train` is augmented, and its noise and pairs depend on `epoch`.
        seed: of noise, motion, augmentation and pairs.
        blank: modality that is replaced by zeros, or `none`.
        dropout: probability that a training sample loses one of its modalities; none where one is blank already.
    """

    pairs: Pairs

    def __init__(self, source: ClipSource, task: Task, split: Split, seed: int, blank: str, dropout: float) -> None:
        self.source = source
        self.task: Task = task
        self.split = split
        self.seed = seed
        self.blank = blank
        self.dropout = dropout if split == "train" and blank == "none" else 0.0
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.pairs.labels)

    @property
    def epoch(self) -> int:
        """From which the samples are; setting it draws the pairs."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        classes = self.source.labels
        # The number behind the last sample's, whose draws are those of no sample.
        self.pairs = draw_pairs(self.task, classes, self._generator(pair_count(self.task, len(classes))))

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Clips of this split that cannot be used, and why."""
        return self.source.excluded

    def __getitem__(self, index: int) -> Sample:
        rng = self._generator(index)
        seen, heard, label = (int(of[index]) for of in self.pairs)
        video, audio = self.source.sample(seen, heard, rng, augment=self.split == "train")
        sample: Sample = {"video": video, "audio": audio, "label": label}
        absent = MODALITIES[rng.integers(2)] if rng.random() < self.dropout else self.blank
        if absent != "none":
            sample[absent] = np.zeros_like(sample[absent])
        return sample

    def _generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, SPLITS.index(self.split), self.epoch, index])
