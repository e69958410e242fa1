"""Whether a data set is there, and what to say where it is not: known without any of what reads it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import (
    AveConfig,
    CremaDConfig,
    DataConfig,
    DigitsConfig,
    GridConfig,
    Split,
    UrbanSound8kAvConfig,
)

GRID_FILE = "grid_s1_digits.h5"
GRID_LAYOUT = (
    "video (N, 8, 96, 96) uint8, audio (N, 12800) int16, label (N) integer, split (N) string, word_span (N, 2) integer"
)
AVE_LISTS: dict[Split, str] = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}
CREMA_D_SOUNDS, CREMA_D_PICTURES = "AudioWAV/*.wav", "VideoFlash/*.flv"
# Both namings of the folders are published.
URBANSOUND8K_SOUNDS, URBANSOUND8K_PICTURES = ("Dataset_v3_sound", "audio"), ("Dataset_v3_vision", "vision")
URBANSOUND8K_METADATA = Path("metadata", "UrbanSound8K.csv")
URBANSOUND8K_ENDINGS = (".wav",), (".jpg", ".jpeg", ".png", ".mp4")


class Published(NamedTuple):
    """What a data set's folder holds, where it comes from, and which folder `data.root` is to be."""

    layout: str
    source: str
    root: str


PUBLISHED = {
    "grid": Published(
        f"an HDF5 file {GRID_FILE} with {GRID_LAYOUT}, or the recordings *.mpg with their *.align",
        "https://doi.org/10.5281/zenodo.3625687 (GRID audio-visual corpus, speaker s1)",
        f"the folder that holds {GRID_FILE} or the recordings",
    ),
    "crema_d": Published(
        f"{CREMA_D_SOUNDS} and {CREMA_D_PICTURES}",
        "https://github.com/CheyneyComputerScience/CREMA-D (Git LFS)",
        "the folder that holds AudioWAV and VideoFlash",
    ),
    "ave": Published(
        f"AVE/<video id>.mp4 and {', '.join(AVE_LISTS.values())}",
        "https://github.com/YapengTian/AVE-ECCV18 (AVE_Dataset.zip)",
        "the folder AVE_Dataset of the archive",
    ),
    "urbansound8k_av": Published(
        f"Dataset_v3_sound/<class>/*.wav, Dataset_v3_vision/<class>/*.jpg and, for folds, {URBANSOUND8K_METADATA}",
        "https://www.kaggle.com/datasets/lingyueguo/urbansound8k-av and https://urbansounddataset.weebly.com",
        "the folder that holds them",
    ),
}


def refuse_missing(data: DataConfig) -> None:
    """Raise `UserError` where the data set is not there: what is expected, where it is published, what to set."""
    if isinstance(data, DigitsConfig) or _is_there(data):
        return
    layout, source, root = PUBLISHED[data.name]
    raise UserError(
        f"{data.root}: data set {data.name!r} is not there; expected {layout}, published at {source}. "
        f"Set data.root to {root}"
    )


def first_folder(root: Path, names: tuple[str, ...]) -> Path:
    """The first of the folders that is there, or else the first."""
    folders = [root / name for name in names]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _is_there(data: GridConfig | AveConfig | CremaDConfig | UrbanSound8kAvConfig) -> bool:
    if isinstance(data, GridConfig):
        return (data.root / GRID_FILE).is_file() or any(data.root.glob("*.mpg"))
    if isinstance(data, AveConfig):
        return (data.root / "AVE").is_dir() and all((data.root / name).is_file() for name in AVE_LISTS.values())
    if isinstance(data, CremaDConfig):
        return any(data.root.glob(CREMA_D_SOUNDS)) and any(data.root.glob(CREMA_D_PICTURES))
    folders = [first_folder(data.root, names) for names in (URBANSOUND8K_SOUNDS, URBANSOUND8K_PICTURES)]
    return all(
        any(path.suffix.lower() in endings for path in folder.rglob("*"))
        for folder, endings in zip(folders, URBANSOUND8K_ENDINGS, strict=True)
    )
