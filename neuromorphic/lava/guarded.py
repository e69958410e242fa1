"""The parent's side of a Lava run's guard (`guard.py`)."""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from snnergy.artefacts.errors import BackendFailed, UserError
from snnergy.neuromorphic.lava import guard

_PATIENCE_S = 60.0  # for a guard that removes what a run has left


class Lost(BackendFailed):
    """A process of the run has died or stands still, from which another run may be spared."""


class Guarded:
    """A run's folder and processes: none of them is left when the block ends, or when this process does.

    Attributes:
        folder: where the run's files lie; temporary files and sockets of its processes as well.
        segments: first letters of the names of its shared memory.
        group: process group of the child, None before it is started.
    """

    def __init__(self) -> None:
        """Choose names that no other run has."""
        token = secrets.token_hex(3)
        self.folder = _temporary_folder() / f"{guard.PREFIX}{token}"
        self.segments = guard.segments_of(token)
        self.group: int | None = None

    def __enter__(self) -> Guarded:
        """Start the guard, which makes the folder."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(self.folder), self.segments, str(os.getpid())],
            bufsize=0,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(),
        )
        try:
            self._answer("ready")
        except BaseException:
            self._part()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Have everything removed, and do it here if the guard was killed."""
        self._part()

    def start(self, command: Sequence[str]) -> None:
        """Start the child, in the folder."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError:
            raise _guard_killed() from None
        self.group = int(self._answer("started"))

    def ended(self, timeout_s: float) -> int | None:
        """The child's exit code, waiting up to `timeout_s` for it to end; None if it still runs."""
        waiting = select.poll()  # which unlike select knows no largest descriptor
        waiting.register(self._answers)
        return int(self._answer("ended")) if waiting.poll(timeout_s * 1000) else None

    @property
    def _answers(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _answer(self, expected: str) -> str:
        """What the guard says next, which begins with `expected`."""
        line = b""
        while not line.endswith(b"\n"):
            if not (read := os.read(self._answers, 1)):
                raise _guard_killed()
            line += read
        word, _, rest = line.decode().strip().partition(" ")
        if word == "cannot":
            raise UserError(f"{rest}, where Lava's files go while it runs; set TMPDIR to a folder that takes them")
        if word == "failed":
            raise BackendFailed(f"no process of Lava's could be started: {rest}")
        assert word == expected, line
        return rest

    def _part(self) -> None:
        """Close the pipe that the guard listens at, and wait for it."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            code = process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        process.stdout.close()
        if code != 0:
            if self.group is not None:
                guard.end_group(self.group)
            guard.remove(self.folder, self.segments)


def _guard_killed() -> Lost:
    return Lost("the process that watches over the Lava simulation was killed; run it again")


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise UserError(
            "no temporary folder takes Lava's files, each is full or read-only; set TMPDIR to one that does"
        ) from error


def _environment() -> dict[str, str]:
    """Ours, with one thread a process: there are as many processes as populations."""
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
