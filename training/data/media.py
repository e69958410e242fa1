"""Media files to arrays: the sound of a clip, and frames of its picture at even moments.

A file that cannot be used raises `Unusable`, which says why: one bad file must not end a run over thousands.
FFmpeg decodes lossy codecs and scales frames with what instructions the processor has: between processors, decoded
pixels may differ by a level or two, and samples by the last of 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import gcd
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from scipy.signal import resample_poly

from snnergy.artefacts.errors import UserError
from snnergy.training.data.dataset import Pixels

RATE = 16000  # samples a second, of all sound

_LFS_POINTER = b"version https://git-lfs"
_DAMAGED_SHARE = 0.1  # of a stream's packets

Samples = npt.NDArray[np.float64]
_Frame = TypeVar("_Frame", AudioFrame, VideoFrame)


class Unusable(UserError):
    """A media file that cannot be used, and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """The container in a file; what FFmpeg cannot read becomes `Unusable`."""
    try:
        with path.open("rb") as file:
            if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise Unusable(path, "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")
    except FileNotFoundError:
        raise Unusable(path, "missing") from None
    except OSError as error:
        raise Unusable(path, f"cannot be read ({error.strerror})") from None
    try:
        # Absolute, because FFmpeg would take a relative name such as `a:b.mp4` for an address.
        with av.open(str(path.resolve())) as container:
            yield container
    except av.error.FFmpegError as error:
        raise Unusable(path, f"corrupt ({error.strerror})") from None


def _decoded(path: Path, container: InputContainer, stream: Stream, kind: type[_Frame]) -> Iterator[_Frame]:
    """The frames of a stream. Single damaged packets are left out, as players do; many make the file unusable."""
    packets = damaged = 0
    for packet in container.demux(stream):
        packets += 1
        try:
            yield from (frame for frame in packet.decode() if isinstance(frame, kind))
        except av.error.InvalidDataError:
            damaged += 1
    if damaged > _DAMAGED_SHARE * packets:
        raise Unusable(path, f"corrupt ({damaged} of {packets} {stream.type} packets)")


def read_sound(path: Path) -> Samples:
    """The sound of a file, `(samples,)` in [-1, 1]: mean of the channels, polyphase resampling to 16 kHz.

    Raises:
        Unusable: there is no file, or no sound in it.
    """
    with _opened(path) as container:
        if not container.streams.audio:
            raise Unusable(path, "has no sound")
        frames = list(_decoded(path, container, container.streams.audio[0], AudioFrame))
    if not frames:
        raise Unusable(path, "no sound decodes")
    rate = frames[0].sample_rate
    divisor = gcd(RATE, rate)
    return resample_poly(np.concatenate([_mono(frame) for frame in frames]), RATE // divisor, rate // divisor)


def _mono(frame: AudioFrame) -> Samples:
    """Mean of the channels, `(samples,)` in [-1, 1]."""
    values = frame.to_ndarray()
    channels = values.reshape(-1, frame.layout.nb_channels).T if frame.format.is_packed else values
    mean = channels.mean(axis=0, dtype=np.float64)
    if np.issubdtype(values.dtype, np.integer):
        limits: np.iinfo[Any] = np.iinfo(values.dtype)
        middle = (int(limits.max) + int(limits.min) + 1) // 2
        mean = (mean - middle) / (limits.max + 1 - middle)
    return mean


def read_frames(path: Path, count: int, side: int, limit_s: float) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """The frames shown at the middles of `count` equal stretches of a video, whole and resized.

    A still image is a video of one frame. Where decoding yields less than the file promises, the last frame stays.

    Args:
        path: of a video or an image.
        count: number of stretches.
        side: of the frames returned, in pixels; bilinear with antialiasing, the aspect ratio is not kept.
        limit_s: the stretches divide this much of the video at most.

    Returns:
        The distinct frames, RGB `(N, 3, side, side)`, and the frame of each stretch, `(count,)`, never descending.

    Raises:
        Unusable: there is no file, or no frame in it decodes.
    """
    moments = (np.arange(count) + 0.5) / count * min(_duration_s(path), limit_s)
    shown: list[VideoFrame] = []
    with _opened(path) as container:
        last, start_s = None, 0.0
        for frame in _decoded(path, container, container.streams.video[0], VideoFrame):
            if frame.time is None:
                continue
            if last is None:
                start_s = frame.time
            else:
                shown += [last] * (np.count_nonzero(moments < frame.time - start_s) - len(shown))
            if len(shown) == count:
                break
            last = frame
    if last is None:
        raise Unusable(path, "no frame decodes")
    shown += [last] * (count - len(shown))
    places = {frame: place for place, frame in enumerate(dict.fromkeys(shown))}
    images = [frame.reformat(side, side, "rgb24", interpolation="BILINEAR").to_ndarray() for frame in places]
    return np.stack(images, dtype=np.uint8).transpose(0, 3, 1, 2).copy(), np.array([places[frame] for frame in shown])


def _duration_s(path: Path) -> float:
    """From the first frame to the end of the last, by the packets: headers of Flash videos often do not say."""
    with _opened(path) as container:
        if not container.streams.video:
            raise Unusable(path, "has no picture")
        stream = container.streams.video[0]
        times = [packet.pts * packet.time_base for packet in container.demux(stream) if packet.pts is not None]
        if not times:
            raise Unusable(path, "no frame decodes")
        first_to_last = max(times) - min(times)
        return float(first_to_last + first_to_last / max(len(times) - 1, 1))


def read_luma(path: Path) -> Pixels:
    """Every frame of a video, gray `(N, H, W)`: luma, expanded from video range to 0..255.

    Raises:
        Unusable: there is no file, or no frame in it decodes.
    """
    with _opened(path) as container:
        if not container.streams.video:
            raise Unusable(path, "has no picture")
        frames = [
            frame.to_ndarray(format="gray")
            for frame in _decoded(path, container, container.streams.video[0], VideoFrame)
        ]
    if not frames:
        raise Unusable(path, "no frame decodes")
    return np.stack(frames)
