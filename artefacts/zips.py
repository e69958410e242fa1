"""Opens zip archives, whose directory can be far larger than what anybody meant to list."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIECE = 1 << 20  # bytes: a directory of some ten thousand members


class _SmallReads(io.BufferedReader):
    """A file that is read in small pieces: `zipfile` takes a directory, of whatever size, in one."""

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, as any file's.

        Raises:
            ValueError: they are more than a directory may have.
        """
        if size is not None and size > _PIECE:
            raise ValueError(f"a directory of {size} bytes, {_PIECE} are allowed")
        return super().read(size)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive for reading.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: it is missing, damaged, or its directory is too large.
    """
    with _SmallReads(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        yield archive
