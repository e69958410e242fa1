"""Writing artefacts whole or not at all, and the provenance that each one carries."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from snnergy.artefacts.errors import UserError

_VERSIONED = ("snnergy", "torch", "spikingjelly", "nir", "numpy", "lava-nc", "lava-dl")


def refuse_overwrite(path: Path, force: bool) -> None:
    """Raise `UserError` if `path` exists and the user did not ask to replace it, or if it cannot be written."""
    if path.is_dir() and Path.cwd().is_relative_to(path.resolve()):
        raise UserError(f"{path}: holds the working directory and would be replaced whole; pass -o with another path")
    if path.exists() and not force:
        raise UserError(f"{path}: exists already; pass --force to replace it or -o to write elsewhere")
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{path}: cannot be written, {parent} is not a writable directory; pass -o with another path")


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to `path` only if the block ends without an error.

    The block may write a file or a directory there. Nothing is left behind when it raises.

    Raises:
        UserError: `path` exists and `force` is false, or its directory cannot be written.
    """
    refuse_overwrite(path, force)
    missing = [p for p in path.parents if not p.exists()]  # innermost first
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); pass -o with another path") from error
    try:
        yield scratch / path.name
        if path.is_dir():
            if not (scratch / path.name).is_dir():
                raise UserError(f"{path}: is a folder, and a file is to be written; pass -o with a file's name")
            # Set aside, so that at no moment neither the old nor the new folder exists whole.
            os.rename(path, scratch / "replaced")
        os.replace(scratch / path.name, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        for directory in missing:
            directory.rmdir()
        raise
    shutil.rmtree(scratch, ignore_errors=True)


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
    """Revision of the checkout that this package runs from, `-dirty` if changed, `unknown` outside one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
