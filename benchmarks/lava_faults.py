"""What Lava runs leave behind that are killed, interrupted, stopped, late or out of disk space: nothing.

A run of which only a process of Lava's is killed or stopped goes on with another, and is to end as if nothing had been.

    python -m benchmarks.lava_faults -o benchmarks/results/lava_faults.json

Each row is one `snnergy simulate --backend lava` in a session of its own, as from a terminal, with one fault. When it
comes is counted from what is seen of the run: at its `start`, once there is the `guard`, the `child` or a `simulation`
process, when steps are `running` (of a stream so long that no fault comes after its end), or when the last is `done`;
then a delay is drawn that ends before the next of these. To spend no ten seconds a row on imports, the program is
forked from this one, which has made them; where the fault comes before the guard is there, it is started afresh.

Counted afterwards are its living processes (by a variable of their environment), shared memory (by a /dev/shm of this
program's own, for which it must be root), entries of its temporary folder, and hidden entries beside its output: those
are for the next run of the same output to remove, which follows where there are any. It is given `_PATIENCE_S` to have
none, as the guard outlives a killed program. Processes that are found are killed. Other simulations may run meanwhile.
Rows that are in the file already are kept; a run of the same seed goes on after them.

Then one process simulates again and again, and its memory after each simulation is kept.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
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
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import snnergy as sn
from benchmarks.results_file import read_rows, write_rows
from snnergy import entry
from snnergy.neuromorphic.ir import Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.netx.files import write_netx

_MARK = "SNNERGY_LAVA_FAULTS"
_PATIENCE_S = 20.0
_POLL_S = 0.005
_GAPS_S = (0.03, 0.5)  # between two interruptions
_MOMENTS = {"start": 0.08, "guard": 0.04, "child": 0.1, "simulation": 0.1, "running": 0.6, "done": 0.08}  # how often
_GIVEN = "given"  # no moment of these: the run is told or given a limit
_WITHIN_S = {"running": 1.0, "done": 0.3}  # in which faults come; the end of a forked program takes no longer
_STEPS = {"short": 8, "long": 10_000}  # of which about a thousand take a second
_TIMEOUT_S = 40.0  # without a step, of a run whose time-out is no part of its fault
_UNDISTURBED_EVERY = 50  # runs, as the machine may become faster or slower
# What a run has to do with: of a disk it needs about 100, of shared memory 40; the largest file of a long run has 78.
_DISK_KIB, _SHARED_KIB, _FILE_KIB = (4, 90), (4, 36), (4, 75)
_ROOMY = "size=64m"
_SHARED_MEMORY = Path("/dev/shm")
_CLONE_NEWNS = 0x20000  # linux/sched.h
_COUNTS = ("processes", "segments", "folders", "beside_output", "beside_after_next")
_PROMISED = tuple(name for name in _COUNTS if name != "beside_output")


class Program:
    """One command line that is running. folder: its temporary folder. mark: what its processes carry."""

    def __init__(self, work: Path, folder: Path, stream: str, timeout_s: float, *, fresh: bool, limit: int) -> None:
        """Start it; fresh: in an interpreter of its own. limit: bytes that a file of it may have, or -1."""
        self.mark, self.folder, self.steps = secrets.token_hex(8), folder, _STEPS[stream]
        command = _command(work, stream, "lava", "--timeout", f"{timeout_s:g}")
        environment = {_MARK: self.mark, "TMPDIR": str(folder)}
        self.said = work / "said.txt"
        self.process = _forked(_program, command, environment, self.said, fresh, limit)
        while self.process.is_alive() and os.getsid(self.pid) != self.pid:
            time.sleep(_POLL_S)

    @property
    def pid(self) -> int:
        """Its process, the first of its group."""
        assert self.process.pid is not None
        return self.process.pid

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the whole foreground group, as a terminal does, or to the program alone."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def processes(self) -> list[int]:
        """Living processes of the run, but for the program itself."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # another user's, or it has just ended
                if f"{_MARK}={self.mark}\0".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def reach(self, moment: str) -> bool:
        """Wait for one of `_MOMENTS`; false if the program ends before."""
        while not (reached := self._reached(moment)) and self.process.is_alive():
            time.sleep(_POLL_S)
        return reached

    def _reached(self, moment: str) -> bool:
        if moment in ("running", "done"):
            return self._played() > (0 if moment == "running" else self.steps)
        return moment in ("start", _GIVEN) or bool(self.parts(moment))

    def parts(self, name: str) -> list[int]:
        """The processes of Lava's that there are: the `guard`, the `child` or the `simulation` processes."""
        guards = [pid for pid in _children(self.pid) if "guard.py" in _read(f"/proc/{pid}/cmdline")]
        children = [child for pid in guards for child in _children(pid)]
        # Lava starts other programs too, while it is imported; its processes come with shared memory.
        forked = [pid for child in children if _segments() for pid in _children(child)]
        return {"guard": guards, "child": children, "simulation": forked}[name]

    def _played(self) -> int:
        for clock in self.folder.glob("*/clock.npy"):
            with suppress(OSError):
                return int.from_bytes(clock.read_bytes()[128:], "little")
        return 0


def _command(work: Path, stream: str, backend: str, *more: str) -> list[str]:
    source, output = work / f"{stream}.npz", work / "a.h5"
    command = ["simulate", work / "m.net", "--input", source, "--backend", backend, "-o", output, "--force", *more]
    return [str(word) for word in command]


def _forked(target: Callable[..., None], *arguments: Any) -> Any:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def _program(command: list[str], environment: dict[str, str], said: Path, fresh: bool, limit: int) -> None:
    """Be the program."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # whatever this benchmark was started to ignore
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    if limit >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.environ.update(environment)
    if fresh:
        program = "import sys; from snnergy import entry; sys.exit(entry.main())"
        os.execv(sys.executable, [sys.executable, "-c", program, *command])
    tempfile.tempdir = None
    sys.argv[1:] = command
    sys.exit(entry.main())


def _children(pid: int) -> list[int]:
    return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _segments() -> list[Path]:
    return list(_SHARED_MEMORY.iterdir())


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # the process has ended
        return ""


Draw = np.random.Generator
Fault = Callable[[Program, Draw], None]


def _nothing(_program: Program, _draw: Draw) -> None: ...


def _signals(numbers: Sequence[int], program: Program, draw: Draw) -> None:
    """Signals to the group or to the program alone."""
    group = bool(draw.integers(2))
    for i, number in enumerate(numbers):
        time.sleep(draw.uniform(*_GAPS_S) if i else 0)
        program.signal(number, group=group)


def _part(name: str, number: int, program: Program, draw: Draw) -> None:
    """A signal to one process of Lava's."""
    if victims := program.parts(name):
        with suppress(ProcessLookupError):
            os.kill(int(draw.choice(victims)), number)


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
    "shared memory full": _nothing,
    "file size limited": _nothing,
}
_FIRST = {"guard killed": "guard", "child killed": "child"} | dict.fromkeys(
    ("simulation process killed", "simulation process stopped"), "simulation"
)  # moments at which there is what the fault meets
_AT_ONCE = ("out of time", "disk full", "shared memory full", "file size limited")


def main() -> None:
    """Run what is missing of the runs, and write each at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--simulations", type=int, default=20, help="in one process, for its memory")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    _take_own_shared_memory()
    rows = read_rows(options.output)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _write_inputs(work)
        sn.simulate(_net(), _spikes(1))  # imports what the forked programs need
        for run in range(len(rows), options.runs):
            spans: list[dict[str, float]] = [row["spans_s"] for row in rows if "spans_s" in row]
            rows.append(_row(run, options.seed, work, spans[-1] if spans else {}))
            print(run, rows[-1], flush=True)
            _write(options, rows)
    _write(options, rows, memory_mib=list(_memory(options.simulations)))


def _write(options: argparse.Namespace, rows: Sequence[dict[str, Any]], **more: Any) -> None:
    left = {name: sum(row[name] for row in rows) for name in _PROMISED}
    by = {f"by_{key}": _table(rows, key) for key in ("fault", "moment")}
    write_rows(options.output, "benchmarks.lava_faults", rows, seed=options.seed, left=left, **by, **more)


def _take_own_shared_memory() -> None:
    """Mount a /dev/shm that only this process and its children see."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        sys.exit(f"no mount namespace can be made ({os.strerror(ctypes.get_errno())}); run this as root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    _mount(_ROOMY, _SHARED_MEMORY)


def _write_inputs(work: Path) -> None:
    write_netx(_net(), work / "m.net")
    for stream, steps in _STEPS.items():
        np.savez(work / f"{stream}.npz", x=_spikes(steps))


def _net() -> QuantNet:
    """Two neurons."""
    neurons = QuantPopulation("n", (2,), np.array([4096]), np.array([4096]), 96, np.zeros(1, np.int32), True, 1.0, 1)
    weight = np.array([[64, 127], [-3, 99]], np.int32)
    return QuantNet((InputPort("x", (2,), "binary"),), (neurons,), (QuantSynapse("x", "n", Dense(weight)),), ("n",))


def _spikes(steps: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).integers(0, 2, (1, steps, 2)).astype(np.float32)


def _row(run: int, seed: int, work: Path, spans: dict[str, float]) -> dict[str, Any]:
    """Run number `run`; fault and moment depend on it and `seed` alone, but for the time scale, which is `spans`."""
    draw = np.random.default_rng((seed, run))
    fault = "undisturbed" if run % _UNDISTURBED_EVERY == 0 else list(FAULTS)[draw.integers(1, len(FAULTS))]
    moment = _moment(fault, draw)
    delay = draw.uniform(0, _WITHIN_S.get(moment, spans.get(moment, 0))) if fault != "undisturbed" else 0.0
    stream = "short" if moment == "done" or fault in ("undisturbed", "disk full", "shared memory full") else "long"
    limit = 1024 * int(draw.integers(*_FILE_KIB)) if fault == "file size limited" else -1
    timeout = _timeout(fault, spans, draw)
    since = time.monotonic()
    with _place(fault, draw) as folder:
        program = Program(work, folder, stream, timeout, fresh=moment == "start", limit=limit)
        known = _spans(program) if fault == "undisturbed" else {}
        if reached := program.reach(moment):
            time.sleep(delay)
            FAULTS[fault](program, draw)
        program.process.join(3 * _TIMEOUT_S)
        ended = time.monotonic()
        left = _left(program, work)
    said = program.said.read_text()
    return {
        "fault": fault,
        "moment": moment if reached else "not reached",
        "after_s": round(delay, 3),
        "code": program.process.exitcode,
        "said": said.splitlines()[-1][:160] if said else "",
        "traceback": "Traceback" in said and "Lava simulation failed" not in said,
        "seconds": round(ended - since, 2),
        **left,
        **({"spans_s": known} if known else {}),
    }


def _moment(fault: str, draw: Draw) -> str:
    """When the fault comes: at random, once there is what it meets."""
    moments = list(_MOMENTS)
    drawn = int(draw.choice(len(moments), p=list(_MOMENTS.values())))
    if fault == "undisturbed":
        return "start"
    return _GIVEN if fault in _AT_ONCE else moments[max(drawn, moments.index(_FIRST.get(fault, "start")))]


def _timeout(fault: str, spans: dict[str, float], draw: Draw) -> float:
    """In seconds without a step: while a child imports and builds, or soon after its process was stopped."""
    until_running = spans.get("child", 0) + spans.get("simulation", 0)
    if fault == "out of time":
        return float(draw.uniform(0.3, 1.6)) * until_running
    return 2 * until_running if fault == "simulation process stopped" else _TIMEOUT_S


def _spans(program: Program) -> dict[str, float]:
    """Seconds from each moment of an undisturbed run to the next."""
    times = []
    for moment in _MOMENTS:
        program.reach(moment)
        times.append(time.monotonic())
    program.process.join()
    spans = [after - before for before, after in pairwise([*times, time.monotonic()])]
    return {name: round(span, 3) for name, span in zip(_MOMENTS, spans, strict=True)}


@contextmanager
def _place(fault: str, draw: Draw) -> Iterator[Path]:
    """A temporary folder, with little room there or in shared memory if that is the fault."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    if fault == "disk full":
        _mount(f"size={draw.integers(*_DISK_KIB)}k", folder)
    if fault == "shared memory full":
        _mount(f"remount,size={draw.integers(*_SHARED_KIB)}k", _SHARED_MEMORY)
    try:
        yield folder
    finally:
        if fault == "disk full":
            subprocess.run(["umount", "--lazy", folder], check=True)
        if fault == "shared memory full":
            _mount(f"remount,{_ROOMY}", _SHARED_MEMORY)
        shutil.rmtree(folder)


def _mount(options: str, folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", folder], check=True)


def _left(program: Program, work: Path) -> dict[str, int]:
    """Count what is left when there is nothing, or when patience ends, and beside the output after the next run."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        processes = program.processes() + [program.pid] * program.process.is_alive()
        segments, folders = _segments(), list(program.folder.iterdir())
        if not (processes or segments or folders) or time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    program.process.join()
    for segment in segments:
        segment.unlink()
    beside = after_next = list(work.glob(".*"))
    if beside:
        _forked(_program, _command(work, "short", "emulator"), {}, work / "next.txt", False, -1).join()
        after_next = list(work.glob(".*"))
    counts = len(processes), len(segments), len(folders), len(beside), len(after_next)
    return dict(zip(_COUNTS, counts, strict=True))


def _table(rows: Sequence[dict[str, Any]], key: str) -> dict[str, Any]:
    """Runs, those that did not end as if nothing had happened, exit codes, and sums of what was left."""
    table = {}
    for value in dict.fromkeys(row[key] for row in rows):
        mine = [row for row in rows if row[key] == value]
        codes = [row["code"] for row in mine]
        table[value] = {
            "runs": len(mine),
            "hit": sum(code != 0 for code in codes),
            "codes": {str(code): codes.count(code) for code in sorted(set(codes))},
            "tracebacks": sum(row["traceback"] for row in mine),
            **{name: sum(row[name] for row in mine) for name in _COUNTS},
        }
    return table


def _memory(simulations: int) -> Iterator[float]:
    """MiB of this process after each simulation in Lava."""
    for _ in range(simulations):
        sn.simulate(_net(), _spikes(_STEPS["short"]), backend="lava")
        lines = Path("/proc/self/status").read_text().splitlines()
        yield next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
