"""The spoken digits of GRID as one HDF5 file of cut clips, checked before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import FAULTS, opened
from snnergy.training.config.data import GridConfig, Split
from snnergy.training.data.cache import Arrays
from snnergy.training.data.presence import GRID_LAYOUT

_SAMPLES = 12800  # of a clip
# Of each item of the file: the shape of a row, and its type in numpy's hierarchy.
_ROW: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "video": ((8, 96, 96), np.uint8),
    "audio": ((_SAMPLES,), np.int16),
    "label": ((), np.integer),
    "split": ((), np.bytes_),
    "word_span": ((2,), np.integer),
}
_SMALL = ("label", "split", "word_span")  # items whose values are checked
_ADVICE = f"expected {GRID_LAYOUT}; make or fetch the file again"


def read(path: Path, split: Split) -> Arrays:
    """The rows of one split.

    Returns:
        video uint8 `(N, 8, 96, 96)`, audio int16 `(N, 12800)`, label `(N,)`, word_span `(N, 2)`.

    Raises:
        UserError: with everything that is wrong with the file.
    """
    try:
        with opened(path, _ADVICE, whole=False) as file:
            items, violations = _items(file)
            violations += _wrong_values({name: item[:] for name, item in items.items() if name in _SMALL}, split)
            if violations:
                raise UserError([*(f"{path}: {line}" for line in violations), f"{path}: {_ADVICE}"])
            rows = np.flatnonzero(items["split"][:] == split.encode())
            return {name: items[name][rows] for name in ("video", "audio", "label", "word_span")}
    except FAULTS as error:
        raise UserError(f"{path}: is damaged ({error}); {_ADVICE}") from None


def _items(file: h5py.File) -> tuple[dict[str, h5py.Dataset], list[str]]:
    """The items whose rows are those of `_ROW`, and a line for each thing that is wrong with the others."""
    found = {name: file[name] for name in _ROW if isinstance(file.get(name), h5py.Dataset)}
    missing = [name for name in _ROW if name not in found]
    wrong = [f"lacks {', '.join(missing)}"] if missing else []
    items = {}
    for name, item in found.items():
        shape, kind = _ROW[name]
        # To numpy, strings without a fixed length are objects.
        dtype = np.dtype(bytes) if h5py.check_string_dtype(item.dtype) else item.dtype
        if item.shape and item.shape[1:] == shape and np.issubdtype(dtype, kind):
            items[name] = item
        else:
            wrong.append(f"{name} has shape {item.shape} and type {item.dtype}")
    lengths = {name: len(item) for name, item in items.items()}
    if len(set(lengths.values())) > 1:
        wrong.append(f"items differ in length: {', '.join(f'{name} {length}' for name, length in lengths.items())}")
    return items, wrong


def _wrong_values(columns: Arrays, split: Split) -> list[str]:
    """A line for each column with values out of range, and for a split without rows."""
    wrong = []
    if "label" in columns:
        label = columns["label"]
        wrong += _wrong_rows("label", label, (label < 0) | (label >= GridConfig.CLASSES), "0 to 9")
    if "word_span" in columns:
        start, end = columns["word_span"].T
        outside = (start < 0) | (start >= end) | (end > _SAMPLES)
        wrong += _wrong_rows("word_span", columns["word_span"], outside, f"start < end, within 0 to {_SAMPLES}")
    if "split" in columns and split.encode() not in columns["split"]:
        wrong.append(f"split has no row {split!r}")
    return wrong


def _wrong_rows(name: str, values: npt.NDArray[Any], wrong: npt.NDArray[np.bool_], allowed: str) -> list[str]:
    """One line for all the wrong rows of a column, with the first of them."""
    if not wrong.any():
        return []
    first = wrong.argmax()
    return [f"{name} = {values[first].tolist()} in row {first}: must be {allowed}; {wrong.sum()} such rows"]
