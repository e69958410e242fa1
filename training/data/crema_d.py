"""CREMA-D: 91 actors say twelve sentences in six emotions; split by actor.

Cao, Cooper, Keutmann, Gur, Nenkova, Verma, "CREMA-D: Crowd-sourced emotional multimodal actors dataset", IEEE Trans.
Affective Computing 5 (2014). The label is the intended emotion, which the file's name holds. Sound is taken from the
WAV files, because 28 of the videos were long published without.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from snnergy.training.config.data import CremaDConfig, Split
from snnergy.training.data.clips import Clip, Listing
from snnergy.training.data.dataset import Excluded
from snnergy.training.data.presence import CREMA_D_PICTURES, CREMA_D_SOUNDS, PUBLISHED
from snnergy.training.data.splits import refuse_empty, sizes
from snnergy.training.data.text_files import read_table

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")

# VideoDemographics.csv of the data set; the other actors of 1001 to 1091 are male.
FEMALE = frozenset({
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028, 1029, 1030, 1037,
    1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063, 1072, 1073, 1074, 1075, 1076, 1078,
    1079, 1082, 1084, 1089, 1091,
})  # fmt: skip

_SOURCE = PUBLISHED["crema_d"].source
_SENTENCES = "IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI"
_NAME = re.compile(rf"(?P<actor>10\d\d)_(?:{_SENTENCES})_(?P<emotion>{'|'.join(EMOTIONS)})_(?:LO|MD|HI|XX)")
_VAL_SHARE = _TEST_SHARE = 0.1  # of the actors: 9 + 9 of 91

# The data set's own README: an error picture, and no sound in any format.
_KNOWN_BAD = {"1076_MTI_SAD_XX": "has neither picture nor sound, by the data set's own notes"}


def list_clips(config: CremaDConfig, split: Split) -> Listing:
    """The clips of one split's actors.

    Raises:
        UserError: the data set has fewer than three actors.
    """
    sounds, pictures = (_by_name(config.root, pattern) for pattern in (CREMA_D_SOUNDS, CREMA_D_PICTURES))
    names = sorted(sounds.keys() | pictures.keys() | _listed(config.root / "SentenceFilenames.csv"))
    parts = split_actors({int(match["actor"]) for match in map(_NAME.fullmatch, names) if match}, config.split_seed)
    clips, excluded = [], []
    for name in names:
        # Where one of the two is missing, the path it would have says so.
        picture = pictures.get(name, config.root / "VideoFlash" / f"{name}.flv")
        sound = sounds.get(name, config.root / "AudioWAV" / f"{name}.wav")
        match = _NAME.fullmatch(name)
        if match is None:
            excluded.append(Excluded(sound if name in sounds else picture, "name is not actor_sentence_emotion_level"))
        elif parts[int(match["actor"])] == split:
            if name in _KNOWN_BAD:
                excluded.append(Excluded(picture, _KNOWN_BAD[name]))
            else:
                clips.append(Clip(picture, sound, EMOTIONS.index(match["emotion"])))
    return Listing(tuple(clips), tuple(excluded))


def split_actors(actors: set[int], seed: int) -> dict[int, Split]:
    """The part of each actor: about 10 % each for validation and test, men and women in proportion.

    All 91 actors give 5 men and 4 women for each of the two, and 38 men and 35 women for training.
    """
    rng = np.random.default_rng(seed)
    women = rng.permutation(sorted(actors & FEMALE)).tolist()
    men = rng.permutation(sorted(actors - FEMALE)).tolist()
    parts: dict[int, Split] = {}
    val, test = sizes(len(actors), _VAL_SHARE, _TEST_SHARE)
    for part, count in (("test", test), ("val", val)):
        of_women = round(count * len(actors & FEMALE) / max(len(actors), 1))
        of_women = min(max(of_women, count - len(men)), len(women))
        for group, wanted in ((women, of_women), (men, count - of_women)):
            parts |= dict.fromkeys(group[:wanted], part)
            del group[:wanted]
    parts |= dict.fromkeys(women + men, "train")
    refuse_empty("crema_d", parts.values())
    return parts


def _by_name(root: Path, pattern: str) -> dict[str, Path]:
    """Files by the name of their clip; one published file writes its level as X."""
    paths = (path for path in sorted(root.glob(pattern)) if not path.name.startswith("."))
    return {re.sub("_X$", "_XX", path.stem): path for path in paths}


def _listed(path: Path) -> set[str]:
    """Clips that the data set's own list promises; none where the list is not there."""
    if not path.is_file():
        return set()
    rows = read_table(path, f"fetch it again from {_SOURCE}")
    return {re.sub("_X$", "_XX", row["Filename"]) for _, row in rows if row.get("Filename")}
