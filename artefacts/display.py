"""Results as people see them: text that is safe to print, a small HTML table, or a data frame with pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from snnergy.artefacts.extras import require

if TYPE_CHECKING:
    import pandas

Row = Mapping[str, object]
_ROWS_SHOWN = 12
_LINE = 2000  # characters of a line: a message with two paths in full, and no megabyte of a stranger's name
_CELL = 200


def printable(text: str, limit: int = _LINE) -> str:
    """Text as one line that no terminal, page or plot acts upon: what leaves the program goes through here.

    Control characters, line ends, marks that turn the direction of writing and halves of surrogate pairs stand as
    their escapes in Python. Of more than `limit` characters the middle is left out.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shortened(text, limit))
    return shortened(shown, limit)


def shortened(text: str, limit: int) -> str:
    """Text of at most `limit` characters, an ellipsis in place of its middle."""
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[len(text) - (limit - 1) // 2 :]}"


def listed(names: Sequence[str], limit: int = 8) -> str:
    """The first names with commas between them, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(shortened(name, _CELL) for name in names[:limit]) + more


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
    head = "".join(f"<th>{escape(printable(name))}</th>" for name in (shown[0] if shown else ()))
    body = "".join(f"<tr>{''.join(f'<td>{escape(_text(v))}</td>' for v in row.values())}</tr>" for row in shown)
    more = f"<p>and {len(rows) - len(shown)} more rows</p>" if len(rows) > len(shown) else ""
    return f"<table><caption>{escape(printable(title))}</caption><tr>{head}</tr>{body}</table>{more}"


def percent(share: float | None) -> str:
    """A share of 1 in percent, a dash for None."""
    return "–" if share is None else f"{share:.2%}"


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value), _CELL)
