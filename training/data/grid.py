"""GRID speaker s1, spoken digits: mouth video and the word's audio in white noise.

Cooke, Barker, Cunningham, Shao, "An audio-visual corpus for speech perception and automatic speech recognition",
J. Acoust. Soc. Am. 120 (2006). Protocol: noise is added to the whole clip first, then everything outside the word is
set to zero, because the next word gives away the digit's parity.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from snnergy.artefacts.budget import refuse_excess
from snnergy.training.config.data import GridConfig, Split
from snnergy.training.config.systems import SystemConfig
from snnergy.training.data import audio, augment, grid_hdf5, grid_raw
from snnergy.training.data.cache import Arrays
from snnergy.training.data.clips import report_excluded
from snnergy.training.data.dataset import Excluded, Pixels
from snnergy.training.data.presence import GRID_FILE

_RATE = 16000  # samples a second


class GridClips:
    """The clips of one split, video resized; see `snnergy.training.data.dataset.ClipSource`."""

    def __init__(self, config: GridConfig, model: SystemConfig, split: Split) -> None:
        audio.refuse_unheard(config.audio, _RATE)
        self.config = config
        self.model = model
        fields, self.excluded = _read(config, split)
        frames = np.rint(np.linspace(0, fields["video"].shape[1] - 1, model.time_steps)).astype(int)
        values = len(fields["video"]) * model.time_steps * (fields["video"][0, 0].size + model.image_size**2)
        refuse_excess(f"model.image_size = {model.image_size}: {len(fields['video'])} clips", 4 * values)
        self.video = _resize(fields["video"][:, frames], model.image_size)
        self.audio = fields["audio"].astype(np.float32) / 32768
        self.word_span = fields["word_span"].astype(int)
        self.labels = fields["label"].astype(np.int64)

    def sample(self, seen: int, heard: int, rng: np.random.Generator, augment: bool) -> tuple[Pixels, Pixels]:
        """Video `(T, 1, S, S)` of clip `seen`; audio `(T, 1, S, S)` of clip `heard`, with fresh noise from `rng`."""
        video = self.video[seen]
        waveform = self.noisy_word(heard, rng)
        if augment:
            video = self._augment_video(video, rng)
            shift = round(self.config.shift_s * _RATE * rng.uniform(-1, 1))
            waveform = np.roll(waveform, shift)
        return video[:, None], audio.encode(waveform, _RATE, self.config.audio, self.model)

    def noisy_word(self, index: int, rng: np.random.Generator) -> audio.Floats:
        """Waveform `(12800,)`: noise over the whole clip, then silence outside the word."""
        noisy = audio.add_white_noise(self.audio[index], self.config.audio.snr_db, rng)
        start, end = self.word_span[index]
        noisy[:start] = 0
        noisy[end:] = 0
        return noisy

    def _augment_video(self, video: Pixels, rng: np.random.Generator) -> Pixels:
        """Mirror, move and relight a clip `(T, S, S)`, all its frames alike."""
        video = augment.mirror_and_move(video, self.config.flip, self.config.shift_px, rng).astype(np.float64)
        gain, offset = 1 + self.config.brightness * rng.uniform(-1, 1, size=2)
        mean = video.mean()
        return np.clip(np.rint((video - mean) * gain + mean * offset), 0, 255).astype(np.uint8)


def _read(config: GridConfig, split: Split) -> tuple[Arrays, tuple[Excluded, ...]]:
    """The rows of one split, from the HDF5 file or else from the recordings it is made from; what is excluded."""
    path = config.root / GRID_FILE
    if path.is_file():
        return grid_hdf5.read(path, split), ()
    fields, excluded = grid_raw.read(config.root, split, config.cache)
    report_excluded(f"grid {split}", excluded, len(fields["label"]))
    return fields, excluded


def _resize(video: Pixels, size: int) -> Pixels:
    """`(N, T, H, W)` to `(N, T, size, size)` by area averages, rounded: exact sums and divisions on every processor."""
    return functional.adaptive_avg_pool2d(torch.from_numpy(video).float(), size).round().to(torch.uint8).numpy()
