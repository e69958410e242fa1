"""The hidden folders that outputs are written in, and the step that gives what was written there its name.

A process holds its folder by a lock that ends with it, however it ends; what nobody holds is removed by the next
writer of the same output.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Linux' renameat2: paths relative to the working directory, and the two names change places in one step.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# What a kernel or a file system answers that knows no such exchange.
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)

LOCK = ".snnergy-scratch"  # in a scratch folder, locked by the process that writes there; no output begins with it
_SCRATCH_FOLDERS = 8  # of one output, and so the processes that can write it at once
_NAME_BYTES = 200  # of an output's name, in that of its scratch folder, where a file system allows 255 in all


@dataclass(frozen=True)
class Scratch:
    """A scratch folder that this process holds; `name` is that of the output."""

    folder: Path
    name: str
    lock: _Lock

    @property
    def new(self) -> Path:
        """What is written, a file or a folder; after an exchange of folders the one that was replaced."""
        return self.folder / self.name

    @property
    def old(self) -> Path:
        """Where a folder waits while the new one takes its name, if the two cannot be exchanged."""
        return self.folder / f"{LOCK}.old"

    def remove(self, path: Path) -> None:
        """Remove the folder and let go of it, but keep the only old output, which could not be put back."""
        if os.path.lexists(self.old) and not os.path.lexists(path):
            self.lock.close()
            return
        for part in (self.new, self.old):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(part)
        with suppress(OSError):
            # The lock goes last: without it, what is in the folder would be taken for somebody else's.
            if set(os.listdir(self.folder)) == {LOCK}:
                os.unlink(self.folder / LOCK)
                os.rmdir(self.folder)
        self.lock.close()


def _scratch_folders(path: Path) -> list[Path]:
    """Where a writer of `path` may have its scratch folder: a few names, so that no directory need be searched."""
    name = os.fsencode(path.name)
    stem = path.name if len(name) <= _NAME_BYTES else hashlib.sha256(name).hexdigest()
    return [path.with_name(f".{stem}.{number}.snnergy") for number in range(_SCRATCH_FOLDERS)]


def make_scratch(path: Path) -> Scratch:
    """Make a scratch folder of `path` that nobody has.

    Raises:
        OSError: it cannot be made, or too many others write `path`.
    """
    for folder in _scratch_folders(path):
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:  # another writer's, or none of ours: `sweep` has left it
            continue
        try:
            return Scratch(folder, path.name, _Lock(folder / LOCK))
        except (BlockingIOError, FileNotFoundError):  # another writer's `sweep` took it, as it was not locked yet
            continue
        except OSError:
            with suppress(OSError):
                os.unlink(folder / LOCK)
            os.rmdir(folder)
            raise
    raise OSError(errno.EBUSY, f"{_SCRATCH_FOLDERS} others write it, in .{path.name}.*.snnergy beside it")


def _taken(folder: Path, name: str) -> Scratch | None:
    """Hold a scratch folder; None where a process that lives has it, or it is none of ours."""
    try:
        state = os.lstat(folder)
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
            return None
        found = os.listdir(folder)
        if found and LOCK not in found:
            return None
        lock = _Lock(folder / LOCK)
    except OSError:
        return None
    return Scratch(folder, name, lock) if lock.held else None


class _Lock:
    """A lock file that this process holds until it closes it or ends, however it ends.

    held: false on a file system without locks, where no writer can tell whether another lives.
    """

    _handle: int | None = None

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.held = True
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self.held = False
        # Whoever had it may have removed it just now.
        if not os.path.samestat(os.fstat(self._handle), os.lstat(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __del__(self) -> None:
        self.close()


def sweep(path: Path) -> None:
    """Remove the scratch folders of killed writers of `path`, and put an old folder back that one had taken away."""
    for folder in filter(os.path.lexists, _scratch_folders(path)):
        scratch = _taken(folder, path.name)
        if scratch is None:
            continue
        if os.path.lexists(scratch.old) and not os.path.lexists(path):
            os.rename(scratch.old, path)
        scratch.remove(path)


def put(scratch: Scratch, path: Path) -> None:
    """Give what is new the name `path`; what has that name now is then in the scratch folder, or gone."""
    if not path.is_dir():
        os.replace(scratch.new, path)
    elif not _exchange(scratch.new, path):
        _replace_in_two_steps(scratch, path)
    with suppress(OSError):  # it has the name already; a crash may only bring the old one back
        _flush_one(path.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _replace_in_two_steps(scratch: Scratch, path: Path) -> None:
    try:
        os.rename(path, scratch.old)
        os.rename(scratch.new, path)
    finally:
        if not os.path.lexists(path):
            os.rename(scratch.old, path)


def flush(new: Path) -> None:
    """Have the disk hold every byte of `new`, so that after a crash its name does not stand for an empty file."""
    for place, _, files in os.walk(new):
        for name in (*files, "."):
            _flush_one(Path(place, name))
    _flush_one(new)


def _flush_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot do it
            raise
    finally:
        os.close(handle)
