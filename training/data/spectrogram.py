"""Mel spectrogram of recorded sound, as an 8-bit image.

    pixel = 255 * (1 + max(dB, -80) / 80),   dB = 10 log10(power / largest power of the clip)

Relative to the clip, because recordings differ in level by tens of decibels; the range is fixed, so that a clip's own
noise floor does not stretch it. A clip without any power is pixel 0 throughout. In float64 for the reason that
`audio` gives; a spectrogram is kept in float32, which widens the margin of a rounding boundary to 1e-4 of a pixel.
"""

from __future__ import annotations

import librosa
import numpy as np
import torch
from torch.nn import functional

from snnergy.training.config.systems import SystemConfig
from snnergy.training.data.audio import Floats, moving_half
from snnergy.training.data.dataset import Pixels
from snnergy.training.data.media import RATE, Samples

FLOOR_DB = -80.0
HOP = 320  # samples, 20 ms

_WINDOW = 2048  # samples, Hann, 128 ms
_BANDS = 128
_HIGH_HZ = 8000.0
_SILENCE = 1e-10  # power below which nothing is there


def columns(seconds: float) -> int:
    """Columns of a spectrogram of this length."""
    return round(seconds * RATE) // HOP + 1


def relative_mel(waveform: Samples, window_s: float) -> Floats:
    """Mel spectrogram in dB below its maximum, from -80 to 0; all -80 for silence.

    Args:
        waveform: `(samples,)` at 16 kHz; cut at `window_s`, or followed by silence up to it.
        window_s: length of the spectrogram.

    Returns:
        `(128, columns)`, lowest band first, 20 ms a column.
    """
    sound = librosa.util.fix_length(waveform.astype(np.float64), size=round(window_s * RATE))
    power = librosa.feature.melspectrogram(
        y=sound, sr=RATE, n_fft=_WINDOW, hop_length=HOP, n_mels=_BANDS, fmin=0.0, fmax=_HIGH_HZ, power=2.0
    )
    mel = np.full(power.shape, FLOOR_DB, dtype=np.float32)
    if (peak := power.max()) < _SILENCE:
        return mel
    heard = power > peak * 10 ** (FLOOR_DB / 10)  # so that no logarithm is taken of silence
    mel[heard] = 10 * np.log10(power[heard] / peak)
    return mel


def shifted(mel: Floats, by: int) -> Floats:
    """Move a spectrogram `(bands, columns)` to later columns, or to earlier ones; silence follows it."""
    moved = np.full_like(mel, FLOOR_DB)
    width = mel.shape[1]
    moved[:, max(by, 0) : width + min(by, 0)] = mel[:, max(-by, 0) : width - max(by, 0)]
    return moved


def encode(mel: Floats, filled: int, model: SystemConfig) -> Pixels:
    """Image of each time step, `(T, 1, S, S)`, rows are mel bands, lowest first.

    `repeat`: the whole spectrogram at every step. `windowed`: half of its first `filled` columns, those of the video,
    at twice the resolution, moving from their start at the first step to their end at the last.
    """
    steps, side = model.time_steps, model.image_size
    if model.audio_encoding == "repeat":
        return np.broadcast_to(_to_pixels(mel, side, side), (steps, 1, side, side)).copy()
    return moving_half(_to_pixels(mel[:, :filled], side, 2 * side), steps)


def _to_pixels(mel: Floats, height: int, width: int) -> Pixels:
    """Resize, bilinear with antialiasing, and map dB to pixels."""
    image = torch.from_numpy(255 * (1 - mel.astype(np.float64) / FLOOR_DB))[None, None]
    image = functional.interpolate(image, size=(height, width), mode="bilinear", antialias=True)
    return image[0, 0].round().clamp(0, 255).to(torch.uint8).numpy()
