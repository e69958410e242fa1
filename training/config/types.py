"""What the sections of an experiment have in common: value ranges, strictness, and how a section refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Positive = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes


def refuse(violations: Sequence[str]) -> None:
    """Raise what pydantic reports as one error of the section, a line for each violation."""
    if violations:
        raise ValueError("\n".join(violations))
