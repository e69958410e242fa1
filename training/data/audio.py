"""Waveform to image: noise, log-mel spectrogram, 8-bit pixels, and the encoding over time steps.

    pixel = 255 * (10 log10(band power) - floor_db) / (ceiling_db - floor_db), rounded and clipped to 0..255

The map is fixed, the same for every sample, and digital silence is pixel 0: what reaches a chip is lossless.

Processors differ in the last bits of sums, transforms and logarithms. Those are taken in float64, where that moves
the value that is rounded by less than 1e-9 of a pixel: only there, next to a rounding boundary, can pixels depend on
the processor. Silence does not, because no logarithm is taken of it.
"""

from __future__ import annotations

from functools import lru_cache

import librosa
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import AudioConfig
from snnergy.training.config.systems import SystemConfig

_FRAME_S = 0.025  # length of the Hann window
_SILENCE, _SILENCE_DB = 1e-10, -100.0  # band power that stands for none

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


def add_white_noise(waveform: Floats, snr_db: float, rng: np.random.Generator) -> Floats:
    """Add Gaussian noise at `snr_db` against the mean square of the whole waveform; nothing is clipped."""
    deviation = np.sqrt(np.mean(waveform.astype(np.float64) ** 2) * 10 ** (-snr_db / 10))
    return waveform + deviation.astype(np.float32) * rng.standard_normal(waveform.shape, dtype=np.float32)


def refuse_unheard(config: AudioConfig, rate: int) -> None:
    """Raise `UserError` where mel bands lie above what `rate` samples a second hold: they would be empty."""
    if config.mel_high_hz > rate / 2:
        raise UserError(
            f"data.audio.mel_high_hz = {config.mel_high_hz:g}: above {rate / 2:g} Hz, half the sampling rate; lower it"
        )


@lru_cache(maxsize=8)
def _filters(rate: int, size: int, bands: int, low_hz: float, high_hz: float) -> Doubles:
    """Mel filters `(bands, size // 2 + 1)`, triangles of height 1 (so a band's power grows with its width)."""
    return librosa.filters.mel(
        sr=rate, n_fft=size, n_mels=bands, fmin=low_hz, fmax=high_hz, norm=None, dtype=np.float64
    )


def log_mel(waveform: Floats, rate: int, config: AudioConfig, bands: int, columns: int) -> Doubles:
    """Power of mel bands around the centre of a waveform, in dB.

    Args:
        waveform: `(samples,)`; silence is assumed beyond its ends.
        rate: samples a second.
        config: window and band edges.
        bands: rows, lowest frequency first.
        columns: Hann-windowed frames of 25 ms, evenly spaced over `config.window_s`.

    Returns:
        `(bands, columns)`; -100 exactly where there is no power at all.
    """
    length = round(_FRAME_S * rate)
    size = 1 << (length - 1).bit_length()
    window = np.hanning(length + 1)[:-1]
    span = config.window_s * rate
    starts = np.round((len(waveform) - span) / 2 + span * (np.arange(columns) + 0.5) / columns - length / 2).astype(int)
    before, after = max(0, -starts[0]), max(0, starts[-1] + length - len(waveform))
    frames = np.pad(waveform.astype(np.float64), (before, after))[(starts + before)[:, None] + np.arange(length)]
    power = np.abs(np.fft.rfft(frames * window, n=size)) ** 2 / np.sum(window**2)
    mel = _filters(rate, size, bands, config.mel_low_hz, config.mel_high_hz) @ power.T
    return np.where(mel > 0, 10 * np.log10(mel + _SILENCE), _SILENCE_DB)


def to_pixels(power_db: Doubles, config: AudioConfig) -> Pixels:
    """The fixed map of dB to pixels, any shape."""
    scaled = 255 * (power_db - config.floor_db) / (config.ceiling_db - config.floor_db)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def encode(waveform: Floats, rate: int, config: AudioConfig, model: SystemConfig) -> Pixels:
    """Image of each time step, `(T, 1, S, S)`, rows are mel bands.

    `repeat`: the whole window at every step. `windowed`: half of it at twice the resolution, moving from its start
    at the first step to its end at the last.
    """
    steps, side = model.time_steps, model.image_size
    if model.audio_encoding == "repeat":
        image = to_pixels(log_mel(waveform, rate, config, side, side), config)
        return np.broadcast_to(image, (steps, 1, side, side)).copy()
    image = to_pixels(log_mel(waveform, rate, config, side, 2 * side), config)
    return moving_half(image, steps)


def moving_half(image: Pixels, steps: int) -> Pixels:
    """Windows `(T, 1, S, S)` on an image `(S, 2S)`, from its start at the first step to its end at the last."""
    side = len(image)
    starts = np.rint(np.linspace(0, side, steps)).astype(int)
    return np.stack([image[None, :, start : start + side] for start in starts])
