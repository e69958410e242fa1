"""Files that nobody gave to the command: a read of one is a fault, and so is its text in what the command wrote."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

SECRET = b"canary-4f1c9e77"
_EVENTS = 0x1 | 0x2 | 0x20 | 0x100  # IN_ACCESS, IN_MODIFY, IN_OPEN, IN_CREATE
_IN_NONBLOCK = 0x800
_HEADER = struct.Struct("iIII")


@dataclass(frozen=True)
class Canary:
    """A folder with a text, an HDF5 file that fits wherever a network is read, and room for a payload's marker."""

    folder: Path

    @property
    def text(self) -> Path:
        """Raw bytes."""
        return self.folder / "secret.txt"

    @property
    def hdf5(self) -> Path:
        """Numbers in HDF5."""
        return self.folder / "secret.h5"

    @property
    def marker(self) -> Path:
        """What code in a file would write."""
        return self.folder / "code-ran"

    def lay(self) -> None:
        """Write the files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.text.write_bytes(SECRET * 4096)
        with h5py.File(self.hdf5, "w") as file:
            file["numbers"] = np.ones(4096, np.float32)
            file["secret"] = np.bytes_(SECRET)


class Watch:
    """The kernel's notes of what happens in a folder, which sees reads by C code as well."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._queue = libc.inotify_init1(_IN_NONBLOCK)
        if self._queue < 0 or libc.inotify_add_watch(self._queue, os.fsencode(folder), _EVENTS) < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(folder))

    def events(self) -> set[str]:
        """Names of the files that were touched since the last call."""
        found: set[str] = set()
        while True:
            try:
                data = os.read(self._queue, 65536)
            except BlockingIOError:
                return found
            while data:
                *_, length = _HEADER.unpack_from(data)
                name = data[_HEADER.size : _HEADER.size + length].rstrip(b"\x00")
                found.add(os.fsdecode(name))
                data = data[_HEADER.size + length :]
