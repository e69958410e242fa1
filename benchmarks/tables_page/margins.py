"""How far two sets of seeds are apart, in deviations, and what that says of a claim.

The deviation of a difference is that of one run of each: √(s₁² + s₂²), s the sample deviations over the seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import hypot, inf
from typing import Literal

from benchmarks.tables_page.cells import ABSENT, Figure, Row, percent
from snnergy.training.loop.seeds import spread

Verdict = Literal["yes", "no", "undecided"]

# That a difference must be wide for a claim to be decided by it.
DEVIATIONS = 2


@dataclass(frozen=True)
class Margin:
    """A difference of means in points, and its deviation, None where either side has one seed."""

    points: float
    deviation: float | None

    @property
    def deviations(self) -> float:
        """The difference in deviations; 0 where that is not known."""
        if self.deviation is None or self.points == 0:
            return 0.0
        return self.points / self.deviation if self.deviation else inf if self.points > 0 else -inf

    def __str__(self) -> str:
        text = f"{self.points:+.1f} points"
        return text if self.deviation is None else f"{text} ({self.deviations:+.1f} deviations)"


def margin(of: Sequence[Row], over: Sequence[Row], figure: Figure = percent) -> Margin | None:
    """Of the first over the second; None where either has no row."""
    if not of or not over:
        return None
    a, b = (spread(figure(row) for row in rows) for rows in (of, over))
    known = min(len(of), len(over)) > 1
    return Margin(a.mean - b.mean, hypot(a.deviation, b.deviation) if known else None)


def written(found: Margin | None) -> str:
    """Points and deviations, or a dash."""
    return ABSENT if found is None else str(found)


def verdict(margins: Iterable[Margin | None]) -> Verdict:
    """Of the claim that all of them are above 0: `no` as soon as one is below by enough, `yes` if all are above."""
    found = [0.0 if each is None else each.deviations for each in margins]
    if any(each < -DEVIATIONS for each in found):
        return "no"
    return "yes" if found and all(each > DEVIATIONS for each in found) else "undecided"
