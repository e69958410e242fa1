"""What the whole suite has in common: the conditions of every pass are checked, whichever test compiles."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

os.environ["SNNERGY_DEBUG"] = "1"

# What a shell starts in the background ignores SIGINT, and so would each program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _handlers_of_signals_are_given_back() -> Iterator[None]:
    """Programs of later tests inherit what a test leaves ignored, and then wait for ever to be interrupted."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    left = [number.name for number, handler in handlers.items() if signal.getsignal(number) is not handler]
    for number, handler in handlers.items():
        signal.signal(number, handler)
    assert left == []


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixth of the handwritten digits, where a network is trained and how well it learns does not matter."""
    from snnergy.training.data import digits

    whole = digits.load_digits()
    few = SimpleNamespace(target=whole.target[:300], images=whole.images[:300])
    monkeypatch.setattr(digits, "load_digits", lambda: few)
