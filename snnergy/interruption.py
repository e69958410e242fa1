"""SIGINT, SIGTERM and SIGHUP in a command: each raises KeyboardInterrupt, once, so that clean-up is not cut off."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REPEAT_S = 5.0  # signals that follow one so soon mean the same
_AGAIN_S = 0.01

_received: int | None = None
_raised = float("-inf")


def take() -> None:
    """Answer the signals of this process, but for those that it was started to ignore, as by nohup."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _raise_again
    os.register_at_fork(after_in_child=_give_back)


def received() -> int | None:
    """The first of the signals that has come."""
    return _received


def ignore() -> None:
    """Answer no longer what `take` has taken: the process is about to end by itself."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _: FrameType | None) -> None:
    global _received, _raised
    _received = _received or number
    if time.monotonic() - _raised > _REPEAT_S:
        _raised = time.monotonic()
        raise KeyboardInterrupt


def _raise_again(ignored: sys.UnraisableHookArgs) -> None:
    """What Python calls where no exception can go on, as in a destructor: this one must not be lost there."""
    global _raised
    if _received is None or not issubclass(ignored.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(ignored)
    else:
        _raised = float("-inf")
        main = threading.main_thread().ident
        threading.Timer(_AGAIN_S, signal.pthread_kill, (main, _received)).start()


def _give_back() -> None:
    """Forked workers end as Python's do: their parent takes SIGTERM to end them."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
