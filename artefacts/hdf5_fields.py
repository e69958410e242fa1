"""Typed reading of HDF5 fields that notes every missing or malformed one instead of stopping at the first.

A field is a dataset of a group or an attribute; both read alike. After a violation the reader returns a
harmless value of the right type, and `broken` tells that nothing read here may be used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.types import Labels, Shape

_INT32 = np.iinfo(np.int32)
_Choice = TypeVar("_Choice", bound=str)
_Json = TypeVar("_Json", dict[str, Any], list[Any])


@dataclass
class Fields:
    """Fields of one HDF5 group, or of its attributes.

    source: an `h5py.Group` or the `.attrs` of one.
    where: how messages name it, as in `model.net: /layer/3`.
    violations: shared list that messages are appended to.
    remake: what to do about a file that lacks something, as in `compile it again`.
    broken: whether any field read here was refused.
    """

    source: Any
    where: str
    violations: list[str]
    remake: str
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
            self.refuse(name, f"no such group; {self.remake}")
            return None
        return Fields(node.attrs if attributes else node, f"{self.where}/{name}", self.violations, self.remake)

    def attributes(self) -> Fields:
        """The attributes of this group."""
        return Fields(self.source.attrs, self.where, self.violations, self.remake)

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

    def integer(self, name: str, *, at_least: int | None = None) -> int:
        """One whole number within 32 bits, not below `at_least`."""
        value = int(self._single(name, self.integers(name)))
        if at_least is not None and value < at_least:
            if not self.broken:
                self.refuse(name, f"{value}; must be at least {at_least}")
            return at_least
        return value

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
            return str(value)
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

    def choice(self, name: str, allowed: tuple[_Choice, ...]) -> _Choice:
        """One of the texts `allowed`; the last of them after a violation."""
        violations = len(self.violations)
        value = self.text(name)
        for option in allowed:
            if value == option:
                return option
        if len(self.violations) == violations:
            self.refuse(name, f"{value!r}; must be one of {', '.join(allowed)}")
        return allowed[-1]

    def shape(self, name: str) -> Shape:
        """Positive extents, at least one."""
        violations = len(self.violations)
        shape = tuple(self.integers(name).reshape(-1).tolist())
        if len(self.violations) == violations and (not shape or min(shape) < 1):
            self.refuse(name, f"{shape}; expected positive extents")
        return shape if shape and min(shape) > 0 else (1,)

    def json(self, name: str, default: _Json) -> _Json:
        """A JSON object or list, of the type of `default`; that itself where the field is left out."""
        text = self.text(name) if self.has(name) else ""
        try:
            value = json.loads(text) if text else default
        except json.JSONDecodeError as error:
            self.refuse(name, f"not JSON ({error}); {self.remake}")
            return default
        if isinstance(value, type(default)):
            return value
        self.refuse(name, f"not a JSON {'object' if isinstance(default, dict) else 'list'}; {self.remake}")
        return default

    def labels(self) -> Labels:
        """Labels of a node; what is left out, and −1, is unknown."""
        stage, block = (self.integer(name, at_least=-1) if self.has(name) else -1 for name in ("stage", "block"))
        role, modality = (self.text(name) if self.has(name) else "" for name in ("role", "modality"))
        return Labels(role, None if stage < 0 else stage, None if block < 0 else block, modality)

    def dataset(self, name: str, shape: Shape) -> h5py.Dataset | None:
        """The dataset of integers of that shape, not read yet, or None and a violation."""
        dataset = self.source.get(name)
        if not isinstance(dataset, h5py.Dataset):
            self.refuse(name, f"no such dataset; {self.remake}")
        elif dataset.shape != shape:
            self.refuse(name, f"shape {dataset.shape}, must be {shape}")
        elif dataset.dtype.kind not in "iub":
            self.refuse(name, f"holds {dataset.dtype}, must hold integers")
        else:
            return dataset
        return None

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
            self.refuse(name, f"missing; {self.remake}")
            return None
        try:
            node = self.source[name]
            stored = node[()] if isinstance(node, h5py.Dataset) else node
        except (OSError, KeyError, RuntimeError) as error:
            self.refuse(name, f"cannot be read ({error}); copy the file again, it is damaged")
            return None
        if isinstance(stored, h5py.Group | h5py.Empty):
            self.refuse(name, f"holds no value; {self.remake}")
            return None
        return stored
