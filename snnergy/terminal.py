"""Where a command's words, progress and result go: people read the terminal, machines read one JSON object.

With `--json` standard output carries that object and nothing else; whatever a library prints goes to standard error.
Text from files goes through `printable`, and never through rich's markup. rich is imported when something is drawn
with it, so that help and errors come at once.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from snnergy.artefacts.display import printable
from snnergy.progress_lines import Advance, ProgressLines, followed

if TYPE_CHECKING:
    from rich.console import Console

_CELL = 200  # characters


class Terminal:
    """One command's output.

    Attributes:
        debug: the user wants tracebacks.
        as_json: the user wants one JSON object instead of text.
    """

    def __init__(self) -> None:
        self.debug = False
        self.as_json = False
        self._result_stream = sys.stdout

    @cached_property
    def _text(self) -> Console:
        from rich.console import Console

        return Console(highlight=False, emoji=False, soft_wrap=True)

    @cached_property
    def _progress(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, emoji=False)

    def use_json(self) -> AbstractContextManager[Any]:
        """Switch to JSON; until the returned context closes, `print` writes to standard error."""
        self.as_json = True
        return redirect_stdout(sys.stderr)

    @property
    def shows_progress(self) -> bool:
        """Whether a person watches: progress bars are for them alone."""
        return self._progress.is_terminal and not self.as_json

    @property
    def follow(self) -> Literal["bar"] | Callable[[str], None] | None:
        """How training shows its progress: a bar for a person, lines for a log, nothing beside a JSON object."""
        if self.as_json:
            return None
        return "bar" if self.shows_progress else self._note

    def _note(self, line: str) -> None:
        """Write a line on the way to a result, at once even where standard error is a file."""
        print(printable(line), file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line for people."""
        if not self.as_json:
            self._text.print(printable(text), markup=False)

    def show(self, draw: Callable[[Console], None]) -> None:
        """Let a function print to the terminal, for people."""
        if not self.as_json:
            draw(self._text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table for people; every column but the first is aligned right, and what is in that stays whole."""
        if self.as_json:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(printable(title), "bold"), title_justify="left")
        for i, column in enumerate(columns):
            first = i == 0
            table.add_column(
                Text(printable(column)), justify="left" if first else "right", overflow="fold" if first else "ellipsis"
            )
        for row in rows:
            table.add_row(*(Text(printable(cell, _CELL)) for cell in row))
        self._text.print(table, soft_wrap=False)

    @contextmanager
    def progress(self, title: str, total: int | None = None, *, counted: bool = False) -> Iterator[Advance]:
        """Show that `title` is being done; yields a function that is told how many of `total` were finished.

        A person sees a bar; a log gets a line every half minute; beside a JSON object there is nothing.

        Args:
            counted: there will be a total.
        """
        if self.shows_progress:
            with self._bar(title, total, counted or total is not None) as advance:
                yield advance
        elif self.as_json:
            yield lambda finished, total=None: None
        else:
            lines = ProgressLines(title, total, self._note)
            with followed(lines):
                yield lines.advance

    @contextmanager
    def _bar(self, title: str, total: int | None, counted: bool) -> Iterator[Advance]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        columns += [BarColumn(), MofNCompleteColumn()] if counted else []
        with Progress(*columns, TimeElapsedColumn(), console=self._progress, transient=True) as bar:
            task = bar.add_task(printable(title, _CELL), total=total)
            yield lambda finished, total=None: bar.update(task, advance=finished, total=total)

    def result(self, fields: Mapping[str, Any]) -> None:
        """Print the JSON object, if that was asked for; paths become strings."""
        if self.as_json:
            print(json.dumps(dict(fields), default=str), file=self._result_stream)


def print_safely() -> None:
    """Let no text fail on a terminal that cannot show it, and no warning of this process act upon one."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a stream that somebody put there
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_PrintableRecord())
    warnings.formatwarning = _printable_warning


class _PrintableRecord(logging.Formatter):
    """A log record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _printable_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as one line; the line of source that raised it says nothing to who uses the program."""
    return printable(f"{filename}:{lineno}: {category.__name__}: {message}") + "\n"
