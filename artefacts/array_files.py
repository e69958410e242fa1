"""Arrays of `.npy` and `.npz` files, known by their headers and held to the budget before one of them is read.

A header says type, order and shape, and so the bytes that follow it: the file, or the member of the archive, must have
just as many. Nothing here can run code of a file: what `numpy.load` would unpickle is refused by its type.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.zips import open_zip

_MAGIC = b"\x93NUMPY"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# Bytes of the widths that a header's length is stored in, by version of the format.
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_HEADER_LIMIT = 1 << 10  # bytes; the header of a plain array has 118 unless it has very many axes
_PIECE = 1 << 20  # bytes read at once
KINDS, WIDEST = "buif", 8  # truth values, integers and floats of up to 8 bytes
# What is read lies beside what is made of it.
_SHARE = 0.5
_NOT_PLAIN = 0x1 | 0x20 | 0x40  # flags of a member: encrypted, a patch, strongly encrypted

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Header:
    """What a file says of its array. length: bytes up to the first element."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    length: int

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, count: int) -> Header:
        """Of so many rows."""
        return replace(self, shape=(count, *self.shape[1:]))

    @property
    def size(self) -> int:
        """Bytes of the elements."""
        return math.prod(self.shape) * self.dtype.itemsize


Headers = Header | dict[str, Header | None]


def read_headers(path: Path, wanted: Collection[str]) -> Headers:
    """What `read_arrays` would read, by its headers alone, however large it is.

    Raises:
        UserError: as `read_arrays`, but for size.
    """
    with _opened(path) as (file, archive):
        if archive is None:
            return _only_header(file, path)
        names, _, headers = _member_headers(archive, path, wanted)
        return {name: headers.get(name) for name in names}


def read_rows(path: Path, headers: Mapping[str, Header], count: int, at_once: int) -> Iterator[dict[str, Array]]:
    """The first `count` rows of a file's arrays, so many at a time; a member is decompressed as it is read.

    Args:
        headers: those of `read_headers` that are wanted, in C order; one of any name for an `.npy`.

    Raises:
        UserError: an array is damaged, or has changed since its header was read.
    """
    with ExitStack() as stack:
        file, archive = stack.enter_context(_opened(path))
        with _one_line(f"{path}: not readable"):
            if archive is None:
                files, found = dict.fromkeys(headers, file), dict.fromkeys(headers, _only_header(file, path))
            else:
                _, chosen, found = _member_headers(archive, path, headers)
                files = {name: stack.enter_context(archive.open(info)) for name, info in chosen.items()}
                for name, header in found.items():
                    files[name].read(header.length)
            if found != headers:
                raise ValueError("it has changed while it was read")
        for first in range(0, count, at_once):
            last = min(first + at_once, count)
            with _one_line(f"{path}: not a readable array"):
                rows = {
                    name: _elements(files[name], header.rows(last - first), last == len(header))
                    for name, header in headers.items()
                }
            yield rows


def read_arrays(path: Path, wanted: Collection[str]) -> Array | dict[str, Array | None]:
    """The array of an `.npy`, or those of an `.npz` by name, None for one that is not wanted: it is not read.

    Raises:
        UserError: neither; a wanted array is damaged, holds no numbers, or is too large; all violations at once.
    """
    with _opened(path) as (file, archive):
        return _only(file, path) if archive is None else _members(archive, path, wanted)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile | None]]:
    """An `.npy` at its start, or an archive."""
    with _one_line(f"{path}: not a readable .npy or .npz file"), path.open("rb") as file:
        start = file.read(len(_MAGIC))
        file.seek(0)
        if start == _MAGIC:
            yield file, None
            return
        if not start.startswith(_ZIP):
            raise ValueError("it begins like neither")
        with open_zip(path) as archive:
            yield file, archive


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turn whatever numpy, zipfile, zlib and Python's own parser raise over hostile bytes into a `UserError`.

    They raise a dozen kinds, `MemoryError` and `RecursionError` among them, so that a list of them would have gaps.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise UserError(f"{what} ({reason}); write it again with numpy.savez") from error


def _only(file: IO[bytes], path: Path) -> Array:
    header = _only_header(file, path)
    refuse_excess(f"{path}: an array of shape {header.shape}", header.size, _SHARE)
    return _elements(file, header)


def _only_header(file: IO[bytes], path: Path) -> Header:
    header = _header(file)
    _refuse_other_size(header, path.stat().st_size)
    return header


def _members(archive: zipfile.ZipFile, path: Path, wanted: Collection[str]) -> dict[str, Array | None]:
    names, chosen, headers = _member_headers(archive, path, wanted)
    total = sum(header.size for header in headers.values())
    refuse_excess(f"{path}: arrays {', '.join(headers)}", total, _SHARE)
    found: dict[str, Array | None] = dict.fromkeys(names)
    for name, header in headers.items():
        with _one_line(f"{path}: {name}: not a readable array"), archive.open(chosen[name]) as member:
            member.read(header.length)
            found[name] = _elements(member, header)
    return found


def _member_headers(
    archive: zipfile.ZipFile, path: Path, wanted: Collection[str]
) -> tuple[list[str], dict[str, zipfile.ZipInfo], dict[str, Header]]:
    """Names of all arrays; members and headers of those that are wanted."""
    arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    names = [info.filename.removesuffix(".npy") for info in arrays]
    chosen = {name: info for name, info in zip(names, arrays, strict=True) if name in wanted}
    violations = [f"{path}: {name}: there are {names.count(name)} of it; keep one" for name in chosen
                  if names.count(name) > 1]  # fmt: skip
    headers: dict[str, Header] = {}
    for name, info in chosen.items():
        try:
            with _one_line(f"{path}: {name}: not a readable array"):
                headers[name] = _member_header(archive, info)
        except UserError as error:
            violations += error.violations
    if violations:
        raise UserError(violations)
    return names, chosen, headers


def _member_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    if info.flag_bits & _NOT_PLAIN:
        raise ValueError("it is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"compression method {info.compress_type}; store or deflate it")
    with archive.open(info) as member:
        header = _header(member)
    _refuse_other_size(header, info.file_size)
    return header


def _refuse_other_size(header: Header, size: int) -> None:
    if header.length + header.size != size:
        raise ValueError(
            f"shape {header.shape} of {header.dtype} takes {header.length + header.size} bytes, there are {size}"
        )


def _header(file: IO[bytes]) -> Header:
    """Read the header, which lies at the start of `file`."""
    magic = file.read(len(_MAGIC) + 2)
    if magic[: len(_MAGIC)] != _MAGIC or magic[-2] not in _LENGTHS:
        raise ValueError("it does not begin as an array of numpy's does")
    width = _LENGTHS[magic[-2]]
    (length,) = struct.unpack(width, file.read(struct.calcsize(width)))
    if length > _HEADER_LIMIT:
        raise ValueError(f"a header of {length} bytes, {_HEADER_LIMIT} are enough for an array of numbers")
    text = file.read(length)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's advice to write what Python 2 wrote again
        read = np.lib.format.read_array_header_2_0  # the versions differ in the width of the length
        shape, fortran, dtype = read(io.BytesIO(struct.pack("<I", length) + text))  # type: ignore[no-untyped-call]
    if dtype.kind not in KINDS or dtype.itemsize > WIDEST:
        raise ValueError(f"type {dtype}; store numbers")
    if any(type(extent) is not int or extent < 0 for extent in shape):
        raise ValueError(f"shape {shape}; extents are 0, 1, 2, …")
    return Header(dtype, shape, fortran, len(magic) + struct.calcsize(width) + length)


def _elements(file: IO[bytes], header: Header, last: bool = True) -> Array:
    """Read elements, the `last` ones to the end of `file`, which for a member compares its checksum."""
    raw = np.empty(header.size, np.uint8)
    done = 0
    while done < header.size:
        piece = file.read(min(_PIECE, header.size - done))
        if not piece:
            raise ValueError(f"it ends after {done} of {header.size} bytes")
        raw[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if last and file.read(1):
        raise ValueError("it goes on behind its array")
    elements = raw != 0 if header.dtype.kind == "b" else raw.view(header.dtype)
    return elements.reshape(header.shape, order="F" if header.fortran else "C")
