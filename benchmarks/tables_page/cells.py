"""How figures are written: means and deviations over seeds, shares, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from snnergy.training.loop.seeds import spread

Row = dict[str, Any]
Figure = Callable[[Row], float]

ABSENT = "–"


def percent(row: Row) -> float:
    """Accuracy on the test split."""
    return 100 * float(row["accuracy"])


def cell(rows: Sequence[Row], figure: Figure, digits: int) -> str:
    """Mean ± deviation over the seeds, and how many there are where it is not three."""
    if not rows:
        return ABSENT
    found = spread(figure(row) for row in rows)
    deviation = f" ± {found.deviation:.{digits}f}" if len(rows) > 1 else ""
    return f"{found.mean:.{digits}f}{deviation}{seeds(rows)}"


def seeds(rows: Sequence[Row]) -> str:
    """How many there are, in parentheses, where it is not three."""
    return "" if len(rows) == 3 else f" ({len(rows)} seed{'s' if len(rows) > 1 else ''})"


def listed(names: Iterable[str]) -> str:
    """Names in code type, or that there is none."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
