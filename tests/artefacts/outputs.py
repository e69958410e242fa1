"""What tests write: a report, which is a folder of two files, and texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from snnergy.artefacts.files import FolderOf, written_whole

EXCHANGES = pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-steps"])
REPORT = FolderOf("write reports")
OLD, NEW = ["old", "old"], ["new", "new"]


def write_report(path: Path, text: str, *, force: bool = False) -> None:
    with written_whole(path, force=force, folder=REPORT) as folder:
        for name in "ab":
            (folder / name).write_text(text)


def texts(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.iterdir()) if path.name != ".snnergy"]


def write_text(path: Path, text: str, **options) -> None:
    with written_whole(path, **options) as new:
        new.write_text(text)
