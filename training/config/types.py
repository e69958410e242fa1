"""What the sections of an experiment have in common: value ranges, strictness, and how a section refuses."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

# Every number has two ends. Where nature gives none, it is one that no experiment comes near, and that neither single
# precision nor an integer of 64 bits minds.
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
NotNegative = Annotated[int, Field(ge=0, le=4096)]
Probability = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
PositiveFloat = Annotated[float, Field(ge=1e-12, le=1e6)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes

_LONGEST_PATH, _LONGEST_NAME = 4000, 255  # of Linux, in bytes


def _sound_path(path: Path) -> Path:
    if not str(path).isprintable():
        raise PydanticCustomError("path", "must be a path of printable characters")
    if len(str(path).encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in path.parts):
        raise PydanticCustomError("path", "is too long for a path")
    return path


Folder = Annotated[Path, AfterValidator(_sound_path)]


def refuse(violations: Sequence[str]) -> None:
    """Raise what pydantic reports as one error of the section, a line for each violation."""
    if violations:
        raise ValueError("\n".join(violations))


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value: Any) -> str:
    """A value in a message: on one line, and not longer than one."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python refuses to write out an integer of thousands of digits
        return f"a {type(value).__name__} too long to show"


def word(name: object) -> str:
    """A name in a message: as it is, or the quoted beginning of one that is no plain word."""
    text = str(name)
    return text if text.isprintable() and len(text) <= 80 else shown(text)
