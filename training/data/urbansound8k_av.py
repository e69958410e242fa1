"""UrbanSound8K-AV: 8732 sounds of a city in ten classes, each with one still image.

Salamon, Jacoby, Bello, "A dataset and taxonomy for urban sound research", ACM Multimedia 2014; images by Guo et al.
2024. Slices of one recording are near copies. A split by class alone puts most recordings on both sides, so that
accuracy partly measures how well recordings are recognised; the data set's authors ask for its ten folds.
"""

from __future__ import annotations

import re
from pathlib import Path

from sklearn.model_selection import StratifiedGroupKFold

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS, Split, UrbanSound8kAvConfig
from snnergy.training.data import presence
from snnergy.training.data.clips import Clip, Listing
from snnergy.training.data.dataset import Excluded
from snnergy.training.data.splits import refuse_empty, split_by_class, warn_shared
from snnergy.training.data.text_files import read_table

CLASSES = (
    "air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling",
    "engine_idling", "gun_shot", "jackhammer", "siren", "street_music",
)  # fmt: skip
FOLDS = 10

_SOURCE = presence.PUBLISHED["urbansound8k_av"].source
_NAME = re.compile(r"\d+-\d-\d+-\d+")  # recording, class, occurrence, slice
_VAL_SHARE = _TEST_SHARE = 0.1


def list_clips(config: UrbanSound8kAvConfig, split: Split) -> Listing:
    """The clips of one split.

    Raises:
        UserError: the folds are not there or are wrong.
    """
    sound_folder = presence.first_folder(config.root, presence.URBANSOUND8K_SOUNDS)
    picture_folder = presence.first_folder(config.root, presence.URBANSOUND8K_PICTURES)
    sounds, pictures = map(_by_name, (sound_folder, picture_folder), presence.URBANSOUND8K_ENDINGS)
    folds = _read_folds(config.root / presence.URBANSOUND8K_METADATA, sounds)
    names = sorted(filter(_NAME.fullmatch, sounds.keys() | pictures.keys() | folds.keys()))
    clips = []
    for name, part in zip(names, _parts(names, folds, config), strict=True):
        if part == split:
            label = _label(name)
            # Where one of the two is missing, the path it would have says so.
            picture = pictures.get(name, picture_folder / CLASSES[label] / f"{name}.jpg")
            clips.append(Clip(picture, sounds.get(name, sound_folder / CLASSES[label] / f"{name}.wav"), label))
    strange = [path for path in (*sounds.values(), *pictures.values()) if not _NAME.fullmatch(path.stem)]
    return Listing(
        tuple(clips), tuple(Excluded(path, "name is not recording-class-occurrence-slice") for path in strange)
    )


def _parts(names: list[str], folds: dict[str, int], config: UrbanSound8kAvConfig) -> list[Split]:
    """The part of each clip; warns of recordings that are in two."""
    labels, recordings = [_label(name) for name in names], [_recording(name) for name in names]
    if config.protocol == "folds":
        parts = _by_fold(names, folds, config)
    elif config.protocol == "stratified":
        parts = [SPLITS[i] for i in split_by_class(labels, _VAL_SHARE, _TEST_SHARE, config.split_seed)]
    else:
        parts = _by_recording(labels, recordings, config.split_seed)
    refuse_empty(f"urbansound8k_av, {config.protocol}", parts)
    warn_shared(
        f"urbansound8k_av, {config.protocol}",
        {part: [r for r, p in zip(recordings, parts, strict=True) if p == part] for part in SPLITS},
        "accuracy is partly that of recognising recordings; show data.protocol = folds beside it",
    )
    return parts


def _by_fold(names: list[str], folds: dict[str, int], config: UrbanSound8kAvConfig) -> list[Split]:
    """One fold for test, the next for validation, the others for training."""
    without = [name for name in names if name not in folds]
    if without:
        raise UserError(
            f"{config.root}: {len(without)} clips have no fold, {without[0]} among them; copy UrbanSound8K's "
            f"{presence.URBANSOUND8K_METADATA} there, or set data.protocol to grouped"
        )
    part_of: dict[int, Split] = {config.fold: "test", config.fold % FOLDS + 1: "val"}
    return [part_of.get(folds[name], "train") for name in names]


def _by_recording(labels: list[int], recordings: list[str], seed: int) -> list[Split]:
    """A tenth of each class for test and for validation, as nearly as whole recordings allow."""
    parts: list[Split] = ["train"] * len(labels)
    tenths = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels, recordings)
    held_out: tuple[Split, ...] = ("test", "val")
    for part, (_, rows) in zip(held_out, tenths, strict=False):
        for row in rows:
            parts[row] = part
    return parts


def _label(name: str) -> int:
    return int(name.split("-")[1])


def _recording(name: str) -> str:
    """The Freesound recording that a clip is a slice of."""
    return name.split("-")[0]


def _by_name(folder: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """Files by the name of their clip, in whatever folders of classes or folds they lie."""
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in endings)
    return {path.stem: path for path in paths if not path.name.startswith(".")}


def _read_folds(metadata: Path, sounds: dict[str, Path]) -> dict[str, int]:
    """Fold of each clip, from UrbanSound8K's table or else from its folders fold1 to fold10."""
    if not metadata.is_file():
        folds = {f"fold{fold}": fold for fold in range(1, FOLDS + 1)}
        return {name: folds[path.parent.name] for name, path in sounds.items() if path.parent.name in folds}
    return _read_metadata(metadata)


def _read_metadata(path: Path) -> dict[str, int]:
    """Fold of each clip in UrbanSound8K's table, all that is wrong reported at once."""
    advice = f"fetch it again from {_SOURCE}"
    rows = read_table(path, advice)
    if rows and not {"slice_file_name", "fold"} <= rows[0][1].keys():
        raise UserError(f"{path}: lacks the columns slice_file_name and fold; {advice}")
    valid = {str(fold): fold for fold in range(1, FOLDS + 1)}
    violations = [
        f"{path}:{line}: fold = {row['fold']!r} of {row['slice_file_name']!r}: must be 1 to {FOLDS}; {advice}"
        for line, row in rows
        if row["fold"] not in valid
    ]
    if violations:
        raise UserError(violations)
    return {Path(row["slice_file_name"]).stem: valid[row["fold"]] for _, row in rows}
