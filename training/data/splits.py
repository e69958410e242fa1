"""Splitting clips by class or by group, as a function of a seed alone; and telling what a split lets through."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS, Split


class SharedGroupsWarning(UserWarning):
    """Samples of one origin (a recording, a video) are in two parts of a split: accuracy is too good to be true."""


def sizes(count: int, val_share: float, test_share: float) -> tuple[int, int]:
    """Validation and test samples out of `count`: rounded, and at least one of each where there are three."""
    least = int(count >= len(SPLITS))
    return max(least, round(val_share * count)), max(least, round(test_share * count))


def split_by_class(labels: Sequence[int], val_share: float, test_share: float, seed: int) -> npt.NDArray[np.int64]:
    """Part of each sample, as an index to `SPLITS`, `(N,)`: the same shares of every class."""
    rng = np.random.default_rng(seed)
    parts = np.full(len(labels), SPLITS.index("train"))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(np.equal(labels, label)))
        val, test = sizes(len(rows), val_share, test_share)
        parts[rows[:test]] = SPLITS.index("test")
        parts[rows[test : test + val]] = SPLITS.index("val")
    return parts


def refuse_empty(name: str, parts: Iterable[Split]) -> None:
    """Raise `UserError` where one of the three parts has no clip."""
    empty = [split for split in SPLITS if split not in set(parts)]
    if empty:
        raise UserError(f"{name}: has no clip for {', '.join(empty)}; the data set is not complete, fetch it again")


def warn_shared(name: str, groups: Mapping[Split, Iterable[Hashable]], advice: str) -> None:
    """Warn of groups that are in two parts, with their number for each pair of parts."""
    members = {split: set(of_split) for split, of_split in groups.items()}
    shared = {pair: len(members[pair[0]] & members[pair[1]]) for pair in combinations(SPLITS, 2)}
    if any(shared.values()):
        counts = ", ".join(f"{count} in {' and '.join(pair)}" for pair, count in shared.items() if count)
        warnings.warn(f"{name}: parts share their origin: {counts}; {advice}", SharedGroupsWarning, stacklevel=2)
