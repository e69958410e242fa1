"""GRID as it was recorded: 3 s sentences of speaker s1, from which the spoken digit is cut.

A folder of CLIP.mpg (360×288, 25 fps, MPEG-1, sound 44.1 kHz) and CLIP.align, with lines `start end word` in units of
1/25000 s. The clip's name says its six words; the fifth letter is the digit, z for zero. `index.csv`, where it is
there, says by its columns clip and split which part a clip belongs to; otherwise parts are 70/10/20 % of each digit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS, Split
from snnergy.training.data.cache import Arrays, Cache, Files
from snnergy.training.data.dataset import Excluded
from snnergy.training.data.media import RATE, Unusable, read_luma, read_sound
from snnergy.training.data.splits import split_by_class
from snnergy.training.data.text_files import read_table

_NAME = re.compile(r"[bpls][bgrw][abiw][a-z][z1-9][anps]")
_DIGIT_LETTER = _DIGIT_WORD = 4  # of the six, silences left out
_FRAMES = 8  # over the word
_ROWS, _COLUMNS = slice(165, 261), slice(107, 203)  # the mouth; one box for all clips of this speaker
_UNITS_A_FRAME = 1000
_SAMPLES_A_UNIT = RATE / 25000
_WINDOW_S = 0.8
_WINDOW = round(_WINDOW_S * RATE)  # samples around the middle of the word
_SPLIT_SEED = 20261121
_VAL_SHARE, _TEST_SHARE = 0.1, 0.2


@dataclass(frozen=True)
class GridDecoder:
    """Decodes a recording and its alignment; its rules are constants of this module."""

    def __call__(self, files: Files) -> Arrays:
        """Cut the digit out of a recording, by its alignment.

        Returns:
            video: gray mouth, uint8 `(8, 96, 96)`, evenly chosen over the word.
            audio: int16 `(12800,)` at 16 kHz around the middle of the word.
            word_span: first and one-past-last sample of the word, `(2,)`.

        Raises:
            Unusable: a file is missing or corrupt, the word is silent or longer than the window, or the recording ends
                before it.
        """
        recording, alignment = files
        start, end = _digit_units(alignment)
        first = round((start + end) / 2 * _SAMPLES_A_UNIT) - _WINDOW // 2
        span = np.rint(np.array([start, end]) * _SAMPLES_A_UNIT).astype(int)
        if span[0] < first or span[1] > first + _WINDOW:
            lasts_s = (span[1] - span[0]) / RATE
            raise Unusable(
                alignment, f"longer than the window (the digit lasts {lasts_s:.3f} s, at most {_WINDOW_S} s fit)"
            )
        waveform, luma = read_sound(recording), read_luma(recording)
        frames = np.rint(np.linspace(start / _UNITS_A_FRAME, end / _UNITS_A_FRAME, _FRAMES)).astype(int)
        # Some recordings are one frame short, which the last one stands in for.
        if frames[-1] > len(luma) or span[1] > len(waveform):
            raise Unusable(recording, "too short: ends before the digit does")
        if luma.shape[1] < _ROWS.stop or luma.shape[2] < _COLUMNS.stop:
            raise Unusable(recording, f"is {luma.shape[2]}×{luma.shape[1]}, not GRID's 360×288")
        around = np.pad(waveform, _WINDOW)[first + _WINDOW :][:_WINDOW]
        audio = np.rint(32767 * around).astype(np.int16)
        span -= first
        if not audio[span[0] : span[1]].any():
            raise Unusable(recording, "silent")
        mouth = luma[np.minimum(frames, len(luma) - 1), _ROWS, _COLUMNS]
        return {"video": mouth, "audio": audio, "word_span": span}


def _digit_units(alignment: Path) -> tuple[int, int]:
    """Start and end of the digit in units of the alignment."""
    try:
        lines = [line.split() for line in alignment.read_text().splitlines() if line.strip()]
        words = [(int(start), int(end)) for start, end, word in lines if word not in ("sil", "sp")]
    except (OSError, ValueError):
        raise Unusable(alignment, "is no alignment of lines `start end word`") from None
    if len(words) != 6 or words[_DIGIT_WORD][0] >= words[_DIGIT_WORD][1]:
        raise Unusable(alignment, "does not hold the six words of a GRID sentence")
    return words[_DIGIT_WORD]


def read(root: Path, split: Split, cache: Path) -> tuple[Arrays, tuple[Excluded, ...]]:
    """The recordings of one split, in the order of their names.

    Args:
        root: folder of the recordings.
        split: `train`, `val` or `test`.
        cache: folder of what was decoded before.

    Returns:
        video uint8 `(N, 8, 96, 96)`, audio int16 `(N, 12800)`, label `(N,)`, word_span `(N, 2)`; what is excluded.
    """
    parts, excluded = _parts(root)
    names = [name for name, part in parts.items() if part == split]
    files = [(root / f"{name}.mpg", root / f"{name}.align") for name in names]
    store = Cache(cache / "grid", GridDecoder())
    outcomes = store.fill(files)
    kept = [(i, entry) for i, entry in enumerate(outcomes) if isinstance(entry, Path)]
    excluded += [outcome for outcome in outcomes if isinstance(outcome, Excluded)]
    if not kept:
        reasons = ", ".join(f"{path} ({reason})" for path, reason in excluded[:3]) or "no clip belongs to it"
        raise UserError(f"{root}: grid {split} has no usable clip: {reasons}; fetch the recordings again")
    clips = [store.load(entry, files[i]) for i, entry in kept]
    fields = {name: np.stack([clip[name] for clip in clips]) for name in ("video", "audio", "word_span")}
    return fields | {"label": np.array([_digit(names[i]) for i, _ in kept])}, tuple(excluded)


def _digit(name: str) -> int:
    return int(name[_DIGIT_LETTER].replace("z", "0"))


def _parts(root: Path) -> tuple[dict[str, Split], list[Excluded]]:
    """The part of each clip, sorted by name, and the clips that belong to none."""
    found = {path.stem for ending in ("mpg", "align") for path in root.glob(f"*.{ending}")}
    index = _read_index(root / "index.csv")
    every = sorted(found | index.keys())
    names = [name for name in every if _NAME.fullmatch(name)]
    excluded = [Excluded(root / f"{name}.mpg", "name is not one of GRID") for name in every if name not in names]
    if index:
        excluded += [Excluded(root / f"{name}.mpg", "not in index.csv") for name in names if name not in index]
        return {name: index[name] for name in names if name in index}, excluded
    parts = split_by_class([_digit(name) for name in names], _VAL_SHARE, _TEST_SHARE, _SPLIT_SEED)
    return {name: SPLITS[part] for name, part in zip(names, parts, strict=True)}, excluded


def _read_index(path: Path) -> dict[str, Split]:
    """Part of each clip; nothing where there is no index."""
    if not path.is_file():
        return {}
    rows = [row for _, row in read_table(path, "fetch it again")]
    wrong = [row for row in rows if row.get("split") not in SPLITS or not row.get("clip")]
    if wrong or not rows:
        raise UserError(f"{path}: needs the columns clip and split, which is one of {', '.join(SPLITS)}")
    return {row["clip"]: SPLITS[SPLITS.index(row["split"])] for row in rows}
