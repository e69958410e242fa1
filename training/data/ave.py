"""AVE: videos of 10 s with one of 28 audio-visual events; official lists.

Tian, Shi, Li, Duan, Xu, "Audio-visual event localization in unconstrained videos", ECCV 2018. The whole video is
used: the annotated start and end of the event are label information.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS, AveConfig, Split
from snnergy.training.data.clips import Clip, Listing
from snnergy.training.data.presence import AVE_LISTS, PUBLISHED
from snnergy.training.data.splits import refuse_empty, warn_shared
from snnergy.training.data.text_files import read_lines

CATEGORIES = (
    "Accordion", "Acoustic guitar", "Baby cry, infant cry", "Banjo", "Bark", "Bus", "Cat", "Chainsaw", "Church bell",
    "Clock", "Female speech, woman speaking", "Fixed-wing aircraft, airplane", "Flute", "Frying (food)", "Goat",
    "Helicopter", "Horse", "Male speech, man speaking", "Mandolin", "Motorcycle", "Race car, auto racing",
    "Rodents, rats, mice", "Shofar", "Toilet flush", "Train horn", "Truck", "Ukulele", "Violin, fiddle",
)  # fmt: skip

_SOURCE = PUBLISHED["ave"].source
_HEADER = "Category&VideoID"
_SHARED = {
    "official": "data.protocol = clean drops the training lines whose video is also validated or tested on",
    "clean": "no training line is of such a video, but validation, which chooses the epoch, sees videos of the test; "
    "take their lines out of valSet.txt to keep them apart",
}


class _Line(NamedTuple):
    """A line of a list, which is a sample: a video has a line for each of its categories."""

    video: str
    label: int


def list_clips(config: AveConfig, split: Split) -> Listing:
    """The lines of one list.

    Raises:
        UserError: a list is not one of AVE's.
    """
    lists = {part: _read(config.root / name) for part, name in AVE_LISTS.items()}
    if config.protocol == "clean":
        evaluated = {line.video for part in ("val", "test") for line in lists[part]}
        lists["train"] = [line for line in lists["train"] if line.video not in evaluated]
    refuse_empty("ave", [part for part in SPLITS if lists[part]])
    videos = {part: [line.video for line in lines] for part, lines in lists.items()}
    warn_shared(f"ave, {config.protocol}", videos, _SHARED[config.protocol])
    paths = [config.root / "AVE" / f"{line.video}.mp4" for line in lists[split]]
    return Listing(tuple(Clip(path, path, line.label) for path, line in zip(paths, lists[split], strict=True)))


def _read(path: Path) -> list[_Line]:
    """The lines `Category&VideoID&Quality&StartTime&EndTime` of a list, all that is wrong reported at once."""
    lines, violations = [], []
    for number, text in enumerate(read_lines(path, f"fetch it again from {_SOURCE}"), start=1):
        if not text.strip() or text.startswith(_HEADER):
            continue
        category, _, rest = text.partition("&")
        video = rest.partition("&")[0].strip()
        if category.strip() not in CATEGORIES or not video:
            violations.append(f"{path}:{number}: {text!r} is not Category&VideoID&... with one of AVE's 28 categories")
        else:
            lines.append(_Line(video, CATEGORIES.index(category.strip())))
    if violations:
        raise UserError(violations)
    return lines
