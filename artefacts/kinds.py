"""Tells the project's files apart by what is in them, so that one in the wrong place is sent to the right one."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.zips import open_zip

if TYPE_CHECKING:
    import h5py

# What the readers of HDF5 and of zip raise over wrong bytes; UnicodeDecodeError is a ValueError.
_DAMAGE = (
    zipfile.BadZipFile, ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    SystemError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """title: what the file is. taken_by: the commands, and functions of the same name, that take it. origin: where
    one comes from.
    """

    title: str
    taken_by: str
    origin: str


ACTIVITY_FORMAT = "snnergy-activity"  # the attribute of a file by which it is known
CHECKPOINT = Kind("a checkpoint of a trained network", "`export`", "pass the checkpoint.pt of a finished training run")
NIR = Kind("a NIR graph", "`compile`", "export one with export-nir")
NETX = Kind("a netx network", "`simulate`", "give a .net file written by `snnergy compile` or lava-dl")
ACTIVITY = Kind("recorded activity", "`energy`", "record one with `snnergy simulate MODEL.net --input X`")
SAMPLES = Kind("a samples file", "`simulate`, and `compile` as calibration,", "write one with numpy.savez")


def recognise(path: Path) -> Kind | None:
    """The kind of a file, or None for one that is missing or of no kind that is known here."""
    try:
        if not path.is_file():
            return None
        import h5py  # here, so that a missing file is said without it

        if h5py.is_hdf5(path):
            from snnergy.artefacts.hdf5 import deadly

            if deadly(path):
                return None
            with h5py.File(path, "r") as file:
                return _of_hdf5(file)
        if zipfile.is_zipfile(path):
            with open_zip(path) as archive:
                return _of_zip(archive.namelist())
        with path.open("rb") as start:
            return SAMPLES if start.read(6) == b"\x93NUMPY" else None
    except _DAMAGE:
        return None


def require(*inputs: tuple[Path | None, Kind]) -> None:
    """Raise `UserError` for every input that is missing, or surely a file of another kind; None was not given.

    What is unknown is left to its reader.
    """
    violations = [line for path, wanted in inputs if path is not None for line in _problems(path, wanted)]
    if violations:
        raise UserError(violations)


def _problems(path: Path, wanted: Kind) -> list[str]:
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        return [f"{path}: {what}; {wanted.origin}"]
    found = recognise(path)
    if found is None or found.title == wanted.title:
        return []
    return [f"{path}: is {found.title}, not {wanted.title}; {found.taken_by} takes it"]


def _of_hdf5(file: h5py.File) -> Kind | None:
    from snnergy.artefacts.hdf5 import has_link, read_attribute

    if has_link(file, "node"):
        return NIR
    if has_link(file, "layer") or has_link(file, "graph"):
        return NETX
    declared = read_attribute(file.attrs, "format") if "format" in file.attrs else None
    return ACTIVITY if isinstance(declared, str) and declared == ACTIVITY_FORMAT else None


def _of_zip(members: list[str]) -> Kind | None:
    if any(name.endswith("/data.pkl") for name in members):
        return CHECKPOINT
    return SAMPLES if members and all(name.endswith(".npy") for name in members) else None
