"""Holds an interruption back until it can be answered with nothing half done."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from snnergy.neuromorphic.lava.guard import SIGNALS


class HeldSignals:
    """Within the block, what SIGINT, SIGTERM and SIGHUP raise is raised by `check` and at the block's end only.

    However many come, and whenever, no line of the block is cut off. A signal whose handler raises nothing is none of
    ours; one that would have ended the process does so after the block. In another thread than the main one, where no
    handler of Python's runs, the block is as any other.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._handlers: dict[int, Any] = {}
        self._held: BaseException | None = None
        self._fatal: int | None = None
        self._over = False

    def __enter__(self) -> HeldSignals:
        """Take the place of the handlers that there are; a signal that is ignored stays so."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler is not None and handler is not signal.SIG_IGN:
                    self._handlers[number] = handler
                    signal.signal(number, self._hold)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Give the handlers back and raise what was held, before any other error."""
        self._over = True  # what arrives between these lines goes where it would without us
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._fatal is not None:
            signal.raise_signal(self._fatal)
        if self._held is not None and self._held is not error:
            raise self._held

    def check(self) -> None:
        """Raise what is held."""
        if self._held is not None:
            raise self._held

    def _hold(self, number: int, frame: FrameType | None) -> None:
        handler = self._handlers[number]
        if self._over:
            signal.signal(number, handler)
            signal.raise_signal(number)
        elif handler is signal.SIG_DFL:
            self._fatal = number
            self._held = self._held or KeyboardInterrupt()
        else:
            try:
                handler(number, frame)
            except BaseException as error:
                self._held = self._held or error
