"""Which clip is heard with each clip that is seen, and the label of the two: one draw for a split and an epoch.

recognition     the clip itself               label = its digit
correspondence  a clip of the same digit      label = 1
                and a clip of another one     label = 0
binding         a clip of any digit           label = (digit seen + digit heard) mod 10

Correspondence shows every clip twice, once with each label, and lets its sound be heard in the same way; so a picture,
or a sound, says nothing of its label. In binding a digit is seen, and heard, as often under one label as under any
other: as near as counts that do not divide let it be.
Correspondence after Arandjelović and Zisserman, "Look, listen and learn", ICCV 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import PairedDigitsConfig, Task

Rows = npt.NDArray[np.int64]

_DIGITS = PairedDigitsConfig.CLASSES


class Pairs(NamedTuple):
    """seen, heard: clips that the picture and the sound of each sample are of, `(samples,)`. labels: its own."""

    seen: Rows
    heard: Rows
    labels: Rows


def pair_count(task: Task, clips: int) -> int:
    """Samples of a split of so many clips."""
    return 2 * clips if task == "correspondence" else clips


def draw_pairs(task: Task, classes: Rows, rng: np.random.Generator) -> Pairs:
    """The samples of a split.

    Args:
        task: what is asked of a sample.
        classes: of the split's clips, `(N,)`; digits in all tasks but recognition.
        rng: decides who is paired; recognition draws nothing.

    Returns:
        `pair_count(task, N)` samples; of correspondence, those that correspond first.

    Raises:
        UserError: there is a single digit, so that none can be paired with another.
    """
    clips = np.arange(len(classes))
    if task == "recognition":
        return Pairs(clips, clips, classes)
    if task == "binding":
        heard = _every_digit(classes, rng)
        return Pairs(clips, heard, (classes + classes[heard]) % _DIGITS)
    if len(np.unique(classes)) < 2:
        raise UserError(
            f"data.task = 'correspondence': all {len(classes)} clips of the split are of digit {classes[0]}, so that "
            "no sound is of another; fetch a data set of more digits, or set data.task to recognition"
        )
    heard = np.concatenate([_same_digit(classes, rng), _another_digit(classes, rng)])
    return Pairs(np.tile(clips, 2), heard, np.repeat([1, 0], len(clips)))


def _by_digit(classes: Rows, rng: np.random.Generator) -> Rows:
    """Clips digit by digit, both the digits and the clips of one in random order, `(N,)`."""
    order = rng.permutation(len(classes))
    return order[np.argsort(rng.permutation(_DIGITS)[classes[order]], kind="stable")]


def _every_digit(classes: Rows, rng: np.random.Generator) -> Rows:
    """A permutation in which the clips of each digit hear all digits equally often, `(N,)`."""
    seen, sounds = _by_digit(classes, rng), _by_digit(classes, rng)
    heard = np.empty_like(classes)
    # Dealt to ten piles, each digit seen is in every pile alike; a pile is about as long as the sounds of one digit.
    piles = [rng.permutation(seen[first::_DIGITS]) for first in range(_DIGITS)]
    heard[np.concatenate(piles)] = sounds
    return heard


def _same_digit(classes: Rows, rng: np.random.Generator) -> Rows:
    """Another clip of its digit for each, `(N,)`: a random ring of each digit. A clip that is alone hears itself."""
    heard = np.empty_like(classes)
    for digit in np.unique(classes):
        alike = rng.permutation(np.flatnonzero(classes == digit))
        heard[alike] = np.roll(alike, 1)
    return heard


def _another_digit(classes: Rows, rng: np.random.Generator) -> Rows:
    """A clip of another digit for each, `(N,)`: a permutation, in which those that agree have traded."""
    heard = rng.permutation(len(classes))
    for clip, digit in enumerate(classes):
        if classes[heard[clip]] != digit:
            continue
        partners = np.flatnonzero((classes != digit) & (classes[heard] != digit))
        if len(partners):
            partner = rng.choice(partners)
            heard[[clip, partner]] = heard[[partner, clip]]
        else:  # more than half of the clips are of this digit
            heard[clip] = rng.choice(np.flatnonzero(classes != digit))
    return heard
