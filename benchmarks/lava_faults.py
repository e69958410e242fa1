"""What Lava runs leave behind that are killed, interrupted, stopped, late or out of disk space: nothing.

    python -m benchmarks.lava_faults -o benchmarks/results/lava_faults.json

Each row is one `snnergy simulate --backend lava` in a session of its own, as from a terminal, with one fault at a
moment drawn over the length of an undisturbed run, so that start, imports, compilation, run and clean-up are all hit.
Counted afterwards are its living processes (by a variable of their environment), new shared memory, entries of its
temporary folder and hidden files beside its output; it is given `_PATIENCE_S` to have none, as the guard outlives a
killed program. Processes that are found are killed. No other Lava simulation may run meanwhile: its shared memory would
be counted too. Rows that are in the file already are kept; a run of the same seed goes on after them.

Then one process simulates again and again, and its memory after each simulation is kept.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import snnergy as sn
from benchmarks.results_file import read_rows, write_rows
from snnergy.neuromorphic.ir import Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.netx.files import write_netx

_MARK = "SNNERGY_LAVA_FAULTS"
_PATIENCE_S = 10.0
_POLL_S = 0.005
_GAPS_S = (0.03, 0.5)  # between two interruptions
_LIVES = {"guard": 0.7, "child": 0.6, "simulation": 0.1}  # how long each lives, in undisturbed runs
_DISK_KIB = (4, 160)  # of which a run needs about 100, and as much shared memory
_PROGRAM = "import sys; from snnergy import entry; sys.exit(entry.main())"
_COUNTS = ("processes", "segments", "folders", "beside_output")


class Program:
    """One command line that is running. folder: its temporary folder. mark: what its processes carry."""

    def __init__(self, work: Path, folder: Path, timeout_s: float, file_size: int | None) -> None:
        self.mark, self.folder = secrets.token_hex(8), folder
        command = ["simulate", work / "m.net", "--input", work / "x.npz", "--backend", "lava", "-o", work / "a.h5"]
        limit = None if file_size is None else partial(resource.setrlimit, resource.RLIMIT_FSIZE, (file_size,) * 2)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *map(str, command), "--force", "--timeout", f"{timeout_s:g}"],
            env=os.environ | {_MARK: self.mark, "TMPDIR": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=limit,
        )

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the whole foreground group, as a terminal does, or to the program alone."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def processes(self) -> list[int]:
        """Living processes of the run."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # another user's, or it has just ended
                if f"{_MARK}={self.mark}\0".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def part(self, name: str) -> int | None:
        """A process of Lava's once there is one: the `guard`, the `child` or a `simulation` process."""
        while self.process.poll() is None:
            guards = _children(self.process.pid)
            children = [child for pid in guards for child in _children(pid)]
            forked = [pid for child in children for pid in _children(child)]
            if found := {"guard": guards, "child": children, "simulation": forked}[name]:
                return found[-1]
            time.sleep(_POLL_S)
        return None


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


Draw = np.random.Generator
Fault = Callable[[Program, Draw, float], None]  # of a program that would take so many seconds


def _nothing(_program: Program, _draw: Draw, _span: float) -> None: ...


def _signals(numbers: Sequence[int], program: Program, draw: Draw, span: float) -> None:
    """Signals to the group or to the program alone, at any moment."""
    group = bool(draw.integers(2))
    time.sleep(draw.uniform(0, 0.9 * span))
    for i, number in enumerate(numbers):
        time.sleep(draw.uniform(*_GAPS_S) if i else 0)
        program.signal(number, group=group)


def _part(name: str, number: int, program: Program, draw: Draw, span: float) -> None:
    """A signal to one process of Lava's, at any moment of its life."""
    if program.part(name) is not None:
        time.sleep(draw.uniform(0, _LIVES[name] * span))
        victim = program.part(name)
        if victim is not None:
            with suppress(ProcessLookupError):
                os.kill(victim, number)


FAULTS: dict[str, Fault] = {
    "undisturbed": _nothing,
    "program killed": partial(_signals, [signal.SIGKILL]),
    "interrupted": partial(_signals, [signal.SIGINT]),
    "interrupted twice": partial(_signals, [signal.SIGINT] * 2),
    "terminated": partial(_signals, [signal.SIGTERM]),
    "hung up": partial(_signals, [signal.SIGHUP]),
    "guard killed": partial(_part, "guard", signal.SIGKILL),
    "child killed": partial(_part, "child", signal.SIGKILL),
    "simulation process killed": partial(_part, "simulation", signal.SIGKILL),
    "simulation process stopped": partial(_part, "simulation", signal.SIGSTOP),
    "out of time": _nothing,
    "disk full": _nothing,
    "file size limited": _nothing,
}
_LATE = ("simulation process stopped", "out of time")


def main() -> None:
    """Run what is missing of the runs, and write each at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--simulations", type=int, default=20, help="in one process, for its memory")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = read_rows(options.output)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _write_inputs(work)
        spans = [row["seconds"] for row in rows if row["fault"] == "undisturbed"]
        for run in range(len(rows), options.runs):
            row = _row(run, options.seed, work, spans)
            if row["fault"] == "undisturbed":
                spans.append(row["seconds"])
            rows.append(row)
            print(row, flush=True)
            write_rows(options.output, "benchmarks.lava_faults", rows, seed=options.seed, by_fault=_by_fault(rows))
    memory = list(_memory(options.simulations))
    write_rows(
        options.output, "benchmarks.lava_faults", rows, seed=options.seed, by_fault=_by_fault(rows), memory_mib=memory
    )


def _write_inputs(work: Path) -> None:
    write_netx(_net(), work / "m.net")
    np.savez(work / "x.npz", x=_spikes())


def _net() -> QuantNet:
    """Two neurons."""
    neurons = QuantPopulation("n", (2,), 4096, 4096, 96, np.zeros(1, np.int32), True, 1.0, 1)
    weight = np.array([[64, 127], [-3, 99]], np.int32)
    return QuantNet((InputPort("x", (2,), "binary"),), (neurons,), (QuantSynapse("x", "n", Dense(weight)),), ("n",))


def _spikes() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).integers(0, 2, (1, 8, 2)).astype(np.float32)


def _row(run: int, seed: int, work: Path, spans: list[float]) -> dict[str, Any]:
    """Run number `run`; which fault it meets, when and how depends on it and `seed` alone, but for the time scale."""
    draw = np.random.default_rng((seed, run))
    fault = list(FAULTS)[0 if not run else draw.integers(len(FAULTS))]
    span = min(spans, default=10.0)  # the machine may have been busy in the others
    timeout = max(1.0, draw.uniform(0.1, 0.5) * span) if fault in _LATE else 600.0
    size = 1024 * int(draw.integers(*_DISK_KIB))
    segments = _segments()
    since = time.monotonic()
    with _temporary(size if fault == "disk full" else None) as folder:
        program = Program(work, folder, timeout, size if fault == "file size limited" else None)
        FAULTS[fault](program, draw, span)
        said = program.process.communicate(timeout=900)[1]
        seconds = time.monotonic() - since
        left = _left(program, segments, work)
    return {
        "fault": fault,
        "code": program.process.returncode,
        "said": said.splitlines()[-1][:160] if said else "",
        "traceback": "Traceback" in said and "Lava simulation failed" not in said,
        "seconds": round(seconds, 2),
        **left,
    }


@contextmanager
def _temporary(size: int | None) -> Iterator[Path]:
    """A temporary folder, with room for `size` bytes."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    if size is not None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", folder], check=True)
    try:
        yield folder
    finally:
        if size is not None:
            subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder)


def _segments() -> set[str]:
    """Shared memory and semaphores under names that this package or multiprocessing gives."""
    return {name for name in os.listdir("/dev/shm") if re.match(r"(sem\.)?s[0-9a-f]{6}_|psm_|sem\.mp-", name)}


def _left(program: Program, before: set[str], work: Path) -> dict[str, int]:
    """Count what is left when there is nothing, or when patience ends."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        processes = program.processes()
        segments = sorted(_segments() - before)
        folders = sorted(program.folder.iterdir())
        if not (processes or segments or folders) or time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    beside = list(work.glob(".*"))
    for folder in beside:
        shutil.rmtree(folder)
    counts = len(processes), len(segments), len(folders), len(beside)
    return dict(zip(_COUNTS, counts, strict=True))


def _by_fault(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Runs, exit codes and sums of what was left, by fault."""
    table = {}
    for fault in FAULTS:
        mine = [row for row in rows if row["fault"] == fault]
        codes = [row["code"] for row in mine]
        table[fault] = {
            "runs": len(mine),
            "codes": {str(code): codes.count(code) for code in sorted(set(codes))},
            "tracebacks": sum(row["traceback"] for row in mine),
            **{name: sum(row[name] for row in mine) for name in _COUNTS},
        }
    return table


def _memory(simulations: int) -> Iterator[float]:
    """MiB of this process after each simulation in Lava."""
    for _ in range(simulations):
        sn.simulate(_net(), _spikes(), backend="lava")
        lines = Path("/proc/self/status").read_text().splitlines()
        yield next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
