"""Results as a notebook shows them: a small HTML table, or a data frame where pandas is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from snnergy.artefacts.extras import require

if TYPE_CHECKING:
    import pandas

Row = Mapping[str, object]
_ROWS_SHOWN = 12


def data_frame(rows: Sequence[Row], index: str) -> pandas.DataFrame:
    """Rows as a data frame, indexed by one of their fields.

    Raises:
        UserError: pandas is not installed.
    """
    require("to_dataframe", "notebook", "pandas")
    import pandas

    return pandas.DataFrame([dict(row) for row in rows]).set_index(index)


def html(title: str, rows: Sequence[Row]) -> str:
    """A caption and the first rows, all of which have the same fields."""
    shown = rows[:_ROWS_SHOWN]
    head = "".join(f"<th>{escape(name)}</th>" for name in (shown[0] if shown else ()))
    body = "".join(f"<tr>{''.join(f'<td>{escape(_text(v))}</td>' for v in row.values())}</tr>" for row in shown)
    more = f"<p>and {len(rows) - len(shown)} more rows</p>" if len(rows) > len(shown) else ""
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{body}</table>{more}"


def percent(share: float | None) -> str:
    """A share of 1 in percent, a dash for None."""
    return "–" if share is None else f"{share:.2%}"


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
