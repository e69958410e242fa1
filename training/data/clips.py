"""Clips of recorded video and sound: decoding, frames and augmentation, the same for every data set of media files.

A video is cut into T equal segments. Evaluation sees the middle frame of each, training one of five that are spread
evenly over it, in order. Pixels stay 8-bit RGB and the network sees pixel / 255: an 8-bit image is what a chip is
given, and the constants of ImageNet would add nothing, because BatchNorm follows the first convolution.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import MediaConfig, Split
from snnergy.training.config.systems import SystemConfig
from snnergy.training.data import augment, spectrogram
from snnergy.training.data.cache import Arrays, Cache, Files
from snnergy.training.data.dataset import Excluded, Pixels
from snnergy.training.data.media import RATE, Unusable, read_frames, read_sound
from snnergy.training.data.spectrogram import FLOOR_DB

_CHOICES = 5  # frames of a segment that training draws from; odd, so that one is in the middle
_NAMED = 5  # excluded clips that the log names

_log = logging.getLogger(__name__)


class Clip(NamedTuple):
    """One sample; picture and sound may be the same file."""

    picture: Path
    sound: Path
    label: int


class Listing(NamedTuple):
    """The clips of one split by the data set's own lists, and those that its lists already rule out."""

    clips: tuple[Clip, ...]
    excluded: tuple[Excluded, ...] = ()


@dataclass(frozen=True)
class ClipDecoder:
    """Decodes a clip to what `MediaClips` draws samples from.

    Attributes:
        steps: T.
        side: of the frames, in pixels.
        window_s: length of the spectrogram.
        min_s: shortest sound that is used.
    """

    steps: int
    side: int
    window_s: float
    min_s: float

    def __call__(self, files: Files) -> Arrays:
        """Decode a picture and a sound.

        Returns:
            frames: the distinct ones, uint8 `(N, 3, S, S)`.
            choices: frame numbers, `(T, 5)`, in order of time.
            mel: dB below the maximum, `(128, columns)`.
            filled: columns of the spectrogram that the clip fills, `()`.

        Raises:
            Unusable: a file is missing, corrupt, silent or too short.
        """
        picture, sound = files
        waveform = read_sound(sound)
        length_s = len(waveform) / RATE
        if length_s < self.min_s:
            raise Unusable(sound, f"too short ({length_s:.3f} s of sound, at least {self.min_s} s are needed)")
        mel = spectrogram.relative_mel(waveform, self.window_s)
        if mel.max() == FLOOR_DB:
            raise Unusable(sound, "silent")
        # Within the sound's length: some videos run on into other recordings.
        frames, choices = read_frames(picture, self.steps * _CHOICES, self.side, length_s)
        filled = min(spectrogram.columns(length_s), mel.shape[1])
        return {
            "frames": frames,
            "choices": choices.reshape(self.steps, _CHOICES),
            "mel": mel,
            "filled": np.array(filled),
        }


class MediaClips:
    """The usable clips of one split; see `snnergy.training.data.dataset.ClipSource`.

    Args:
        listing: of the split.
        config: of the data set.
        model: gives time steps, image size and audio encoding.
        split: named in the log.

    Raises:
        UserError: no clip of the split can be used.
    """

    def __init__(self, listing: Listing, config: MediaConfig, model: SystemConfig, split: Split) -> None:
        self.config = config
        self.model = model
        decoder = ClipDecoder(model.time_steps, model.image_size, config.WINDOW_S, config.MIN_S)
        self.cache = Cache(config.cache / config.name, decoder)
        outcomes = self.cache.fill([(clip.picture, clip.sound) for clip in listing.clips])
        kept = [(clip, entry) for clip, entry in zip(listing.clips, outcomes, strict=True) if isinstance(entry, Path)]
        self.clips = tuple(clip for clip, _ in kept)
        self.entries = tuple(entry for _, entry in kept)
        self.labels = np.array([clip.label for clip in self.clips], dtype=np.int64)
        self.excluded = listing.excluded + tuple(entry for entry in outcomes if isinstance(entry, Excluded))
        report_excluded(f"{config.name} {split}", self.excluded, len(self.clips))

    def sample(self, seen: int, heard: int, rng: np.random.Generator, augment: bool) -> tuple[Pixels, Pixels]:
        """Video `(T, 3, S, S)` of clip `seen`, audio `(T, 1, S, S)` of clip `heard`; draws only where augmented."""
        shown = self._load(seen)
        sounding = shown if heard == seen else self._load(heard)
        frames, choices, mel = shown["frames"], shown["choices"], sounding["mel"]
        if augment:
            steps = np.arange(len(choices))
            video = self._augment_video(frames[choices[steps, rng.integers(_CHOICES, size=len(steps))]], rng)
            mel = spectrogram.shifted(mel, round(self.config.shift * mel.shape[1] * rng.uniform(-1, 1)))
        else:
            video = frames[choices[:, _CHOICES // 2]]
        return video, spectrogram.encode(mel, int(sounding["filled"]), self.model)

    def _load(self, index: int) -> Arrays:
        clip = self.clips[index]
        return self.cache.load(self.entries[index], (clip.picture, clip.sound))

    def _augment_video(self, video: Pixels, rng: np.random.Generator) -> Pixels:
        video = augment.mirror_and_move(video, self.config.flip, self.config.shift_px, rng)
        return augment.jitter_colour(video, self.config.colour, rng)


def report_excluded(name: str, excluded: tuple[Excluded, ...], used: int) -> None:
    """Log how many clips are excluded, and the first of them.

    Raises:
        UserError: none is left.
    """
    if not excluded:
        return
    lines = [f"{path} ({reason})" for path, reason in excluded[:_NAMED]]
    if len(excluded) > _NAMED:
        lines.append(f"and {len(excluded) - _NAMED} more")
    message = f"{name}: {len(excluded)} of {len(excluded) + used} clips cannot be used: {', '.join(lines)}"
    if not used:
        raise UserError(f"{message}; fetch the data set again")
    _log.warning(message)
