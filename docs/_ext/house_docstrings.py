"""Makes reStructuredText of docstrings that are written to be read in the source.

A paragraph with an indented line or with columns (two spaces in a row) is a layout or an equation, and is shown as it
stands. In all others single backticks are code, and stars, bars and underscores are themselves.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from sphinx.application import Sphinx

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Example|Examples):$")
_CODE = re.compile(r"(`[^`]+`)(?=(\w)?)")
_BEFORE_NAPOLEON = 400


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _translate, priority=_BEFORE_NAPOLEON)
    return {"parallel_read_safe": True}


def _translate(_app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Replace `lines` in place, as autodoc asks."""
    translated: list[str] = []
    in_section = False
    for blank, group in groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if blank:
            translated += paragraph
            continue
        # What follows a section's heading is indented to belong to it.
        in_section = bool(_SECTION.match(paragraph[0])) or (in_section and paragraph[0].startswith(" "))
        if not in_section and any(_is_laid_out(line) for line in paragraph):
            translated += [".. code-block:: text", "", *(f"    {line}" for line in paragraph), ""]
        else:
            translated += [_escape(line) for line in paragraph]
    if what == "property":
        # Napoleon takes what stands before a colon for the property's type.
        translated[0] = translated[0].replace(": ", " – ", 1)
    lines[:] = translated


def _is_laid_out(line: str) -> bool:
    return line.startswith(" ") or "  " in line.strip()


def _escape(line: str) -> str:
    """The line with its markup characters made literal, but for code between backticks."""
    parts = _CODE.split(line)
    # Of three parts in turn: text, code, and the letter that follows the code, which also opens the next text.
    return "".join(
        _escape_text(text) + (f"{code}\\ " if letter else code)
        for text, code, letter in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], None], strict=True)
    )


def _escape_text(text: str) -> str:
    return re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", text)
