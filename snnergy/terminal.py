"""Where a command's words, progress and result go: people read the terminal, machines read one JSON object.

With `--json` standard output carries that object and nothing else; whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


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
        self._text = Console(highlight=False, soft_wrap=True)
        self._progress = Console(stderr=True)

    def use_json(self) -> AbstractContextManager[Any]:
        """Switch to JSON; until the returned context closes, `print` writes to standard error."""
        self.as_json = True
        return redirect_stdout(sys.stderr)

    @property
    def shows_progress(self) -> bool:
        """Whether a person watches: progress bars are for them alone."""
        return self._progress.is_terminal and not self.as_json

    def say(self, text: str) -> None:
        """Print a line for people."""
        if not self.as_json:
            self._text.print(text, markup=False)

    def show(self, draw: Callable[[Console], None]) -> None:
        """Let a function print to the terminal, for people."""
        if not self.as_json:
            draw(self._text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table for people; every column but the first is aligned right."""
        if self.as_json:
            return
        table = Table(title=title, title_justify="left", title_style="bold")
        for i, column in enumerate(columns):
            table.add_column(column, justify="left" if i == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self._text.print(table, soft_wrap=False)

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show that `title` is being done; yields a function that is told how many of `total` were finished."""
        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        columns += [] if total is None else [BarColumn(), MofNCompleteColumn()]
        bar = Progress(
            *columns, TimeElapsedColumn(), console=self._progress, transient=True, disable=not self.shows_progress
        )
        with bar:
            task = bar.add_task(title, total=total)
            yield lambda finished: bar.advance(task, finished)

    def result(self, fields: Mapping[str, Any]) -> None:
        """Print the JSON object, if that was asked for; paths become strings."""
        if self.as_json:
            print(json.dumps(dict(fields), default=str), file=self._result_stream)
