"""Mutations of samples files: arrays that are not what they should be, headers that lie, archives that swell."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import archives, raw_bytes, values
from tests.fuzz.canary import Canary


def mutate(rng: random.Random, path: Path, canary: Canary, times: int) -> list[str]:
    """Change an `.npz` or `.npy` file; returns what was done."""
    single = path.suffix == ".npy"
    members = [("array.npy", path.read_bytes())] if single else archives.read(path)
    done = []
    for _ in range(times):
        change = rng.choice(_ARRAY_CHANGES)
        place = rng.randrange(len(members))
        name, content = members[place]
        with suppress(Exception):
            members[place] = (name, change(rng, content, canary))
            done.append(f"{change.__name__.strip('_')} {name}")
    if single:
        path.write_bytes(members[0][1])
        return done
    if rng.random() < 0.25:
        done.append(_rearrange(rng, members))
    archives.write(path, members, compressed=rng.random() < 0.5)
    if members and rng.random() < 0.08:
        done.append(_bomb(rng, path, members))
    return done


def _array(content: bytes) -> values.Array:
    array: values.Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _bytes_of(array: Any, *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


def _numbers(rng: random.Random, content: bytes, _canary: Canary) -> bytes:
    return _bytes_of(values.nearly(rng, _array(content)))


def _shape(rng: random.Random, content: bytes, _canary: Canary) -> bytes:
    return _bytes_of(values.reshaped(rng, _array(content)))


def _type(rng: random.Random, content: bytes, _canary: Canary) -> bytes:
    return _bytes_of(values.retyped(rng, _array(content)))


def _order(rng: random.Random, content: bytes, _canary: Canary) -> bytes:
    array = _array(content)
    return _bytes_of(np.asfortranarray(array) if rng.random() < 0.5 else np.moveaxis(array, 0, -1))


def _objects(rng: random.Random, content: bytes, canary: Canary) -> bytes:
    array = np.empty(_array(content).shape[:1] or (1,), dtype=object)
    array[0] = values.Payload(canary.marker, rng.randrange(5))
    return _bytes_of(array, pickled=True)


def _header(rng: random.Random, content: bytes, _canary: Canary) -> bytes:
    """A header that lies about the bytes behind it, or is no header."""
    array = _array(content)
    start = content[8] + 256 * content[9] + 10
    shape: Any = list(array.shape) or [1]
    shape[rng.randrange(len(shape))] = rng.choice((0, -1, 1, 10**5, 10**9, 2**31, 2**62, 2**64, 1.5, "4", None))
    fields = [
        {"descr": array.dtype.str, "fortran_order": rng.choice((True, False, 0, None)), "shape": tuple(shape)},
        {"descr": rng.choice(("|O", "<f2", ">f8", "<U9", "<f16", "V8", "<M8[s]", [("a", "<f4")], 7)),
        "fortran_order": False,
         "shape": array.shape},
        {"descr": array.dtype.str, "shape": array.shape},
        {"descr": array.dtype.str, "fortran_order": False, "shape": (1,) * rng.choice((33, 65, 200)), "x": 1},
        {"descr": array.dtype.str, "fortran_order": False, "shape": (0, *shape)},
    ]  # fmt: skip
    text = repr(rng.choice(fields))
    if rng.random() < 0.15:
        text = rng.choice(
            ("(" * 3000, "{'descr': " * 300, "__import__('os').system('true')", "9" * 9000, "{}", "[]", "\x00")
        )
    header = text.encode() + b" " * rng.choice((0, 1, 60_000 if rng.random() < 0.2 else 20)) + b"\n"
    version = rng.choice((1, 1, 1, 2, 3, 9))
    size = struct.pack("<H", len(header) & 0xFFFF) if version == 1 else struct.pack("<I", len(header))
    return b"\x93NUMPY" + bytes((version, 0)) + size + header + content[start:]


def _cut(rng: random.Random, content: bytes, _canary: Canary) -> bytes:
    return content[: rng.randrange(len(content))]


def _flip(rng: random.Random, content: bytes, _canary: Canary) -> bytes:
    return raw_bytes.mutate(rng, content[:200], content) + content[200:]


ArrayChange = Callable[[random.Random, bytes, Canary], bytes]
_ARRAY_CHANGES: tuple[ArrayChange, ...] = (
    _numbers, _numbers, _numbers, _shape, _shape, _type, _type, _order, _objects, _header, _header, _header, _cut,
    _flip,
)  # fmt: skip


def _rearrange(rng: random.Random, members: archives.Members) -> str:
    """Names that are wrong, doubled, nested, or of something else."""
    place = rng.randrange(len(members))
    name, content = members[place]
    kind = rng.randrange(6)
    if kind == 0:
        members[place] = (f"{values.text(rng, name=True)[:60_000]}.npy", content)
    elif kind == 1:
        del members[place]
    elif kind == 2:
        members.append((name, members[0][1]))
    elif kind == 3:
        members[place] = (rng.choice((f"../{name}", f"/tmp/{name}", f"a/b/{name}", name.removesuffix(".npy"))), content)
    elif kind == 4:
        members += [(f"{index}.npy", content[:200]) for index in range(rng.choice((1, 2000)))]
    else:
        members.append((values.text(rng, name=True)[:200], values.text(rng).encode("utf-8", "replace")))
    return f"rearrange {kind} {name}"


def _bomb(rng: random.Random, path: Path, members: archives.Members) -> str:
    """Zeros for gigabytes behind one member's name, a few megabytes of archive."""
    name = members[rng.randrange(len(members))][0]
    count = rng.choice((300 << 20, 6 << 30))
    shape = rng.choice(((count // 4,), (count // 2048, 2, 1, 16, 16), (1, count // 1024, 1, 16, 16)))
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(head.getvalue()) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = zlib.compressobj(9, zlib.DEFLATED, -15)
    unit = zeros.compress(bytes(1 << 20)) + zeros.flush(zlib.Z_FULL_FLUSH)
    data = block + unit * (count >> 20) + zeros.flush(zlib.Z_FINISH)
    size = len(head.getvalue()) + count
    placeholder = [(member, content) for member, content in members if member != name]
    archives.write(path, placeholder)
    _append_deflated(path, name, data, size)
    return f"bomb of {count >> 20} MiB {name}"


def _append_deflated(path: Path, name: str, data: bytes, size: int) -> None:
    """Put deflated bytes into an archive as they are, with the size that they are said to have."""
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.compress_type, info.compress_size, info.file_size, info.CRC = zipfile.ZIP_DEFLATED, len(data), size, 0
        info.header_offset = archive.start_dir
        assert archive.fp is not None
        archive.fp.seek(archive.start_dir)
        archive.fp.write(info.FileHeader(zip64=size >= 2**32))
        archive.fp.write(data)
        archive.start_dir = archive.fp.tell()
        archive.filelist.append(info)
        archive.NameToInfo[name] = info
        archive._didModify = True  # type: ignore[attr-defined]
