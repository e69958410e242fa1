"""Handwritten digits that move, paired with the telephone key's two tones in noise. Nothing is downloaded.

Images: the digits of scikit-learn (8×8, 1797 samples). Tones: ITU-T Q.23, one row and one column frequency a key.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional

from snnergy.artefacts.budget import refuse_excess
from snnergy.training.config.data import DigitsConfig, Split
from snnergy.training.config.systems import SystemConfig
from snnergy.training.data import audio
from snnergy.training.data.dataset import Excluded, Pixels

Rows = npt.NDArray[np.int64]

_RATE = 8000  # samples a second
_DIGIT_SIDE = 0.625  # of the image's side
_BYTES = 12  # of a pixel of an enlarged digit, in double and single precision
_VAL_SHARE, _TEST_SHARE = 0.15, 0.25

# ITU-T Q.23: keys 1..9 in rows of three, 0 in the middle of the fourth.
DTMF_ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
DTMF_COLUMNS_HZ = (1209.0, 1336.0, 1477.0)


def dtmf_hz(key: int) -> tuple[float, float]:
    """Row and column frequency of key 0..9."""
    row, column = (3, 1) if key == 0 else divmod(key - 1, 3)
    return DTMF_ROWS_HZ[row], DTMF_COLUMNS_HZ[column]


def split_rows(labels: Rows, seed: int) -> dict[Split, Rows]:
    """Rows of each split, 60 / 15 / 25 %, stratified by label."""
    rows = np.arange(len(labels))
    rest, test = train_test_split(rows, test_size=_TEST_SHARE, stratify=labels, random_state=seed)
    share = _VAL_SHARE / (1 - _TEST_SHARE)
    train, val = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=seed)
    return {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}


class DigitClips:
    """The clips of one split; see `snnergy.training.data.dataset.ClipSource`."""

    excluded: tuple[Excluded, ...] = ()

    def __init__(self, config: DigitsConfig, model: SystemConfig, split: Split) -> None:
        audio.refuse_unheard(config.audio, _RATE)
        self.config = config
        self.model = model
        digits = load_digits()
        rows = split_rows(digits.target, config.split_seed)[split]
        self.labels = digits.target[rows].astype(np.int64)
        side = round(_DIGIT_SIDE * model.image_size)
        refuse_excess(f"model.image_size = {model.image_size}: {len(rows)} digits", _BYTES * len(rows) * side**2)
        self.images = _enlarge(digits.images[rows] / 16, side)

    def sample(self, seen: int, heard: int, rng: np.random.Generator, augment: bool) -> tuple[Pixels, Pixels]:
        """Video `(T, 1, S, S)` and audio `(T, 1, S, S)`; both are drawn afresh from `rng`, augmented or not."""
        tones = audio.add_white_noise(self._tones(int(self.labels[heard]), rng), self.config.audio.snr_db, rng)
        sound = audio.encode(tones, _RATE, self.config.audio, self.model)
        return self._move(self.images[seen], rng)[:, None], sound

    def _tones(self, key: int, rng: np.random.Generator) -> audio.Floats:
        """The key's tone pair over the window, random phases, mean square 1."""
        time_s = np.arange(round(self.config.audio.window_s * _RATE)) / _RATE
        phases = rng.uniform(0, 2 * np.pi, size=2)
        pair = [np.sin(2 * np.pi * hz * time_s + phase) for hz, phase in zip(dtmf_hz(key), phases, strict=True)]
        return np.sum(pair, axis=0, dtype=np.float32)

    def _move(self, digit: audio.Floats, rng: np.random.Generator) -> Pixels:
        """Frames `(T, S, S)`: the digit on a straight path, faded, partly hidden, in pixel noise."""
        config, steps, size = self.config, self.model.time_steps, self.model.image_size
        side = len(digit)
        start, end = rng.uniform(-config.drift_px, config.drift_px, size=(2, 2))
        path = np.linspace(start, end, steps)
        corners = np.clip(np.rint(path + (size - side) / 2), 0, size - side).astype(int)
        frames = np.zeros((steps, size, size), dtype=np.float32)
        for frame, (row, column) in zip(frames, corners, strict=True):
            frame[row : row + side, column : column + side] = config.contrast * digit
        hidden = round(config.occlusion * size)
        row, column = rng.integers(0, size - hidden + 1, size=2)
        frames[:, row : row + hidden, column : column + hidden] = 0
        frames += config.noise * rng.standard_normal(frames.shape, dtype=np.float32)
        return np.clip(np.rint(255 * frames), 0, 255).astype(np.uint8)


def _enlarge(images: npt.NDArray[np.float64], side: int) -> audio.Floats:
    """`(N, 8, 8)` to `(N, side, side)`, bilinear, in float64: rounded, the values of every processor."""
    batch = torch.from_numpy(images)[:, None]
    return functional.interpolate(batch, size=(side, side), mode="bilinear", align_corners=False)[:, 0].float().numpy()
