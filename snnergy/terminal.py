"""Where a command's words, progress and result go: people read the terminal, machines read one JSON object.

With `--json` standard output carries that object and nothing else; whatever a library prints goes to standard error.
rich is imported when something is drawn with it, so that help and errors come at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from snnergy.progress_lines import ProgressLines, followed

if TYPE_CHECKING:
    from rich.console import Console


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

        return Console(highlight=False, soft_wrap=True)

    @cached_property
    def _progress(self) -> Console:
        from rich.console import Console

        return Console(stderr=True)

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
        print(line, file=sys.stderr, flush=True)

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
        from rich.table import Table

        table = Table(title=title, title_justify="left", title_style="bold")
        for i, column in enumerate(columns):
            table.add_column(column, justify="left" if i == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self._text.print(table, soft_wrap=False)

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show that `title` is being done; yields a function that is told how many of `total` were finished.

        A person sees a bar; a log gets a line every half minute; beside a JSON object there is nothing.
        """
        if self.shows_progress:
            with self._bar(title, total) as advance:
                yield advance
        elif self.as_json:
            yield lambda finished: None
        else:
            lines = ProgressLines(title, total, self._note)
            with followed(lines):
                yield lines.advance

    @contextmanager
    def _bar(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        columns += [] if total is None else [BarColumn(), MofNCompleteColumn()]
        with Progress(*columns, TimeElapsedColumn(), console=self._progress, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda finished: bar.advance(task, finished)

    def result(self, fields: Mapping[str, Any]) -> None:
        """Print the JSON object, if that was asked for; paths become strings."""
        if self.as_json:
            print(json.dumps(dict(fields), default=str), file=self._result_stream)
