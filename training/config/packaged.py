"""The experiments that are part of the package, by name: `snnergy/configs/NAME.yaml`, NAME may be `table1/cmci`."""

from __future__ import annotations

from pathlib import Path

# From here through snnergy/, which is where this module is imported from in a checkout too.
_FOLDER = Path(__file__).parents[2] / "configs"
_ENDING = ".yaml"


def packaged_experiments() -> dict[str, Path]:
    """File of each packaged experiment by its name, sorted."""
    files = _FOLDER.rglob(f"*{_ENDING}")
    return dict(sorted((path.relative_to(_FOLDER).with_suffix("").as_posix(), path) for path in files))


def experiment_names(wanted: str = "") -> str:
    """The names in a message: those of a folder only where it begins the name that was `wanted`."""
    names, folder = list(packaged_experiments()), wanted.rpartition("/")[0]
    inside = [name for name in names if folder and name.startswith(f"{folder}/")]
    if inside:
        return ", ".join(inside)
    folders = sorted({name.partition("/")[0] for name in names if "/" in name})
    return ", ".join([name for name in names if "/" not in name] + [f"{folder}/..." for folder in folders])
