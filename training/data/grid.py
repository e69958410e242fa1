"""GRID speaker s1, spoken digits: mouth video and the word's audio in white noise.

Cooke, Barker, Cunningham, Shao, "An audio-visual corpus for speech perception and automatic speech recognition",
J. Acoust. Soc. Am. 120 (2006). Protocol: noise is added to the whole clip first, then everything outside the word is
set to zero, because the next word gives away the digit's parity.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from snnergy.errors import UserError
from training.config import ModelConfig
from training.data import audio, augment, grid_raw
from training.data.cache import Arrays
from training.data.clips import report_excluded
from training.data.dataset import Excluded, Pixels, Split
from training.data_config import GridConfig

_FILE = "grid_s1_digits.h5"
_RATE = 16000  # samples a second
_SAMPLES = 12800  # of a clip
# Of each item of the file: the shape of a row, and its type in numpy's hierarchy.
_ROW: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "video": ((8, 96, 96), np.uint8),
    "audio": ((_SAMPLES,), np.int16),
    "label": ((), np.integer),
    "split": ((), np.bytes_),
    "word_span": ((2,), np.integer),
}
_SMALL = ("label", "split", "word_span")  # items whose values are checked
_LAYOUT = (
    f"video (N, 8, 96, 96) uint8, audio (N, {_SAMPLES}) int16, label (N) integer, split (N) string, "
    f"word_span (N, 2) integer"
)
_AGAIN = f"expected {_LAYOUT}; make or fetch the file again"
_SOURCE = "GRID audio-visual corpus, https://doi.org/10.5281/zenodo.3625687, speaker s1"


class GridClips:
    """The clips of one split, video resized; see `training.data.dataset.ClipSource`."""

    def __init__(self, config: GridConfig, model: ModelConfig, split: Split) -> None:
        self.config = config
        self.model = model
        fields, self.excluded = _read(config, split)
        frames = np.rint(np.linspace(0, fields["video"].shape[1] - 1, model.time_steps)).astype(int)
        self.video = _resize(fields["video"][:, frames], model.image_size)
        self.audio = fields["audio"].astype(np.float32) / 32768
        self.word_span = fields["word_span"].astype(int)
        self.labels = fields["label"].astype(np.int64)

    def sample(self, index: int, rng: np.random.Generator, augment: bool) -> tuple[Pixels, Pixels]:
        """Video `(T, 1, S, S)` and audio `(T, 1, S, S)` of clip `index`, with fresh noise from `rng`."""
        video = self.video[index]
        waveform = self.noisy_word(index, rng)
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
        video = augment.mirror_and_move(video, self.config.flip, self.config.shift_px, rng).astype(np.float32)
        gain, offset = 1 + self.config.brightness * rng.uniform(-1, 1, size=2)
        mean = video.mean()
        return np.clip(np.rint((video - mean) * gain + mean * offset), 0, 255).astype(np.uint8)


def _read(config: GridConfig, split: Split) -> tuple[Arrays, tuple[Excluded, ...]]:
    """The rows of one split, from the HDF5 file or else from the recordings it is made from; what is excluded."""
    path = config.root / _FILE
    if path.is_file():
        return _read_rows(path, split), ()
    if not grid_raw.is_there(config.root):
        raise UserError(
            f"{path}: data set 'grid' is not there; expected an HDF5 file with {_LAYOUT}, or the recordings *.mpg with "
            f"their *.align, made from: {_SOURCE}. Set data.root to the folder that holds {_FILE} or the recordings"
        )
    fields, excluded = grid_raw.read(config.root, split, config.cache)
    report_excluded(f"grid {split}", excluded, len(fields["label"]))
    return fields, excluded


def _read_rows(path: Path, split: Split) -> Arrays:
    """The rows of one split in the HDF5 file, all that is wrong with it reported at once."""
    try:
        with h5py.File(path) as file:
            items, violations = _items(file)
            violations += _wrong_values({name: item[:] for name, item in items.items() if name in _SMALL}, split)
            if violations:
                raise UserError([*(f"{path}: {line}" for line in violations), f"{path}: {_AGAIN}"])
            rows = np.flatnonzero(items["split"][:] == split.encode())
            return {name: items[name][rows] for name in ("video", "audio", "label", "word_span")}
    except OSError as error:
        raise UserError(f"{path}: is damaged or no HDF5 file ({error}); {_AGAIN}") from None


def _items(file: h5py.File) -> tuple[dict[str, h5py.Dataset], list[str]]:
    """The items whose rows are those of `_ROW`, and a line for each thing that is wrong with the others."""
    found = {name: file[name] for name in _ROW if isinstance(file.get(name), h5py.Dataset)}
    missing = [name for name in _ROW if name not in found]
    wrong = [f"lacks {', '.join(missing)}"] if missing else []
    items = {}
    for name, item in found.items():
        shape, kind = _ROW[name]
        # To numpy, strings without a fixed length are objects.
        dtype = np.dtype(bytes) if h5py.check_string_dtype(item.dtype) else item.dtype
        if item.shape and item.shape[1:] == shape and np.issubdtype(dtype, kind):
            items[name] = item
        else:
            wrong.append(f"{name} has shape {item.shape} and type {item.dtype}")
    lengths = {name: len(item) for name, item in items.items()}
    if len(set(lengths.values())) > 1:
        wrong.append(f"items differ in length: {', '.join(f'{name} {length}' for name, length in lengths.items())}")
    return items, wrong


def _wrong_values(columns: Arrays, split: Split) -> list[str]:
    """A line for each column with values out of range, and for a split without rows."""
    wrong = []
    if "label" in columns:
        label = columns["label"]
        wrong += _wrong_rows("label", label, (label < 0) | (label >= GridConfig.CLASSES), "0 to 9")
    if "word_span" in columns:
        start, end = columns["word_span"].T
        outside = (start < 0) | (start >= end) | (end > _SAMPLES)
        wrong += _wrong_rows("word_span", columns["word_span"], outside, f"start < end, within 0 to {_SAMPLES}")
    if "split" in columns and split.encode() not in columns["split"]:
        wrong.append(f"split has no row {split!r}")
    return wrong


def _wrong_rows(name: str, values: npt.NDArray[Any], wrong: npt.NDArray[np.bool_], allowed: str) -> list[str]:
    """One line for all the wrong rows of a column, with the first of them."""
    if not wrong.any():
        return []
    first = wrong.argmax()
    return [f"{name} = {values[first].tolist()} in row {first}: must be {allowed}; {wrong.sum()} such rows"]


def _resize(video: Pixels, size: int) -> Pixels:
    """`(N, T, H, W)` to `(N, T, size, size)` by area averages, rounded."""
    return functional.adaptive_avg_pool2d(torch.from_numpy(video).float(), size).round().to(torch.uint8).numpy()
