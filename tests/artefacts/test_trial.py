"""What a library in C may do to a process is done to a child, and said."""

import ctypes
import os
import signal
import time

import pytest

from snnergy.artefacts import trial
from snnergy.artefacts.trial import survived

ENOUGH = 1 << 30


def never_ends() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda: None, ""),
        (lambda: 1 / 0, ""),  # the process itself may do that again
        (lambda: ctypes.string_at(0), "Segmentation fault"),
        (lambda: os.kill(os.getpid(), signal.SIGABRT), "Aborted"),
        (never_ends, "does not come to an end"),
    ],
)
def test_what_becomes_of_a_step(step, said, monkeypatch, capfd):
    monkeypatch.setattr(trial, "_CPU_S", 1)
    found = survived(step, ENOUGH)
    assert said in found and bool(said) == bool(found)
    assert capfd.readouterr() == ("", "")


def test_memory_is_held_to_a_limit():
    reader, writer = os.pipe()

    def fill() -> None:
        try:
            bytearray(1 << 30)
        except MemoryError:
            os.write(writer, b"refused")

    assert survived(fill, 64 << 20) == ""
    os.close(writer)
    assert os.read(reader, 10) == b"refused"
    os.close(reader)


def test_an_interruption_takes_the_child_along(monkeypatch):
    children = []

    def interrupted(child: int) -> int:
        children.append(child)
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "_waited", interrupted)
    with pytest.raises(KeyboardInterrupt):
        survived(lambda: time.sleep(60), ENOUGH)
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)
