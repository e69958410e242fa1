"""Samples that stay in their file: a few at a time are in memory, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from snnergy.artefacts.array_files import Header, Headers, read_arrays, read_headers, read_rows
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.kinds import SAMPLES, require
from snnergy.artefacts.samples import (
    LABEL,
    Samples,
    SampleSource,
    as_samples,
    checked,
    is_one_sample,
    one_each,
    read_samples,
)
from snnergy.artefacts.types import IntArray, Shape

_AT_ONCE = 1 << 20  # bytes of a piece where nobody says how many samples it has


@dataclass(frozen=True, eq=False)
class SampleFile:
    """The first `count` samples of a file of arrays `(N, T, *shape)`, as `Samples` has them in memory.

    headers: of each input's array. shapes: of each input, without samples and time. labels: classes `(count,)`.
    """

    path: Path
    headers: Mapping[str, Header]
    shapes: Mapping[str, Shape]
    count: int
    labels: IntArray | None = None

    def __len__(self) -> int:
        return self.count

    @property
    def steps(self) -> int:
        """T."""
        return next(iter(self.headers.values())).shape[1]

    def first(self, count: int | None) -> SampleFile:
        """The first `count` samples; all of them for None."""
        few = self.count if count is None else min(count, self.count)
        return replace(self, count=few, labels=None if self.labels is None else self.labels[:few])

    def labelled(self, labels: Any) -> SampleFile:
        """With the class of each sample.

        Raises:
            UserError: they are no classes, or not as many as there are samples.
        """
        try:
            return replace(self, labels=one_each(labels, self.count))
        except ValueError as error:
            raise UserError(f"{self.path}: {LABEL}: {error}") from error

    def batches(self, at_once: int | None = None) -> Iterator[Samples]:
        """Read so many at a time, by default as many as do not weigh.

        Raises:
            UserError: the file is damaged or has changed, or a value is not finite.
        """
        at_once = at_once or max(1, _AT_ONCE // self._bytes_each)
        for index, arrays in enumerate(read_rows(self.path, self.headers, self.count, at_once)):
            labels = None if self.labels is None else self.labels[index * at_once : (index + 1) * at_once]
            yield checked(arrays, self.shapes, labels, str(self.path))

    def held(self, at_once: int) -> int:
        """Bytes of a batch, as it is read and as it is handed out, and of the pieces that are looked at before."""
        return 2 * max(at_once * self._bytes_each, min(_AT_ONCE, self.count * self._bytes_each))

    def read(self) -> Samples:
        """All of them in memory.

        Raises:
            UserError: as `read_samples`.
        """
        if self.count == self._stored:
            return read_samples(self.path, self.shapes, labels=self.labels)
        return next(self.batches(self.count))

    @property
    def _stored(self) -> int:
        return len(next(iter(self.headers.values())))

    @property
    def _bytes_each(self) -> int:
        return sum(prod(header.shape[1:]) * header.dtype.itemsize for header in self.headers.values())


def sample_source(source: SampleSource, shapes: Mapping[str, Shape], *, labels: Any = None) -> Samples | SampleFile:
    """Samples for the inputs `shapes`, left in their file where it is one that can be read a few at a time.

    Args:
        source, shapes, labels: as `as_samples` takes them, or a `SampleFile`.

    Raises:
        UserError: as `as_samples`; what is wrong with values in a file is found when they are read.
    """
    if isinstance(source, SampleFile):
        return source if labels is None else source.labelled(labels)
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], str | Path):
        return sample_source(source[0], shapes, labels=source[1] if labels is None else labels)
    if not isinstance(source, str | Path):
        return as_samples(source, shapes, labels=labels)
    path = Path(source)
    require((path, replace(SAMPLES, origin=f"give an .npz with arrays {list(shapes)}")))
    found = read_headers(path, shapes)
    headers = _in_rows(found, shapes)
    if headers is None:
        return as_samples(path, shapes, labels=labels)
    file = SampleFile(path, headers, shapes, len(next(iter(headers.values()))))
    if labels is None and LABEL not in shapes:
        others = None if isinstance(found, Header) else read_arrays(path, {LABEL})
        labels = others.get(LABEL) if isinstance(others, dict) else None
    return file if labels is None else file.labelled(labels)


def _in_rows(found: Headers, shapes: Mapping[str, Shape]) -> dict[str, Header] | None:
    """Headers of arrays that lie sample behind sample, as many for each input; None where they do not."""
    by_name = dict.fromkeys(shapes, found) if isinstance(found, Header) else found
    headers = {name: header for name in shapes if (header := by_name.get(name)) is not None}
    if len(headers) < len(shapes) or (isinstance(found, Header) and len(shapes) > 1):
        return None
    try:
        one = any(is_one_sample(header.shape, shapes[name]) for name, header in headers.items())
    except ValueError:
        return None
    same = len({header.shape[:2] for header in headers.values()}) == 1
    return headers if same and not one and not any(header.fortran for header in headers.values()) else None
