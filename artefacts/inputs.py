"""Input files: that they are there is found before anything slow is imported."""

from __future__ import annotations

from pathlib import Path

from snnergy.artefacts.errors import UserError


def refuse_missing(path: Path, advice: str) -> None:
    """Raise `UserError` unless `path` is a file; `advice` says which one to pass instead."""
    if not path.is_file():
        found = "is a folder, not a file" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {found}; {advice}")
