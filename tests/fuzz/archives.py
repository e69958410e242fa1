"""Zip archives as lists of members, whatever these are called, and what their writers raise."""

from __future__ import annotations

import zipfile
from pathlib import Path

Members = list[tuple[str, bytes]]


def read(path: Path) -> Members:
    """Names and contents of an archive."""
    with zipfile.ZipFile(path) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def write(path: Path, members: Members, *, compressed: bool = False) -> None:
    """An archive of these members, whatever they are called."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, content in members:
            tame = name.replace("\x00", "").encode("utf-8", "replace").decode() or "."
            archive.writestr(zipfile.ZipInfo(tame), content)
