"""Writing artefacts whole or not at all, and the provenance that each one carries."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from snnergy.artefacts.errors import OutputRefused

_VERSIONED = ("snnergy", "torch", "spikingjelly", "nir", "numpy", "lava-nc", "lava-dl")
# Linux' renameat2: paths relative to the working directory, and the two names change places in one step.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# What a kernel or a file system answers that knows no such exchange.
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
# Variables that make git answer for another repository than the one that it is asked in, as in a hook.
_GIT_REDIRECTIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
_PROJECT_LINE = 'name = "snnergy"'


def refuse_overwrite(path: Path, force: bool, *, inputs: Sequence[Path] = ()) -> None:
    """Raise `OutputRefused` if `path` exists and the user did not ask to replace it, or if it cannot be written.

    Args:
        inputs: what the output is made from, which it never replaces.
    """
    if path.exists() and any(source.exists() and path.samefile(source) for source in inputs):
        raise OutputRefused(f"{path}: is the input itself")
    if path.is_dir() and Path.cwd().is_relative_to(path.resolve()):
        raise OutputRefused(f"{path}: holds the working directory and would be replaced whole")
    if path.exists() and not force:
        raise OutputRefused(f"{path}: exists already", replaceable=True)
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OutputRefused(f"{path}: cannot be written, {parent} is not a writable directory")


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place only if the block ends without an error.

    The block may write a file or a directory there. Nothing is left behind when it raises. At every moment, and so
    after a kill, the old or the new one stands whole under its name. Only where the system cannot exchange two
    folders in one step is there a moment when both lie whole in the hidden folder `.NAME.*` beside it.

    Raises:
        OutputRefused: `path` exists and `force` is false, or it cannot be written.
    """
    refuse_overwrite(path, force)
    missing = [p for p in path.parents if not p.exists()]  # innermost first
    scratch = None
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        except OSError as error:
            raise OutputRefused(f"{path}: cannot be written ({error.strerror})") from error
        yield scratch / path.name
        _put(scratch / path.name, path)
    finally:
        # Errors of this clean-up would hide the one that it cleans up after.
        if scratch is not None and not _rescued(scratch, path):
            shutil.rmtree(scratch, ignore_errors=True)
        if not os.path.lexists(path):
            with suppress(OSError):
                for directory in missing:
                    directory.rmdir()


def _put(new: Path, path: Path) -> None:
    """Give `new` the name `path`; what has that name now is then in the folder of `new`, or gone."""
    assert new.exists(), f"nothing was written to {new}"
    if path.is_dir() and not new.is_dir():
        raise OutputRefused(f"{path}: is a folder, and a file is to be written")
    if new.is_dir() and path.exists() and not path.is_dir():
        raise OutputRefused(f"{path}: is a file, and a folder is to be written")
    try:
        if not path.is_dir():
            os.replace(new, path)
        elif not _exchange(new, path):
            _replace_in_two_steps(new, path)
    except OSError as error:
        raise OutputRefused(f"{path}: cannot be written ({error.strerror})") from error


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


def _replace_in_two_steps(new: Path, path: Path) -> None:
    aside = _aside(new)
    try:
        os.rename(path, aside)
        os.rename(new, path)
    finally:
        if not os.path.lexists(path):
            os.rename(aside, path)


def _aside(new: Path) -> Path:
    """Where the old folder waits while the new one takes its name: beside `new`, whatever that is called."""
    return new.with_name(f"{new.name}.old")


def _rescued(scratch: Path, path: Path) -> bool:
    """Whether the only old folder lies in `scratch`, because a second error kept it from its place."""
    return os.path.lexists(_aside(scratch / path.name)) and not os.path.lexists(path)


def sha256_of(path: Path) -> str:
    """Digest of a file, in hexadecimal; memory does not grow with the file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of the packages that decide a result; a package that is not installed is left out."""
    found = {}
    for package in _VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def git_revision() -> str:
    """Revision of the checkout that this package runs from, `-dirty` if changed, `unknown` where it is none.

    An installed package may lie inside somebody else's repository, whose revision says nothing about it: the
    repository must hold our project file at its top and know this very file.
    """
    top = Path(__file__).parents[2]
    try:
        if _PROJECT_LINE not in (top / "pyproject.toml").read_text(encoding="utf-8").splitlines():
            return "unknown"
        if _git(top, "rev-parse", "--show-prefix"):  # empty at the top of a repository
            return "unknown"
        _git(top, "ls-files", "--error-unmatch", "--", str(Path(__file__).resolve()))
        return _git(top, "describe", "--always", "--dirty", "--abbrev=12")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_REDIRECTIONS}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
