"""The other side of `benchmarks/simulators/serving.py`: a simulator in a process and an environment of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.simulators.serving import Array, Task

_REPOSITORY = Path(__file__).parents[2]
# Starting may mean to install first; a network may be compiled before it is run.
STARTING_S, BUILDING_S, RUNNING_S = 900.0, 900.0, 120.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class NoAnswer(Exception):
    """A simulator that is not there, has died, takes too long, or refuses; the text says why."""


def script(name: str) -> list[str]:
    """The command of a script of `benchmarks/simulators`, in the environment that its first lines name."""
    uv = os.environ.get("UV", "uv")
    return [uv, "run", "--quiet", "--script", str(_REPOSITORY / "benchmarks/simulators" / f"in_{name}.py")]


class Simulator:
    """A process that answers lines, until the block ends.

    Attributes:
        version, differs: as it introduces itself.
    """

    version = differs = ""

    def __init__(self, command: Sequence[str]) -> None:
        """Nothing is started yet."""
        self._command = command

    def __enter__(self) -> Simulator:
        """Start the process, in a group of its own, which is ended as one."""
        self._scratch = tempfile.TemporaryDirectory(prefix="snnergy-simulator-")
        environment = os.environ | _ONE_THREAD | {"PYTHONPATH": str(_REPOSITORY), "TMPDIR": self._scratch.name}
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                cwd=_REPOSITORY,  # whose .python-version says which Python is on the path
                env=environment,
                start_new_session=True,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End all its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._scratch.cleanup()

    def introduced(self) -> None:
        """Wait until it is there.

        Raises:
            NoAnswer: it cannot be installed or imported.
        """
        hello = self._answer(STARTING_S)
        self.version, self.differs = hello["version"], hello["differs"]

    def given(self, task: Task) -> tuple[Array, float]:
        """What its last layer sends, and the seconds of this first run.

        Raises:
            NoAnswer: it cannot hold the network.
        """
        network, spikes = (Path(self._scratch.name, name) for name in ("network.npz", "spikes.npy"))
        task.save(network)
        seconds = self._ask({"network": str(network), "spikes": str(spikes)}, BUILDING_S)
        return np.load(spikes), seconds

    def run(self) -> float:
        """Seconds of another run.

        Raises:
            NoAnswer: it did not come to its end.
        """
        return self._ask({"run": True}, RUNNING_S)

    def _ask(self, what: dict[str, Any], patience_s: float) -> float:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # what it died of is said in place of an answer
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        answer = self._answer(patience_s)
        if "refused" in answer:
            raise NoAnswer(answer["refused"])
        return float(answer["seconds"])

    def _answer(self, patience_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], patience_s)[0]:
            raise NoAnswer(f"no answer within {patience_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            said = self._said.read_text(errors="replace").strip().splitlines()
            raise NoAnswer(said[-1][:200] if said else f"it ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @property
    def _said(self) -> Path:
        return Path(self._scratch.name, "stderr.txt")
