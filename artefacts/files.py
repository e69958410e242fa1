"""Writing artefacts whole or not at all, and the provenance that each one carries.

What stands under a name is replaced only if the user asks for it, and only if it is a regular file, or a folder whose
mark (`.snnergy` in it) says that the same command wrote it and everything in it. Nothing else ever is: no device, pipe
or socket, no other folder, no input of the command, and no symbolic link, dangling or not, to a file or to a folder.
Links are refused rather than followed, because the path that was given would not be the one that changes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path

from snnergy.artefacts.errors import OutputRefused
from snnergy.artefacts.scratch import LOCK, flush, make_scratch, put, sweep

_VERSIONED = ("snnergy", "torch", "spikingjelly", "nir", "numpy", "lava-nc", "lava-dl")
# What a file system answers that has no room, or that is broken or closed to writing.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
# Variables that make git answer for another repository than the one that it is asked in, as in a hook.
_GIT_REDIRECTIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
_PROJECT_LINE = 'name = "snnergy"'

_MARK = ".snnergy"  # in a folder that a command wrote: JSON with the command's name and what it writes there
_MARK_BYTES = 1 << 20  # a mark is shorter


@dataclass(frozen=True)
class FolderOf:
    """A folder that a command writes, as against a file.

    command: as a user calls it, such as `snnergy energy`; its folders are replaced by that command only.
    entries: what the command will write there after the folder has taken its place.
    """

    command: str
    entries: tuple[str, ...] = ()


def refuse_overwrite(path: Path, force: bool, *, inputs: Sequence[Path] = (), folder: FolderOf | None = None) -> None:
    """Raise `OutputRefused` if `path` exists and may not be replaced, or if it cannot be written.

    Args:
        force: the user asked to replace what is there, if it is of the kind that may be replaced.
        inputs: what the output is made from, which it never replaces under whatever name, nor a folder that holds it.
        folder: `path` is a folder, and this is known of it; None for a file.
    """
    try:
        os.fsencode(path)
        if "\0" in str(path):
            raise ValueError("null byte")
        _refuse(path, force, inputs, folder)
    except ValueError as error:  # a null byte, or characters that no file name can have
        raise OutputRefused(f"{_shown(path)}: is no name that a file can have") from error
    except OSError as error:
        raise _unwritable(path, error) from error


def _refuse(path: Path, force: bool, inputs: Sequence[Path], folder: FolderOf | None) -> None:
    shown = _shown(path)
    _refuse_inputs(path, inputs)
    if path.is_symlink():
        raise OutputRefused(f"{shown}: is a symbolic link to {_shown(Path(os.readlink(path)))}, and is not followed")
    if path.is_dir() and Path.cwd().is_relative_to(path.resolve()):
        raise OutputRefused(f"{shown}: holds the working directory and would be replaced whole")
    if not os.path.lexists(path):
        return _refuse_parent(path)
    if folder is None and path.is_dir():
        raise OutputRefused(f"{shown}: is a folder, and a file is to be written")
    if not path.is_file() and not path.is_dir():
        raise OutputRefused(f"{shown}: is neither a file nor a folder, and is not replaced")
    if folder is not None:
        if path.is_file():
            raise OutputRefused(f"{shown}: is a file, and a folder is to be written")
        _refuse_foreign(path, folder)
    if not force:
        raise OutputRefused(f"{shown}: exists already", replaceable=True)
    _refuse_parent(path)


def _refuse_inputs(path: Path, inputs: Sequence[Path]) -> None:
    if not path.exists():
        return
    for source in filter(os.path.exists, inputs):
        if path.samefile(source):
            raise OutputRefused(f"{_shown(path)}: is the input itself")
        if any(path.samefile(parent) for parent in source.resolve().parents):
            raise OutputRefused(f"{_shown(path)}: holds the input {_shown(source)} and would be replaced whole")


def _refuse_foreign(path: Path, folder: FolderOf) -> None:
    """Raise `OutputRefused` if there is anything in `path` that the command did not write."""
    entries = _marked(path, folder.command)
    if entries is None:
        raise OutputRefused(f"{_shown(path)}: is a folder that {folder.command} did not write, and is not replaced")
    for file in _files(path):
        if not {file, *file.parents} & entries:
            raise OutputRefused(f"{_shown(path)}: holds {_shown(file)}, which {folder.command} did not write")


def _refuse_parent(path: Path) -> None:
    if path.name in ("", "..") or path.name.startswith(LOCK):
        raise OutputRefused(f"{_shown(path)}: is no name that a file can have")
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OutputRefused(f"{_shown(path)}: cannot be written, {_shown(parent)} is not a writable directory")
    for name in path.relative_to(parent).parts:
        with suppress(FileNotFoundError):
            os.lstat(parent / name)  # raises if the name is longer than the file system allows


def _marked(folder: Path, command: str) -> set[Path] | None:
    """What the mark of `folder` says that `command` wrote there; None where there is no such mark."""
    mark = folder / _MARK
    if mark.is_symlink() or not mark.is_file() or mark.stat().st_size > _MARK_BYTES:
        return None
    try:
        content = json.loads(mark.read_bytes())
        return {Path(_MARK), *map(Path, content["entries"])} if content["command"] == command else None
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _write_mark(folder: Path, known: FolderOf) -> None:
    entries = sorted({*known.entries, *(str(file) for file in _files(folder))})
    (folder / _MARK).write_text(json.dumps({"command": known.command, "entries": entries}) + "\n", "utf-8")


def _files(folder: Path) -> Iterator[Path]:
    """Everything in `folder` that is no folder, relative to it, without what killed writers left behind."""
    for place, folders, files in os.walk(folder, onerror=_raise):
        here = Path(place)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if not os.path.lexists(here / name / LOCK)]
        yield from ((here / name).relative_to(folder) for name in (*files, *links))


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def written_whole(
    path: Path, *, force: bool = False, inputs: Sequence[Path] = (), folder: FolderOf | None = None
) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place only if the block ends without an error.

    The block writes a file there, or into the folder that is there already if `folder` is given. Nothing is left
    behind when it raises. At every moment, and so after a kill or a crash of the machine, the old or the new one stands
    whole under its name. Only where the system cannot exchange two folders in one step is there a moment when both lie
    whole in the hidden scratch folder beside it; the next writer puts the old one back.

    Several processes can write one output at once: each has a scratch folder of its own, `.NAME.*.snnergy`, locked for
    as long as it lives, and the last one wins whole. What a killed one left there is removed by the next writer.

    Args:
        force, inputs, folder: as of `refuse_overwrite`.

    Raises:
        OutputRefused: `path` exists and may not be replaced, or it cannot be written, be it that the disk is full.
    """
    refuse_overwrite(path, True, inputs=inputs, folder=folder)
    missing = [p for p in path.parents if not p.exists()]  # innermost first
    scratch = None
    try:
        with _refusing(path, always=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path)
            refuse_overwrite(path, force, inputs=inputs, folder=folder)
            scratch = make_scratch(path)
            new = scratch.new
            if folder is not None:
                new.mkdir()
        with _refusing(path, under=scratch.folder):
            yield new
            assert os.path.lexists(new), f"nothing was written to {new}"
            if folder is not None:
                _write_mark(new, folder)
            flush(new)
        # Once more, because somebody may have put something there while the block ran.
        refuse_overwrite(path, force, inputs=inputs, folder=folder)
        with _refusing(path, always=True):
            put(scratch, path)
    finally:
        # Errors of this clean-up would hide the one that it cleans up after.
        if scratch is not None:
            scratch.remove(path)
        if not os.path.lexists(path):
            with suppress(OSError):
                for directory in missing:
                    directory.rmdir()


@contextmanager
def _refusing(path: Path, *, always: bool = False, under: Path | None = None) -> Iterator[None]:
    """Turn errors of the disk into `OutputRefused`: all, or those over a file in `under`, and over no named file."""
    try:
        yield
    except OSError as error:
        named = str(error.filename).startswith(f"{under}{os.sep}") if error.filename else error.errno in _UNWRITABLE
        if always or named:
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: Path, error: OSError) -> OutputRefused:
    return OutputRefused(f"{_shown(path)}: cannot be written ({error.strerror or error})")


def _shown(path: Path) -> str:
    """A path in one line, whatever characters its name has."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def sha256_of(path: Path) -> str:
    """Digest of a file, in hexadecimal; memory does not grow with the file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of the packages that decide a result; a package that is not installed is left out."""
    found = {package: _version(package) for package in _VERSIONED}
    return {package: version for package, version in found.items() if version is not None}


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


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
