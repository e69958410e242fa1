"""The data section of an experiment: one class for each data set, told apart by `name`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from snnergy.training.config.types import (
    STRICT,
    Folder,
    NonNegative,
    NotNegative,
    PositiveFloat,
    Probability,
    Seed,
    refuse,
)

CACHE = Path("runs/cache")

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

Task = Literal["recognition", "correspondence", "binding"]


@dataclass(frozen=True, config=STRICT)
class AudioConfig:
    """How a waveform becomes an image of 8-bit pixels; see `snnergy.training.data.audio`.

    Attributes:
        snr_db: of the white noise that is added, against the mean square of the clip; beyond ±200 single precision
            ends.
        window_s: length of the clip that the image shows, around its centre.
        mel_low_hz, mel_high_hz: edges of the mel bands; the upper one is at most half the data set's sampling rate.
        floor_db, ceiling_db: band power that becomes pixel 0 and pixel 255; the map between is linear in dB. Power
            below -100 dB counts as silence, which is pixel 0.
    """

    snr_db: Annotated[float, Field(ge=-200, le=200)]
    window_s: Annotated[float, Field(ge=0.01, le=60)]
    mel_low_hz: NonNegative
    mel_high_hz: PositiveFloat
    floor_db: Annotated[float, Field(ge=-100, le=1000)]
    ceiling_db: Annotated[float, Field(ge=-100, le=1000)]

    def __post_init__(self) -> None:
        violations = []
        if self.mel_high_hz <= self.mel_low_hz:
            violations.append(f"mel_high_hz = {self.mel_high_hz}: must be above mel_low_hz = {self.mel_low_hz}")
        if self.ceiling_db <= self.floor_db:
            violations.append(f"ceiling_db = {self.ceiling_db}: must be above floor_db = {self.floor_db}")
        refuse(violations)


@dataclass(frozen=True, config=STRICT, kw_only=True)
class PairedDigitsConfig:
    """What the data sets of digits that are seen and heard have in common; see `snnergy.training.data.pairing`.

    Attributes:
        audio: of the digits' sound.
        task: `recognition` of the digit that is seen and heard; `correspondence`, whether the two are the same;
            `binding`, the sum of the two modulo ten, of which either alone says nothing.
    """

    CLASSES: ClassVar[int] = 10
    VIDEO_CHANNELS: ClassVar[int] = 1

    name: str
    audio: AudioConfig
    task: Task = "recognition"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class DigitsConfig(PairedDigitsConfig):
    """Handwritten digits that move, with the key's DTMF tones in noise; see `snnergy.training.data.digits`.

    Attributes:
        split_seed: of the split, and of the noise, motion and pairs of validation and test samples.
        drift_px: largest distance from the centre, in pixels of the image.
        contrast: pixel range of the digit, 0..1.
        noise: standard deviation of the pixel noise, where the digit's full range is 1.
        occlusion: share of the image's height and width that a blank square hides.
    """

    name: Literal["digits"]
    split_seed: Seed = 0
    drift_px: Annotated[float, Field(ge=0, le=1024)] = 4.0
    contrast: Annotated[float, Field(gt=0, le=1)] = 1.0
    noise: Annotated[float, Field(ge=0, le=100)] = 0.0
    occlusion: Probability = 0.0


@dataclass(frozen=True, config=STRICT, kw_only=True)
class GridConfig(PairedDigitsConfig):
    """Spoken digits of GRID speaker s1; see `snnergy.training.data.grid`.

    Attributes:
        root: folder that holds `grid_s1_digits.h5`, or the recordings that it is made from, relative to the working
            directory.
        cache: folder of what is decoded from recordings; `grid_s1_digits.h5` needs none.
        evaluation_seed: of the noise and pairs of validation and test samples.
        shift_px: augmentation, largest shift of the mouth, in pixels of the image; one shift a clip.
        flip: augmentation, probability of a mirrored mouth.
        brightness: augmentation, largest relative change of a clip's brightness and contrast.
        shift_s: augmentation, largest shift of the audio.
    """

    name: Literal["grid"]
    root: Folder = Path("../shared/data")
    cache: Folder = CACHE
    evaluation_seed: Seed = 0
    shift_px: NotNegative = 0
    flip: Probability = 0.0
    brightness: Probability = 0.0
    shift_s: Annotated[float, Field(ge=0, le=60)] = 0.0


@dataclass(frozen=True, config=STRICT, kw_only=True)
class MediaConfig:
    """What the data sets of sound and video files have in common; see `snnergy.training.data.clips`.

    `WINDOW_S` is the length of the spectrogram: longer sound is cut, shorter sound is followed by silence. Clips whose
    sound is shorter than `MIN_S` are excluded.

    Attributes:
        root: folder of the data set, relative to the working directory.
        cache: folder of what is decoded from it; about 1.5 MB a video at 128×128 and T = 6. It may be deleted.
        flip: augmentation, probability of a mirrored picture.
        shift_px: augmentation, largest shift of the picture, in pixels of the image.
        colour: augmentation, largest relative change of brightness, contrast and saturation.
        shift: augmentation, largest shift of the sound, as a share of `WINDOW_S`.
    """

    CLASSES: ClassVar[int]
    VIDEO_CHANNELS: ClassVar[int] = 3
    task: ClassVar[Task] = "recognition"
    WINDOW_S: ClassVar[float]
    MIN_S: ClassVar[float]

    name: str
    root: Folder
    cache: Folder = CACHE
    flip: Probability = 0.5
    shift_px: NotNegative = 8
    colour: Probability = 0.2
    shift: Probability = 0.1


@dataclass(frozen=True, config=STRICT, kw_only=True)
class CremaDConfig(MediaConfig):
    """Acted emotions, split by actor; see `snnergy.training.data.crema_d`.

    Attributes:
        split_seed: chooses the actors of validation and test.
    """

    CLASSES: ClassVar[int] = 6
    WINDOW_S: ClassVar[float] = 4.0
    MIN_S: ClassVar[float] = 0.25

    name: Literal["crema_d"]
    split_seed: Seed = 0


@dataclass(frozen=True, config=STRICT, kw_only=True)
class AveConfig(MediaConfig):
    """Audio-visual events; see `snnergy.training.data.ave`.

    Attributes:
        protocol: `official` keeps every line of the lists, `clean` drops the training lines whose video is also
            validated or tested on. Neither takes a video out of validation that is also tested on.
    """

    CLASSES: ClassVar[int] = 28
    WINDOW_S: ClassVar[float] = 10.0
    MIN_S: ClassVar[float] = 0.25

    name: Literal["ave"]
    protocol: Literal["official", "clean"] = "official"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class UrbanSound8kAvConfig(MediaConfig):
    """City sounds, each with one picture; see `snnergy.training.data.urbansound8k_av`.

    Attributes:
        protocol: `folds` keeps each recording in one part. `stratified`, 80/10/10 % of each class, is the published
            one and does not. `grouped` has the same shares, by recording.
        fold: tested; the next one validates. Of `folds` only.
        split_seed: of `stratified` and `grouped`.
    """

    CLASSES: ClassVar[int] = 10
    WINDOW_S: ClassVar[float] = 4.0
    MIN_S: ClassVar[float] = 0.02  # one hop of the spectrogram: short sounds are part of the data set

    name: Literal["urbansound8k_av"]
    protocol: Literal["folds", "stratified", "grouped"] = "folds"
    fold: Annotated[int, Field(ge=1, le=10)] = 1
    split_seed: Seed = 0


def class_count(data: DataConfig) -> int:
    """Classes of the data set's samples in its task."""
    return 2 if data.task == "correspondence" else data.CLASSES


def with_default_cache(data: DataConfig) -> DataConfig:
    """The section that a file which anyone can have made holds: nothing is written where it says."""
    return data if isinstance(data, DigitsConfig) else replace(data, cache=CACHE)


DataConfig = Annotated[
    DigitsConfig | GridConfig | CremaDConfig | AveConfig | UrbanSound8kAvConfig, Field(discriminator="name")
]
