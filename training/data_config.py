"""The data section of an experiment: one class for each data set, told apart by `name`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from training.config_types import STRICT, NonNegative, PositiveFloat, Probability, refuse


@dataclass(frozen=True, config=STRICT)
class AudioConfig:
    """How a waveform becomes an image of 8-bit pixels; see `training.data.audio`.

    Attributes:
        snr_db: of the white noise that is added, against the mean square of the clip.
        window_s: length of the clip that the image shows, around its centre.
        mel_low_hz, mel_high_hz: edges of the mel bands.
        floor_db, ceiling_db: band power that becomes pixel 0 and pixel 255; the map between is linear in dB.
    """

    snr_db: float
    window_s: PositiveFloat
    mel_low_hz: NonNegative
    mel_high_hz: PositiveFloat
    floor_db: float
    ceiling_db: float

    def __post_init__(self) -> None:
        violations = []
        if self.mel_high_hz <= self.mel_low_hz:
            violations.append(f"mel_high_hz = {self.mel_high_hz}: must be above mel_low_hz = {self.mel_low_hz}")
        if self.ceiling_db <= self.floor_db:
            violations.append(f"ceiling_db = {self.ceiling_db}: must be above floor_db = {self.floor_db}")
        refuse(violations)


@dataclass(frozen=True, config=STRICT)
class DigitsConfig:
    """Handwritten digits that move, with the key's DTMF tones in noise; see `training.data.digits`.

    Attributes:
        audio: of the tone pair.
        split_seed: of the split, and of the noise and motion of validation and test samples.
        drift_px: largest distance from the centre, in pixels of the image.
        contrast: pixel range of the digit, 0..1.
        noise: standard deviation of the pixel noise, where the digit's full range is 1.
        occlusion: share of the image's height and width that a blank square hides.
    """

    CLASSES: ClassVar[int] = 10
    VIDEO_CHANNELS: ClassVar[int] = 1

    name: Literal["digits"]
    audio: AudioConfig
    split_seed: int = 0
    drift_px: NonNegative = 4.0
    contrast: Annotated[float, Field(gt=0, le=1)] = 1.0
    noise: NonNegative = 0.0
    occlusion: Probability = 0.0


@dataclass(frozen=True, config=STRICT)
class GridConfig:
    """Spoken digits of GRID speaker s1; see `training.data.grid`.

    Attributes:
        audio: of the speech.
        root: folder that holds `grid_s1_digits.h5`, relative to the working directory.
        evaluation_seed: of the noise of validation and test samples.
        shift_px: augmentation, largest shift of the mouth, in pixels of the image; one shift a clip.
        flip: augmentation, probability of a mirrored mouth.
        brightness: augmentation, largest relative change of a clip's brightness and contrast.
        shift_s: augmentation, largest shift of the audio.
    """

    CLASSES: ClassVar[int] = 10
    VIDEO_CHANNELS: ClassVar[int] = 1

    name: Literal["grid"]
    audio: AudioConfig
    root: Path = Path("../shared/data")
    evaluation_seed: int = 0
    shift_px: Annotated[int, Field(ge=0)] = 0
    flip: Probability = 0.0
    brightness: Probability = 0.0
    shift_s: NonNegative = 0.0


DataConfig = Annotated[DigitsConfig | GridConfig, Field(discriminator="name")]
