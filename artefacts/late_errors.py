"""A file whose writer never meets an error of the disk, which is raised once the writer is done."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class LateErrors(io.RawIOBase):
    """A file to write and read that never fails before it is closed: the first error is kept, and raised by `check`.

    For writers that do not survive an error of the disk, HDF5 above all: a failure while it closes a file can end the
    interpreter, and others leave an object behind that complains on standard error when it is collected. After the
    first error nothing more is written, and what is read from there on is zeros.

    Use as a context: an error that it kept is raised when the block ends, in place of one that followed from it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._position = self._size = 0  # the size as its writer sees it: more than there is after an error
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raise the first error, if there was one; for long writers, which need not go on."""
        if self._error is not None:
            raise self._error

    def readable(self) -> bool:
        """Always."""
        return True

    def writable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, and return it."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file to `size` bytes, or to the position."""
        self._size = self._position if size is None else size
        self._attempt(lambda: os.ftruncate(self._handle, self._size))
        return self._size

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the position on; returns the number of bytes before the end of the file."""
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self._size - self._position))
        view[:wanted] = bytes(wanted)
        self._attempt(lambda: os.preadv(self._handle, [view[:wanted]], self._position))
        self._position += wanted
        return wanted

    def write(self, data: Any) -> int:
        """Write all of `data` at the position, or keep the error; returns its number of bytes in either case."""
        view = memoryview(data).cast("B")
        self._attempt(lambda: self._write_all(view))
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def close(self) -> None:
        """Close the file; an error of that is kept too."""
        if not self.closed:
            super().close()
            try:
                os.close(self._handle)
            except OSError as error:
                self._error = self._error or error

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()
        if error is None or isinstance(error, Exception):
            self.check()

    def _write_all(self, view: memoryview) -> None:
        written = 0
        while written < len(view):
            written += os.pwrite(self._handle, view[written:], self._position + written)

    def _attempt(self, step: Callable[[], object]) -> None:
        """Take a step, unless one failed before; an interrupt is kept too, since HDF5 would meet it as a failure."""
        if self._error is None:
            try:
                step()
            except BaseException as error:
                self._error = error
