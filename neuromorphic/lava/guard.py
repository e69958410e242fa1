"""The guard of one Lava run, a process that outlives it: makes the run's folder, starts its child, removes everything.

    python -I -S guard.py FOLDER SEGMENTS PARENT

It is in a session of its own, where no signal of a terminal comes, and ends the run when its standard input ends or the
process PARENT has died, at whatever moment that is. When it is killed itself, the kernel kills the child, and that its
processes. All that is said are lines: it answers `ready` once the folder is there, is told the child's command as JSON,
answers `started PID` and, when all processes of the run have ended, `ended CODE`. Instead of these it answers `cannot`
(make the folder) or `failed` (to start the child), and why.

As it must start at once, whatever its parent has on the path, this module imports the standard library alone.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PREFIX = "snnergy-lava-"  # of the names of the folders, six hexadecimal digits follow
_SHARED_MEMORY = Path("/dev/shm")
_PATIENCE_S = 30.0  # hundreds of processes on a busy machine take seconds to die
_POLL_S = 0.02
_NEWBORN_S = 60.0  # a folder this young may be locked and filled in a moment
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def main(folder: Path, segments: str, parent: int) -> None:
    """Guard a run of the process `parent` in `folder`, whose shared-memory segments begin with `segments`."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # The orphans of the run become ours, so that none stays a zombie where the first process takes no care of them.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    remove_stale(folder.parent)
    try:
        lock = _claim(folder)
    except OSError as error:
        return _answer(f"cannot {folder.parent}: {error.strerror}")
    try:
        _answer("ready")
        command = _heard(parent)
        if command is not None:
            _run(json.loads(command), folder, parent)
            _heard(parent)  # nothing more is said: the parent reads what the run has recorded
    except BrokenPipeError:  # nobody hears the answer
        pass
    except OSError as error:
        _answer(f"failed {error}")
    finally:
        remove(folder, segments)
        os.close(lock)


def _run(command: list[str], folder: Path, parent: int) -> None:
    """Run the child until it ends or nobody waits for it any longer, and end all its processes."""
    with (folder / "output.txt").open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()),
        )
    try:
        _answer(f"started {child.pid}")
        while child.poll() is None and not _parted(parent):
            time.sleep(_POLL_S)
    finally:
        end_group(child.pid)
        code = child.wait()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    _answer(f"ended {code}")


def _answer(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _heard(parent: int) -> str | None:
    """The next line of standard input; None where it ends, or the parent does, whose pipe others may hold open."""
    line = b""
    while not line.endswith(b"\n"):
        while not select.select([0], [], [], _POLL_S)[0]:
            if os.getppid() != parent:
                return None
        read = os.read(0, 1 << 16)
        if not read:
            return None
        line += read
    return line.decode()


def _parted(parent: int) -> bool:
    """Whether standard input has ended, on which nothing is said while the child runs, or the parent has."""
    return bool(select.select([0], [], [], 0)[0]) or os.getppid() != parent


def _claim(folder: Path) -> int:
    """Make `folder` and lock it for as long as this process lives; returns the descriptor that holds the lock."""
    folder.mkdir(0o700)
    lock = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks, where no folder is ever taken for stale
        fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "output.txt").touch()
    return lock


def remove_stale(temporary: Path) -> None:
    """Remove what is left of runs that were killed together with their guards, never anything of a living run's."""
    for folder in temporary.glob(f"{PREFIX}*"):
        if not re.fullmatch("[0-9a-f]{6}", token := folder.name.removeprefix(PREFIX)):
            continue
        with suppress(OSError):  # no folder, or another user's
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which its guard holds while it lives
                old = time.time() - os.fstat(lock).st_mtime > _NEWBORN_S
                if os.fstat(lock).st_uid == os.geteuid() and (old or os.listdir(lock)):
                    remove(folder, segments_of(token))
            finally:
                os.close(lock)


def segments_of(token: str) -> str:
    """First letters of the names of the shared memory of the run whose folder's name ends in `token`."""
    return f"s{token}_"


def remove(folder: Path, segments: str) -> None:
    """Remove a run's shared memory and folder; its processes have ended."""
    for name in (f"{segments}*", f"sem.{segments}*"):
        for segment in _SHARED_MEMORY.glob(name):
            with suppress(OSError):
                segment.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def end_group(group: int) -> None:
    """Kill the process group `group` and wait until none of its members lives."""
    deadline = time.monotonic() + _PATIENCE_S
    while members(group) and time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            break
        time.sleep(0.01)


def members(group: int) -> list[int]:
    """Process ids of the living members of a process group; the dead that no one has waited for are left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (command) state parent group …; the command may hold spaces and parentheses.
            state, _, owner = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(owner) == group and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def die_with(parent: int) -> None:
    """Have the kernel kill this process, a child of `parent`, when the thread that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that was said
        os._exit(1)


_prctl: Callable[[int, int], int] = ctypes.CDLL(None).prctl

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
