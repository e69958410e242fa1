"""Typed reading of HDF5 fields that notes every missing or malformed one instead of stopping at the first.

A field is a dataset of a group or an attribute; both read alike. After a violation the reader returns a
harmless value of the right type, and `broken` tells that nothing read here may be used.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, TypeVar

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5t

from snnergy.artefacts.budget import VARIABLE, memory, size_text
from snnergy.artefacts.hdf5 import FAULTS, Unreadable, name_problem, read_attribute, read_dataset, type_text
from snnergy.artefacts.types import Labels, Shape

_INT32 = np.iinfo(np.int32)
_RANK_MAX = 8
_COUNT_MAX = 1 << 53
_BYTES_A_NUMBER = 32  # as read, as float64 while it is checked, as int64, and as its user wants it
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
        """Whether the field is there; notes a violation where that cannot be told."""
        try:
            return name in self.source
        except FAULTS as error:
            self.refuse(name, f"cannot be looked up ({error}); copy the file again, or {self.remake}")
            return False

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
        node = self._member(name)
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

    def integer(self, name: str, *, at_least: int = _INT32.min, at_most: int = _INT32.max) -> int:
        """One whole number within 32 bits and the limits; the nearest within them after a violation."""
        violations = len(self.violations)
        value = int(self._single(name, self.integers(name)))
        if not at_least <= value <= at_most and len(self.violations) == violations:
            limits = f"at least {at_least}" if at_most == _INT32.max else f"within {at_least}..{at_most}"
            self.refuse(name, f"{value}; must be {limits}")
        return max(at_least, min(value, at_most))

    def count(self, name: str) -> int:
        """One whole number from 0 to 2⁵³, up to which floats hold all; 0 after a violation."""
        violations = len(self.violations)
        value = float(self._single(name, self._numbers(name)))
        if 0 <= value <= _COUNT_MAX and value.is_integer():
            return int(value)
        if len(self.violations) == violations:
            self.refuse(name, f"{value:g}; must be a whole number from 0 to 2^53")
        return 0

    def real(self, name: str) -> float:
        """One finite number."""
        return float(self._single(name, self._numbers(name)))

    def scale(self, name: str, *, inverting: bool = False) -> float:
        """One finite number above 0, or other than 0 if it may be `inverting`; 1 after a violation."""
        violations = len(self.violations)
        value = self.real(name)
        if value > 0 or (value < 0 and inverting):
            return value
        if len(self.violations) == violations:
            self.refuse(name, f"{value:g}; must be {'other than' if inverting else 'above'} 0")
        return 1.0

    def flag(self, name: str) -> bool:
        """One truth value."""
        return bool(self.integer(name, at_least=0, at_most=1))

    def text(self, name: str) -> str:
        """One text, also where netx stores it as an array of one byte string."""
        value = self._value(name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        if isinstance(value, bytes | str):
            return _decoded(value)
        if value is not None:
            self.refuse(name, "not a text; store one string")
        return ""

    def name(self, name: str) -> str:
        """A text that can name a node."""
        violations = len(self.violations)
        value = self.text(name)
        problem = name_problem(value)
        if problem and len(self.violations) == violations:
            self.refuse(name, f"{value!r} {problem}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._value(name)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            if value.size == 0:
                return ()
            if all(isinstance(text, bytes | str) for text in value):
                return tuple(map(_decoded, value))
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
        """Positive extents, at least one; (1,) after a violation."""
        violations = len(self.violations)
        shape = tuple(self.integers(name).reshape(-1)[: _RANK_MAX + 1].tolist())
        if len(self.violations) == violations and not 1 <= len(shape) <= _RANK_MAX:
            self.refuse(name, f"{shape}; expected positive extents, 1 to {_RANK_MAX} of them")
        elif len(self.violations) == violations and (min(shape) < 1 or math.prod(shape) > _INT32.max):
            self.refuse(name, f"{shape}; expected positive extents of no more than 2^31 - 1 elements")
        return shape if len(self.violations) == violations else (1,)

    def json(self, name: str, default: _Json) -> _Json:
        """A JSON object or list, of the type of `default`; that itself where the field is left out."""
        text = self.text(name) if self.has(name) else ""
        try:
            value = json.loads(text) if text else default
        except (ValueError, RecursionError) as error:
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
        dataset = self._member(name)
        if not isinstance(dataset, h5py.Dataset):
            self.refuse(name, f"no such dataset; {self.remake}")
        elif dataset.shape != shape:
            self.refuse(name, f"shape {dataset.shape}, must be {shape}")
        elif dataset.id.get_type().get_class() not in (h5t.INTEGER, h5t.ENUM):
            self.refuse(name, f"holds {type_text(dataset)}, must hold integers")
        else:
            return dataset
        return None

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        """Finite numbers of any shape; a single zero after a violation."""
        needed = _BYTES_A_NUMBER * self._size(name)
        if needed > memory():
            self.refuse(name, f"needs {size_text(needed)} of memory, {size_text(memory())} are allowed; see {VARIABLE}")
            return np.zeros(1)
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

    def _member(self, name: str) -> object:
        """The group or dataset of that name, None where there is none or it is damaged."""
        try:
            return self.source.get(name)
        except FAULTS:
            return None

    def _size(self, name: str) -> int:
        """Number of values of a dataset; 0 for anything else, which is small."""
        node = None if isinstance(self.source, h5py.AttributeManager) else self._member(name)
        return int(node.size or 0) if isinstance(node, h5py.Dataset) else 0

    def _single(self, name: str, value: npt.NDArray[Any]) -> Any:
        if value.size == 1:
            return value.item()
        self.refuse(name, f"shape {value.shape}, expected one number")
        return 0

    def _value(self, name: str) -> object:
        """What is stored, or None after noting why nothing is."""
        violations = len(self.violations)
        if not self.has(name):
            if len(self.violations) == violations:
                self.refuse(name, f"missing; {self.remake}")
            return None
        try:
            if isinstance(self.source, h5py.AttributeManager):
                return read_attribute(self.source, name)
            node = self.source[name]
            if isinstance(node, h5py.Dataset):
                return read_dataset(node)
            self.refuse(name, f"is a group, not a value; {self.remake}")
        except (Unreadable, *FAULTS) as error:
            self.refuse(name, f"{error}; copy the file again, or {self.remake}")
        return None


def _decoded(text: bytes | str) -> str:
    """A stored text; bytes that are not UTF-8 become question marks, in a `str` of h5py's as well."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")
