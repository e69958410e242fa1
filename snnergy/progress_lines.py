"""Says in lines of text how far some work is, for where no progress bar can be shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_EVERY_S = 30.0


class Advance(Protocol):
    """Follows some work."""

    def __call__(self, finished: int, total: int | None = None) -> None:
        """Count parts that were finished since the last call; `total` where it is known by now."""
        ...


class Stop(Protocol):
    """The part of `threading.Event` that is needed here."""

    def wait(self, timeout: float) -> bool:
        """Sleep for `timeout` seconds; True as soon as the work has ended."""
        ...


class ProgressLines:
    """What is being done, how much of it is finished, and for how long it has been going on.

    Args:
        title: of the work.
        total: parts that it has; None where that is not known.
        write: is given each line.
        clock: gives seconds.
    """

    def __init__(
        self, title: str, total: int | None, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._title = title
        self._total = total
        self._write = write
        self._clock = clock
        self._begun = clock()
        self._finished = 0

    def advance(self, finished: int, total: int | None = None) -> None:
        """Count parts that were finished since the last call; `total` where it is known by now."""
        self._finished += finished
        self._total = self._total if total is None else total

    def follow(self, stop: Stop) -> None:
        """Write a line every half minute until the work has ended: nothing for work that is short."""
        while not stop.wait(LINE_EVERY_S):
            count = "" if self._total is None else f"{self._finished} of {self._total}, "
            self._write(f"{self._title}: {count}{self._clock() - self._begun:.0f} s")


@contextmanager
def followed(lines: ProgressLines) -> Iterator[None]:
    """Let `lines` be written from a thread of their own within the block."""
    stop = threading.Event()
    thread = threading.Thread(target=lines.follow, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
