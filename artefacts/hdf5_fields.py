"""Typed reading of HDF5 fields that notes every missing or malformed one instead of stopping at the first.

A field is a dataset of a group or an attribute; both read alike. After a violation the reader returns a
harmless value of the right type, and `broken` tells that nothing read here may be used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

_INT32 = np.iinfo(np.int32)


@dataclass
class Fields:
    """Fields of one HDF5 group, or of its attributes.

    source: an `h5py.Group` or the `.attrs` of one.
    where: how messages name it, as in `model.net: /layer/3`.
    violations: shared list that messages are appended to.
    broken: whether any field read here was refused.
    """

    source: Any
    where: str
    violations: list[str]
    broken: bool = False

    def refuse(self, name: str, problem: str) -> None:
        """Note that field `name` cannot be used."""
        self.broken = True
        self.violations.append(f"{self.where}/{name}: {problem}")

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.source

    def numbered(self) -> int:
        """How many entries the group has; notes a violation unless they are named 0, 1, 2, …"""
        names = set(self.source)
        gaps = sorted({str(i) for i in range(len(names))} - names, key=int)
        if gaps:
            self.refuse(gaps[0], f"missing, the group holds {sorted(names)}; number the entries from 0 without gaps")
            return 0
        return len(names)

    def group(self, name: str, *, attributes: bool = False) -> Fields | None:
        """Datasets (or attributes) of the group `name`, or None and a violation where there is no such group."""
        node = self.source.get(name)
        if not isinstance(node, h5py.Group):
            self.refuse(name, "no such group; write the file again, it is incomplete")
            return None
        return Fields(node.attrs if attributes else node, f"{self.where}/{name}", self.violations)

    def integers(self, name: str) -> npt.NDArray[np.int64]:
        """Whole numbers of any shape within 32 bits; integers stored as floats are accepted."""
        value = self._numbers(name)
        bad = value != np.rint(value)
        if bad.any():
            first = value[bad].flat[0]
            self.refuse(name, f"{bad.sum()} values are not whole numbers (first {first:g}); quantize before export")
        elif value.size and (value.min() < _INT32.min or value.max() > _INT32.max):
            self.refuse(name, f"values {value.min():g}..{value.max():g} leave 32 bits; quantize before export")
        else:
            return value.astype(np.int64)
        return np.zeros(1, np.int64)

    def integer(self, name: str) -> int:
        """One whole number within 32 bits."""
        return int(self._single(name, self.integers(name)))

    def real(self, name: str) -> float:
        """One finite number."""
        return float(self._single(name, self._numbers(name)))

    def flag(self, name: str) -> bool:
        """One truth value."""
        return bool(self.integer(name))

    def text(self, name: str) -> str:
        """One text, also where netx stores it as an array of one byte string."""
        value = self._value(name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value
        if value is not None:
            self.refuse(name, "not a text; store one string")
        return ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._value(name)
        if isinstance(value, np.ndarray) and value.ndim == 1 and all(isinstance(v, str) for v in value):
            return tuple(value)
        if value is not None:
            self.refuse(name, "not a list of texts; store an array of strings")
        return ()

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        """Finite numbers of any shape; a single zero after a violation."""
        value = self._value(name)
        if value is None:
            return np.zeros(1)
        array = np.asarray(value)
        if array.dtype.kind not in "buif":
            self.refuse(name, f"type {array.dtype}; store numbers")
            return np.zeros(1)
        if not np.isfinite(array).all():
            self.refuse(name, f"{(~np.isfinite(array)).sum()} values are NaN or infinite; export the network again")
            return np.zeros(1)
        return array

    def _single(self, name: str, value: npt.NDArray[Any]) -> Any:
        if value.size == 1:
            return value.item()
        self.refuse(name, f"shape {value.shape}, expected one number")
        return 0

    def _value(self, name: str) -> object:
        """What is stored, or None after noting why nothing is."""
        if not self.has(name):
            self.refuse(name, "missing; write the file again with `snnergy compile` or lava-dl's export_hdf5")
            return None
        try:
            node = self.source[name]
            stored = node[()] if isinstance(node, h5py.Dataset) else node
        except (OSError, KeyError, RuntimeError) as error:
            self.refuse(name, f"cannot be read ({error}); copy the file again, it is damaged")
            return None
        if isinstance(stored, h5py.Group | h5py.Empty):
            self.refuse(name, "holds no value; write the file again, it is incomplete")
            return None
        return stored
