"""Runs one command in a forked child, under limits and under watch, and reports what happened.

The parent has imported what the commands import; a child inherits that and costs milliseconds. Everything that Python
opens, changes, starts or connects to is held against what the command may touch by an audit hook; reads by C code
are left to `tests.fuzz.canary`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from snnergy.artefacts import trial

ROOT = Path(__file__).resolve().parents[2]
OURS = ("artefacts", "energy", "export", "neuromorphic", "snnergy", "training")
MEMORY = 2 << 30
CPU_S = 15
WALL_S = 120
_DISK = 1 << 30
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev")
_READABLE = tuple(os.path.realpath(path) for path in (ROOT, sys.prefix, sys.base_prefix, *sys.path, *_SYSTEM))
# Machine code that numba keeps, as Python keeps its own.
_KERNELS = os.path.join(ROOT, "neuromorphic", "emulator", "kernels", "__pycache__")
_WRITABLE = ("/dev/null", "/dev/shm", "/proc/self")
_STARTS = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.spawn", "subprocess.Popen", "socket.bind",
    "socket.connect", "socket.getaddrinfo",
)  # fmt: skip
_PAYLOADS = ("os", "posix", "subprocess", "pathlib", "shutil", "socket", "runpy")
_BUILT_IN = ("eval", "exec", "compile", "open", "getattr", "__import__", "breakpoint", "input")
# Event → which of its arguments are paths, and where the folder descriptor of each stands, if it has one.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),), "os.truncate": ((0, None),),
    "os.rename": ((0, 2), (1, 3)), "os.link": ((0, 2), (1, 3)), "os.symlink": ((1, 2),), "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),), "os.utime": ((0, 3),), "shutil.rmtree": ((0, None),),
}  # fmt: skip
_LISTS = ("os.listdir", "os.scandir")


@dataclass(frozen=True)
class Ran:
    """code: of the exit, None after a signal. seconds: of CPU. memory: the peak, in bytes. error: type of the exception
    that nobody foresaw and the last frame of ours, or "". trace: of it. objections: what the audit hook met.
    """

    code: int | None
    signal: int
    seconds: float
    memory: int
    error: str
    trace: str
    objections: tuple[str, ...]
    out: bytes
    err: bytes


@dataclass
class Place:
    """folder: working directory, which holds the files given. scratch: TMPDIR. Both are the command's to write in."""

    folder: Path
    scratch: Path
    notes: Path = field(init=False)

    def __post_init__(self) -> None:
        self.notes = self.folder.parent / "notes"
        for folder in (self.folder, self.scratch, self.notes):
            folder.mkdir(parents=True, exist_ok=True)


def execute(command: Callable[[], int], place: Place, *, cpu_s: int = CPU_S) -> Ran:
    """Run `command` in a child whose working directory is the place's, and wait for its end."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid == 0:
        _live(command, place, cpu_s)
    _, status, usage = os.wait4(pid, 0)
    report = _report(place.notes / "report")
    return Ran(
        code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        seconds=usage.ru_utime + usage.ru_stime,
        memory=usage.ru_maxrss * 1024,
        error=report.get("error", ""),
        trace=report.get("trace", "") or (place.notes / "crash").read_text(errors="replace")[:4000],
        objections=tuple(report.get("objections", ())),
        out=(place.notes / "out").read_bytes(),
        err=(place.notes / "err").read_bytes(),
    )


def _report(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text())
    except ValueError:  # a signal ended the child before it wrote one
        return {}
    return report


def _live(command: Callable[[], int], place: Place, cpu_s: int) -> NoReturn:
    """The child's whole life."""
    objections: list[str] = []
    report = {"error": "", "trace": "", "objections": objections}
    code = 1
    note = os.open(place.notes / "report", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        _settle(place, cpu_s)
        sys.addaudithook(_Hook(place, objections))
        code = command()
    except BaseException as error:
        _forgive_memory()
        report["error"], report["trace"] = _signature(error), "".join(traceback.format_exception(error))[-6000:]
        traceback.print_exception(error)
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os.write(note, json.dumps(report).encode())
        finally:
            os._exit(code if isinstance(code, int) and 0 <= code < 256 else 1)


def _settle(place: Place, cpu_s: int) -> None:
    """Streams, folders, environment and limits as a user's shell would give them, the limits aside."""
    os.chdir(place.folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(place.scratch)
    os.environ.pop("SNNERGY_DEBUG", None)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name, errors in ((1, "out", "strict"), (2, "err", "backslashreplace")):
        os.dup2(os.open(place.notes / name, flags), number)
        stream = open(number, "w", encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, "stdout" if number == 1 else "stderr", stream)
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    crash = open(place.notes / "crash", "w")  # noqa: SIM115
    faulthandler.enable(crash)
    for deadly in (signal.SIGXCPU, signal.SIGALRM):
        signal.signal(deadly, signal.SIG_DFL)
        faulthandler.register(deadly, crash, chain=True)
    signal.alarm(WALL_S)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s + 1, cpu_s + 3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_DISK, _DISK))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY  # so that a larger request ends in a traceback that shows its place
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _forgive_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _signature(error: BaseException) -> str:
    """Type of an exception, and the last frame of this project in its traceback."""
    ours = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = os.path.relpath(os.path.realpath(frame.filename), ROOT)
        if os.path.isabs(frame.filename) and path.partition(os.sep)[0] in OURS:
            ours = f"{path}:{frame.name}"
    return f"{type(error).__name__} in {ours}"


def _harms(module: str, name: str) -> bool:
    """Whether a pickle that finds this can do more than hold data."""
    return module in _PAYLOADS or (module == "builtins" and name in _BUILT_IN)


class _Hook:
    """Notes what a command has no business with. It must not raise, whatever it is handed."""

    def __init__(self, place: Place, objections: list[str]) -> None:
        self.own = tuple(os.path.realpath(path) for path in (place.folder, place.scratch, _KERNELS))
        self.objections = objections

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        try:
            if event == "open":
                self._open(*args)
            elif event in _CHANGES:
                for place, folder in _CHANGES[event]:
                    self._path(event, args[place], -1 if folder is None else args[folder], self.own)
            elif event in _LISTS:
                self._path(event, args[0], -1, (*self.own, *_READABLE))
            elif event == "os.fork" and sys._getframe(1).f_code.co_filename == trial.__file__:
                pass  # which tries a file out
            elif event in _STARTS or (event == "pickle.find_class" and _harms(*args)):
                self._object(f"code: {event} {args!r:.200}")
        except Exception as error:
            self._object(f"hook: {event} {type(error).__name__}: {error}")

    def _open(self, path: Any, mode: str | None, flags: int) -> None:
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        self._path("open", path, -1, (*self.own, *(_WRITABLE if writes else _READABLE)))

    def _path(self, event: str, path: Any, folder: int | None, allowed: tuple[str, ...]) -> None:
        if path is None or isinstance(path, int):
            return
        name = os.fsdecode(path)
        if folder is not None and folder >= 0 and not os.path.isabs(name):
            name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
        real = os.path.realpath(name)
        if not any(real == root or real.startswith(f"{root}{os.sep}") for root in allowed):
            self._object(f"file: {event} {real}")

    def _object(self, objection: str) -> None:
        if len(self.objections) < 20:
            self.objections.append(objection)
