"""Numbers, texts, names and payloads that a stranger's file may hold where a reader expects something tame."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 3, 17, 255, 256, 4096, 32768, 65536, 10**6, 10**9, 2**31 - 1, 2**31, -(2**31), 2**32, 2**62, 2**63 - 1,
    -(2**63), np.uint64(2**64 - 1), 0.5, 1.5, -0.0, -2.5, 1e-308, 1e-30, 1e10, 1e38, 1e39, 1e308, -1e308, float("nan"),
    float("inf"), float("-inf"), True, False, 1 + 2j,
)  # fmt: skip
TEXTS = (
    "", " ", "0", "1", "nan", "true", "input", "a/b", "/", "..", "../outside", "/etc/passwd", "~", "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07", "bell\x07", "line\nline", "tail\r", "\x7f", "\x9b31m", "$\\frac{1}", "$x_{", "\\input{x}", "$$",
    "=cmd|' /C calc'!A0", "@SUM(1)", "<script>alert(1)</script>", "<img src=x onerror=1>", "{{7*7}}", "{0.__class__}",
    "%s%n", "[bold]x[/bold]", "[/]", "[link=x]", "x" * 300, "é" * 300, "x" * 70_000, "\u202egnp.", "𝔘", "\ufeff",
    "null",
    "{}", "[]", '{"a": ' * 400, "[" * 3000, "1e999", "9" * 5000, '{"dt": NaN}', "CON", "-rf", "--force", "-o", "\udcff",
    "\ud800", "nul\x00l",
)  # fmt: skip
DTYPES = ("f2", "f4", "f8", "g", ">f4", ">i4", "i1", "u1", "i8", "u8", "?", "c8", "S7", "S0")


def number(rng: random.Random) -> Any:
    """An extreme, or a small number that is only nearly right."""
    return rng.choice(NUMBERS) if rng.random() < 0.7 else rng.choice((rng.randint(-9, 99), rng.uniform(-3, 9)))


def text(rng: random.Random, *, name: bool = False) -> str:
    """A text; as the name of an object it has neither NUL nor a lone surrogate that HDF5 cannot store."""
    chosen = rng.choice(TEXTS)
    if not name:
        return chosen
    return chosen.replace("\x00", "0").replace("\ud800", "?") or "."


def nearly(rng: random.Random, array: Array) -> Array:
    """An array with some of its numbers replaced, in a type that holds them."""
    value = array.flat[rng.randrange(array.size)] if array.size and rng.random() < 0.3 else number(rng)
    wide = array.astype(np.result_type(array.dtype, np.asarray(value).dtype)) if rng.random() < 0.6 else array.copy()
    if not wide.size:
        return wide
    places = [rng.randrange(wide.size) for _ in range(rng.choice((1, 1, 2, wide.size)))]
    with np.errstate(all="ignore"):
        wide.flat[places] = np.asarray(value).astype(wide.dtype)
    return wide


def reshaped(rng: random.Random, array: Array) -> Array:
    """The same numbers in another shape, or fewer of them, or none."""
    kind = rng.randrange(8)
    if kind == 0:
        return array.reshape(-1)
    if kind == 1:
        return array[None]
    if kind == 2:
        return array[..., None]
    if kind == 3:
        return array.T
    if kind == 4 and array.ndim:
        return array[: rng.randrange(array.shape[0] + 1)]
    if kind == 5:
        return array[..., :0] if array.ndim else np.zeros((0,), array.dtype)
    if kind == 6:
        return np.concatenate([array.reshape(-1)] * 2)
    return array.reshape((1,) * rng.choice((3, 12, 32 - array.ndim)) + array.shape)


def retyped(rng: random.Random, array: Array) -> Any:
    """The same numbers in another type, or a type of its own."""
    kind = rng.random()
    if kind < 0.6:
        with np.errstate(all="ignore"):
            return array.astype(rng.choice(DTYPES))
    if kind < 0.7:
        return np.zeros(array.shape, [("a", "i4"), ("b", "f8")])
    if kind < 0.8:
        return array.astype("S").tolist()
    return np.zeros(array.shape, rng.choice(("M8[s]", "V5", "i4, (2,)f4")))


def stored(rng: random.Random, old: Any = None) -> Any:
    """Something to put into a dataset or an attribute in place of `old`."""
    if isinstance(old, np.ndarray | np.generic) and np.asarray(old).dtype.kind in "buif" and rng.random() < 0.7:
        return rng.choice((nearly, nearly, nearly, reshaped, retyped))(rng, np.asarray(old))
    kind = rng.random()
    if kind < 0.4:
        return number(rng)
    if kind < 0.75:
        return text(rng).replace("\x00", "0").encode("utf-8", "surrogatepass")
    if kind < 0.8:
        return h5py.Empty(rng.choice(("f4", "i8", "S4")))
    if kind < 0.9:
        return np.array([number(rng)] * rng.choice((0, 1, 2, 3, 1000)))
    return np.array([text(rng).replace("\x00", "0").encode("utf-8", "replace")] * rng.choice((1, 2, 9)), dtype=object)


class Payload:
    """A pickle of this writes a file when it is read."""

    def __init__(self, marker: Path, kind: int) -> None:
        self.marker, self.kind = str(marker), kind

    def __reduce__(self) -> tuple[Any, ...]:
        import os
        import subprocess

        return (
            (os.system, (f"touch {self.marker}",)),
            (open, (self.marker, "w")),
            (eval, (f"open({self.marker!r}, 'w')",)),
            (subprocess.call, (["touch", self.marker],)),
            (Path, (self.marker,)),
        )[self.kind % 5]
