"""Small real media files: tones, videos that brighten with time, stills, and files that are broken in various ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np

RATE = 16000
FPS = 25
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def tone(seconds: float, hz: float = 440.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def brightening(seconds: float, side: int = 64, height: int | None = None) -> np.ndarray:
    """Frames `(N, H, W, 3)` whose gray grows from 20 to 220."""
    levels = np.linspace(20, 220, round(seconds * FPS)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (len(levels), height or side, side, 3)).copy()


def write_media(
    path: Path,
    *,
    sound: np.ndarray | None = None,
    frames: np.ndarray | None = None,
    codecs: tuple[str, str] = ("mpeg4", "aac"),
    pixels: str = "yuv420p",
    rate: int = RATE,
) -> Path:
    """Encode sound `(samples,)` or `(channels, samples)` and frames `(N, H, W, 3)` to a file, by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = audio = None
        if frames is not None:
            video = container.add_stream(codecs[0], rate=FPS)
            video.height, video.width, video.pix_fmt = *frames.shape[1:3], pixels
            video.bit_rate = 2_000_000
        if sound is not None:
            sound = np.atleast_2d(sound)
            layout = "mono" if len(sound) == 1 else "stereo"
            audio = container.add_stream(codecs[1], rate=rate, layout=layout)
        for frame in [] if video is None else frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        if video is not None:
            container.mux(video.encode())
        if audio is not None:
            samples = np.rint(32767 * sound).astype(np.int16)
            whole = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="s16", layout=layout)
            whole.sample_rate = rate
            resampler = av.AudioResampler(audio.format, layout, rate, audio.frame_size or None)
            for piece in resampler.resample(whole) + resampler.resample(None):
                container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path


def write_wav(path: Path, sound: np.ndarray, rate: int = RATE, codec: str = "pcm_s16le") -> Path:
    return write_media(path, sound=sound, rate=rate, codecs=("", codec))


def write_flv(path: Path, seconds: float = 0.6) -> Path:
    return write_media(path, frames=brightening(seconds), codecs=("flv", ""))


def write_mp4(path: Path, seconds: float = 0.6) -> Path:
    return write_media(path, frames=brightening(seconds), sound=tone(seconds))


def write_still(path: Path, level: int = 128) -> Path:
    return write_media(path, frames=np.full((1, 48, 64, 3), level, np.uint8), codecs=("mjpeg", ""), pixels="yuvj420p")


def write_junk(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    return path


def copy(source: Path, *targets: Path) -> None:
    """Give a file other names, in folders that are made where they are missing."""
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
