"""The experiments that are part of the package, by name: `snnergy/configs/NAME.yaml`."""

from __future__ import annotations

from pathlib import Path

# From here through snnergy/, which is where this module is imported from in a checkout too.
_FOLDER = Path(__file__).parents[2] / "configs"
_ENDING = ".yaml"


def packaged_experiments() -> dict[str, Path]:
    """File of each packaged experiment by its name, sorted."""
    return dict(sorted((path.stem, path) for path in _FOLDER.glob(f"*{_ENDING}")))
