"""Which clip is heard with each clip that is seen, and the label of the two: one draw for a split and an epoch.

recognition     the clip itself               label = its digit
correspondence  a clip of the same digit, or  label = 1 if the digits are the same, else 0
                of another one, half each
binding         a clip of any digit           label = (digit seen + digit heard) mod 10

In the latter two the sound of every clip is heard once. Either stream alone is at chance, because a digit is seen, and
heard, as often under one label as under any other: as near as counts that do not divide let it be.
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
    """heard: clip whose sound goes with each clip's picture, `(N,)`. labels: of the samples, `(N,)`."""

    heard: Rows
    labels: Rows


def draw_pairs(task: Task, classes: Rows, rng: np.random.Generator) -> Pairs:
    """The samples of a split.

    Args:
        task: what is asked of a sample.
        classes: of the split's clips, `(N,)`; digits in all tasks but recognition.
        rng: decides who is paired; recognition draws nothing.

    Raises:
        UserError: there is a single digit, so that none can be paired with another.
    """
    if task == "recognition":
        return Pairs(np.arange(len(classes)), classes)
    if task == "binding":
        heard = _every_digit(classes, rng)
        return Pairs(heard, (classes + classes[heard]) % _DIGITS)
    if len(np.unique(classes)) < 2:
        raise UserError(
            f"data.task = 'correspondence': all {len(classes)} clips of the split are of digit {classes[0]}, so that "
            "no sound is of another; fetch a data set of more digits, or set data.task to recognition"
        )
    order = _by_digit(classes, rng)  # taking every second of it halves each digit
    heard = np.empty_like(classes)
    _same_digit(heard, order[1::2], classes, rng)
    _another_digit(heard, order[::2], classes, rng)
    return Pairs(heard, (classes == classes[heard]).astype(np.int64))


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


def _same_digit(heard: Rows, rows: Rows, classes: Rows, rng: np.random.Generator) -> None:
    """Let each of `rows` hear another clip of its digit; its own where the split has no other."""
    for digit in np.unique(classes[rows]):
        alike = rows[classes[rows] == digit]  # in random order, so that it is a random ring
        heard[alike] = np.roll(alike, 1)
        others = np.setdiff1d(np.flatnonzero(classes == digit), alike)
        if len(alike) == 1 and len(others):
            heard[alike] = rng.choice(others)


def _another_digit(heard: Rows, rows: Rows, classes: Rows, rng: np.random.Generator) -> None:
    """Let each of `rows` hear the sound of another digit: a permutation of them, in which those that agree trade."""
    heard[rows] = rng.permutation(rows)
    for row in rows:
        digit = classes[row]
        if classes[heard[row]] != digit:
            continue
        partners = rows[(classes[rows] != digit) & (classes[heard[rows]] != digit)]
        if len(partners):
            partner = rng.choice(partners)
            heard[[row, partner]] = heard[[partner, row]]
        else:  # more than half of the rows are of this digit
            heard[row] = rng.choice(np.flatnonzero(classes != digit))
