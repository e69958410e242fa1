"""What a run's folder holds to go on from, and whether that is sound: known without importing torch and Lightning."""

from __future__ import annotations

from pathlib import Path

from snnergy.artefacts.errors import OutputRefused
from snnergy.training import torch_archive

BEST, LAST = "best.ckpt", "last.ckpt"


class StateRefused(OutputRefused):
    """A run cannot go on from the state that it left; it can be started anew."""


def refuse_damaged(folder: Path) -> None:
    """Raise `StateRefused` where the unfinished run of a folder cannot be gone on with.

    Args:
        folder: of the run.
    """
    for path in (folder / "resume" / name for name in (LAST, BEST)):
        try:
            if path.is_file():
                torch_archive.check(path)
        except (torch_archive.Damaged, torch_archive.Forbidden, OSError) as error:
            raise refusal(path, error) from None


def refusal(path: Path, error: Exception) -> StateRefused:
    """The error for a file that a run cannot go on from."""
    reason = " ".join(str(error).split())[:200]
    return StateRefused(f"{path}: the unfinished run cannot go on from it ({reason})", replaceable=True)
