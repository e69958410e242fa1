"""Samples as every folder hands them on: one array an input, in the model's own units, and a label each.

A samples file is `.npz` with one array for each input, or `.npy` for a network with one input; arrays are
`(samples, T, *shape)`, or `(T, *shape)` for a single sample. `label` in an `.npz` holds the class of each sample.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.array_files import KINDS, WIDEST, Array, read_arrays
from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import written_whole
from snnergy.artefacts.kinds import SAMPLES, require
from snnergy.artefacts.late_errors import LateErrors
from snnergy.artefacts.types import IntArray, Shape

MODALITIES = ("video", "audio")
LABEL = "label"
PIXEL_MAX = 255  # of an 8-bit pixel; 1 in the model's units
_LAST_CLASS = (1 << 31) - 1
_BYTES_PER_LABEL = 24  # as given, as an integer, and what is said of it
_NAMED = 8  # arrays that a message names: an archive can hold thousands
_log = logging.getLogger(__name__)


def to_units(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """8-bit pixels in the model's units: pixel / 255, float32."""
    return pixels.astype(np.float32) / np.float32(PIXEL_MAX)


@dataclass(frozen=True, eq=False)
class Samples:
    """arrays: real values of each input, `(N, T, *shape)`. labels: classes `(N,)` int64, or None."""

    arrays: dict[str, Array]
    labels: IntArray | None = None

    def __len__(self) -> int:
        return next(iter(self.arrays.values())).shape[0]

    def first(self, count: int | None) -> Samples:
        """The first `count` samples; all of them for None."""
        return self.rows(slice(None, count))

    def rows(self, chosen: slice) -> Samples:
        """A range of samples, as views."""
        labels = None if self.labels is None else self.labels[chosen]
        return Samples({name: array[chosen] for name, array in self.arrays.items()}, labels)

    @property
    def steps(self) -> int:
        """T."""
        return int(next(iter(self.arrays.values())).shape[1])

    def batches(self, at_once: int | None = None) -> Iterator[Samples]:
        """All of them, so many at a time, by default at once; as views."""
        at_once = at_once or len(self)
        return (self.rows(slice(first, first + at_once)) for first in range(0, len(self), at_once))

    def held(self, at_once: int) -> int:
        """Bytes that they take, while batches are handed out: a part of an array keeps the whole."""
        bases = (array.base if isinstance(array.base, np.ndarray) else array for array in self.arrays.values())
        return sum(base.nbytes for base in bases)

    def read(self) -> Samples:
        """Themselves: they lie in memory."""
        return self


SampleSource = Samples | Mapping[str, Any] | tuple[Any, Any] | Path | str | Array | Any


def as_samples(source: SampleSource, shapes: Mapping[str, Shape], *, labels: Any = None) -> Samples:
    """Samples for the inputs `shapes`, from whatever a caller has.

    Args:
        source: a path, arrays by input name (`label` may be among them), one array for a network with one input, a pair
            of any of these and labels, or samples. Arrays are of numpy, of torch, or what numpy takes for one.
        shapes: shape of each input by name, without samples and time.
        labels: class of each sample, instead of those in `source`.

    Raises:
        UserError: a missing or unreadable file, or an array that is missing, not finite or of another shape; labels
            that are no classes; all violations at once.
    """
    if isinstance(source, str | Path):
        return read_samples(Path(source), shapes, labels=labels)
    if isinstance(source, Samples):
        return checked(source.arrays, shapes, source.labels if labels is None else labels, "samples")
    if isinstance(source, tuple):
        if len(source) != 2:
            raise UserError(f"samples: a tuple of {len(source)}; give (arrays, labels), or the arrays alone")
        return as_samples(source[0], shapes, labels=source[1] if labels is None else labels)
    if isinstance(source, Mapping):
        found = source.get(LABEL) if LABEL not in shapes else None
        named = {str(name): value if name in shapes else None for name, value in source.items()}
        return checked(named, shapes, found if labels is None else labels, "samples")
    return checked(_named(source, shapes, "samples"), shapes, labels, "samples")


def read_samples(path: Path, shapes: Mapping[str, Shape], *, time_last: bool = False, labels: Any = None) -> Samples:
    """Read a samples file for the inputs `shapes`; members that no input asks for are not read.

    Args:
        shapes: shape of each input by name, without samples and time.
        time_last: arrays are `(*shape, T)`, one sample, as lava-dl stores its vectors.
        labels: class of each sample, instead of those in the file.

    Raises:
        UserError: as `as_samples`.
    """
    arrays, found = _load(path, shapes)
    if time_last:
        arrays = {
            name: array if array is None or not array.ndim else np.moveaxis(array, -1, 0)
            for name, array in arrays.items()
        }
    return checked(arrays, shapes, found if labels is None else labels, str(path))


def as_classes(labels: Any, classes: int | None = None) -> IntArray:
    """Labels as int64 classes 0, 1, 2, …; whole numbers stored as floats are classes too.

    Args:
        classes: how many there are, None where that is not known.

    Raises:
        ValueError: something else is among them.
    """
    array = _array(labels)
    if array.dtype.kind not in "buif":
        raise ValueError(f"holds {array.dtype}; store the number of each sample's class, 0, 1, 2, …")
    wrong = ~((array >= 0) & (array <= _LAST_CLASS))  # a NaN is neither
    if array.dtype.kind == "f":
        wrong |= array != np.rint(array)
    if wrong.any():
        first = array[wrong].flat[0]
        raise ValueError(f"{wrong.sum()} values are no classes (first {first:g}); classes are 0, 1, 2, …")
    if classes is not None and array.max(initial=0) >= classes:
        raise ValueError(f"{array.max():g} is none of the {classes} classes, 0 to {classes - 1}")
    return array.astype(np.int64)


def write_samples(path: Path, arrays: Mapping[str, Array], *, force: bool = False) -> None:
    """Write arrays, `label` among them if there are labels, as the `.npz` that `read_samples` takes.

    Raises:
        UserError: `path` exists and `force` is false, or it cannot be written.
    """
    # Through an open file, because savez appends .npz to any other name.
    with written_whole(path, force=force) as scratch, LateErrors(scratch) as file:
        np.savez_compressed(file, **arrays)


def checked(arrays: Mapping[str, Any], shapes: Mapping[str, Shape], labels: Any, where: str) -> Samples:
    """Samples whose arrays have the shapes of the inputs, or a `UserError` with everything that is wrong.

    Args:
        arrays: by name; those that no input asks for are named in messages and not looked at.
        where: how messages name the source.
    """
    found: dict[str, Array] = {}
    violations = []
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            violations.append(f"{where}: no array {name!r}, has {_some(arrays)}; name the arrays after the inputs")
            continue
        try:
            found[name] = _with_sample_axis(_array(array), shape, f"{where}: {name}")
        except ValueError as error:
            violations.append(f"{where}: {name}: {error}")
    lengths = {name: array.shape[:2] for name, array in found.items()}
    if len(set(lengths.values())) > 1:
        violations.append(f"{where}: the inputs differ in samples or time steps: {lengths}; give all the same")
    classes = None
    if labels is not None:
        try:
            classes = one_each(labels, next(iter(lengths.values()))[0] if len(set(lengths.values())) == 1 else None)
        except ValueError as error:
            violations.append(f"{where}: {LABEL}: {error}")
    if violations:
        raise UserError(violations)
    return Samples(found, classes)


def one_each(labels: Any, samples: int | None) -> IntArray:
    """Labels as classes, their number held to that of the samples first; None where that is not known."""
    array = _array(labels)
    if samples is not None and array.shape != (samples,):
        raise ValueError(f"shape {array.shape}, the inputs hold {samples} samples; give one label a sample")
    refuse_excess(f"{array.size} labels", _BYTES_PER_LABEL * array.size)
    return as_classes(array)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return f"{ordered[:_NAMED]}{f' and {len(ordered) - _NAMED} more' if len(ordered) > _NAMED else ''}"


def _array(value: Any) -> Array:
    """A numpy array of what was given; a torch tensor leaves its device and graph.

    Raises:
        ValueError: it is none.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        return np.asarray(value)
    except (TypeError, RuntimeError) as error:  # torch's types that numpy lacks
        raise ValueError(f"is no array ({error}); give one of numpy's") from error


def _named(array: Any, shapes: Mapping[str, Shape], where: str) -> dict[str, Any]:
    if len(shapes) != 1:
        raise UserError(f"{where}: one array for {len(shapes)} inputs; give one for each of {list(shapes)}, by name")
    return {next(iter(shapes)): array}


def _load(path: Path, shapes: Mapping[str, Shape]) -> tuple[dict[str, Array | None], Array | None]:
    """Every array of a file by name, None for one that is not wanted, and its labels."""
    require((path, replace(SAMPLES, origin=f"give an .npz with arrays {list(shapes)}")))
    loaded = read_arrays(path, {*shapes, LABEL})
    if isinstance(loaded, np.ndarray):
        return {**_named(loaded, shapes, str(path))}, None
    return loaded, None if LABEL in shapes else loaded.get(LABEL)


def is_one_sample(given: Shape, shape: Shape) -> bool:
    """Whether an array of that shape is a single sample for an input `shape`.

    Raises:
        ValueError: it is no samples for it at all.
    """
    # lava-dl's files pad shapes with ones, (1, 1, 64), its vectors do not, (64,).
    fitting = (shape, tuple(extent for extent in shape if extent != 1))
    one = len(given) > 0 and given[1:] in fitting
    if 0 in given or not (one or (len(given) > 1 and given[2:] in fitting)):
        raise ValueError(f"shape {given}, the network takes (samples, T, {', '.join(map(str, shape))})")
    return one


def _with_sample_axis(array: Array, shape: Shape, where: str) -> Array:
    given = array.shape
    if is_one_sample(given, shape):
        array = array[None]
    if array.dtype.kind not in KINDS or array.dtype.itemsize > WIDEST:
        raise ValueError(f"type {array.dtype}; store numbers")
    # A NaN is the smallest and the largest value, so that no mask of the whole array is needed.
    if array.dtype.kind == "f" and not np.isfinite([array.min(), array.max()]).all():
        raise ValueError("holds NaN or infinity; clean the data first")
    if array.ndim == len(given) + 1:
        _log.warning("%s: %s is taken for one sample of %d time steps; give (samples, T, …)", where, given, given[0])
    # Torch takes none of the other byte order.
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.reshape(*array.shape[:2], *shape)
