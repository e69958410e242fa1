"""Mutations of zip archives: numpy's samples files, and torch's checkpoints down to the pickle in them."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.fuzz import raw_bytes, values
from tests.fuzz.canary import Canary

Members = list[tuple[str, bytes]]
_CANNOT = (AttributeError, KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError, struct.error)


def read(path: Path) -> Members:
    """Names and contents of an archive."""
    with zipfile.ZipFile(path) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def write(path: Path, members: Members, *, compressed: bool = False) -> None:
    """An archive of these members, whatever they are called."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name.replace("\x00", "") or "."), content)


# ---- samples -------------------------------------------------------------------------------------------------------


def mutate_samples(rng: random.Random, path: Path, canary: Canary, times: int) -> list[str]:
    """Change an `.npz` or `.npy` file; returns what was done."""
    single = path.suffix == ".npy"
    members = [("array.npy", path.read_bytes())] if single else read(path)
    done = []
    for _ in range(times):
        change = rng.choice(_ARRAY_CHANGES)
        place = rng.randrange(len(members))
        name, content = members[place]
        with suppress(*_CANNOT):
            members[place] = (name, change(rng, content, canary))
            done.append(f"{change.__name__.strip('_')} {name}")
    if single:
        path.write_bytes(members[0][1])
        return done
    if rng.random() < 0.25:
        done.append(_rearrange(rng, members))
    write(path, members, compressed=rng.random() < 0.5)
    if rng.random() < 0.08:
        done.append(_bomb(rng, path, members))
    return done


def _array(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content), allow_pickle=False)


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


def _rearrange(rng: random.Random, members: Members) -> str:
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


def _bomb(rng: random.Random, path: Path, members: Members) -> str:
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
    write(path, placeholder)
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


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def mutate_torch(rng: random.Random, path: Path, canary: Canary, times: int) -> list[str]:
    """Change what a torch file holds, or the archive and the pickle that hold it; returns what was done."""
    kind = rng.random()
    if kind < 0.65:
        content = torch.load(path, map_location="cpu", weights_only=False)
        done = [_content(rng, content, canary) for _ in range(times)]
        with suppress(*_CANNOT, pickle.PicklingError):
            torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.95)
        return done
    if kind < 0.75:
        return [_other_format(rng, path, canary)]
    members = read(path)
    done = [_member(rng, members) for _ in range(times)]
    write(path, members, compressed=rng.random() < 0.2)
    return done


def _content(rng: random.Random, content: Any, canary: Canary) -> str:
    """Walk down to somewhere, and put something else there."""
    parent, trail = content, []
    while True:
        if isinstance(parent, dict) and parent:
            key = rng.choice(list(parent))
        elif isinstance(parent, list) and parent:
            key = rng.randrange(len(parent))
        else:
            return "nothing"
        trail.append(str(key))
        if not isinstance(parent[key], dict | list) or not parent[key] or rng.random() < 0.15:
            break
        parent = parent[key]
    kind = rng.randrange(10)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[_key(rng)] = parent.pop(key)
    elif kind == 2 and isinstance(parent, dict):
        parent[_key(rng)] = _thing(rng, parent[key], canary)
    else:
        parent[key] = _thing(rng, parent[key], canary)
    return f"content {kind} {'.'.join(trail)}"


def _key(rng: random.Random) -> Any:
    return rng.choice((values.text(rng), values.number(rng), None, ("a", 1), b"x", "state_dict", "format_version"))


def _thing(rng: random.Random, old: Any, canary: Canary) -> Any:
    if isinstance(old, torch.Tensor) and rng.random() < 0.8:
        return _tensor(rng, old)
    nest: Any = []
    for _ in range(rng.choice((3, 60, 900))):
        nest = [nest]
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    choices: tuple[Any, ...] = (
        values.number(rng), values.number(rng), values.text(rng), values.text(rng), None, [], {}, (), b"bytes", {1,
        2}, nest,
        cycle, [old] * 3, {"a": old}, -old if isinstance(old, int | float) else old, 10**400, torch.zeros(3),
        torch.Size([1]),
        torch.float32, torch.nn.Parameter(torch.ones(2)), values.Payload(canary.marker, rng.randrange(5)),
        bytearray(b"x"),
    )  # fmt: skip
    return rng.choice(choices)


def _tensor(rng: random.Random, old: torch.Tensor) -> Any:
    """A tensor of the same shape with other numbers, or another shape, type, layout or storage."""
    plain = old.detach().clone()
    number = values.number(rng)
    kind = rng.randrange(16)
    if kind < 5:
        with suppress(*_CANNOT):
            plain.view(-1)[rng.randrange(max(1, plain.numel()))] = complex(number).real
        return plain
    if kind == 5:
        return torch.full(old.shape, float(complex(number).real))
    made: tuple[Callable[[], Any], ...] = (
        lambda: plain.to(rng.choice((torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool,
        torch.complex64))),
        lambda: plain[None],
        lambda: plain.reshape(-1)[:0],
        lambda: torch.zeros(1).expand(rng.choice((10**6, 10**9, 2**40))),
        lambda: torch.zeros(1, dtype=plain.dtype).expand(old.shape or (1,)),
        lambda: plain.to_sparse(),
        lambda: torch.quantize_per_tensor(plain.float(), 0.1, 0, torch.qint8),
        lambda: torch.nn.Parameter(plain.float()),
        lambda: plain.to("meta"),
        lambda: torch.empty(rng.choice((0, 2, 10**4))).requires_grad_(),
    )  # fmt: skip
    try:
        return made[kind - 6]()
    except _CANNOT:
        return plain.flatten()


def _other_format(rng: random.Random, path: Path, canary: Canary) -> str:
    kind = rng.randrange(6)
    content = torch.load(path, map_location="cpu", weights_only=False)
    payload = values.Payload(canary.marker, rng.randrange(5))
    if kind == 0:
        path.write_bytes(pickle.dumps({"format_version": 1, "x": payload}, protocol=rng.randrange(6)))
    elif kind == 1:
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    elif kind == 2:
        torch.save(payload, path)
    elif kind == 3:
        torch.save(torch.nn.Linear(2, 2), path)
    elif kind == 4:
        torch.save(content, path, _use_new_zipfile_serialization=False)
    else:
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
        write(path, [*read(path), ("archive/data.pkl.py", b"raise SystemExit"), ("archive/constants.pkl", b"N.")])
    return f"format {kind}"


_BOMBS = (
    b"\x80\x02" + b"]" * 200_000 + b".", b"\x80\x02" + b"(" * 200_000 + b".", b"\x80\x02I" + b"9" * 9000 + b"\n.",
    b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".", b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00true\x85R.",
    b"\x80\x02cbuiltins\neval\nX\x04\x00\x00\x00exit\x85R.", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x80\x02Q.", b"\x80\x02h\x05.", b"\x80\x02}r\xff\xff\xff\x7f.", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    b"\x80\x02ccollections\nOrderedDict\n)R}b.", b"\x80\x05\x96\x00\x00\x00\x00\x00\x00\x00\x40.", b"",
)  # fmt: skip


def _member(rng: random.Random, members: Members) -> str:
    """An archive whose members do not fit each other."""
    pickled = [index for index, (name, _) in enumerate(members) if name.endswith(".pkl")]
    place = rng.choice(pickled) if pickled and rng.random() < 0.5 else rng.randrange(len(members))
    name, content = members[place]
    kind = rng.randrange(9)
    if kind == 0 and len(members) > 1:
        del members[place]
    elif kind == 1:
        members[place] = (name, content[: rng.randrange(len(content) + 1)])
    elif kind == 2:
        members.append((name, b"another of the same name"))
    elif kind == 3:
        members.append(
            (rng.choice(("../outside", "/outside", "x/data.pkl", "archive/code/a.py", "constants.pkl")), b"x")
        )
    elif kind == 4:
        members[place] = (f"{values.text(rng, name=True)[:200]}/{name.rpartition('/')[2]}", content)
    elif kind == 5 and pickled:
        members[rng.choice(pickled)] = (members[pickled[0]][0], rng.choice(_BOMBS))
    elif kind == 6:
        members[place] = (name, content * rng.choice((2, 3)))
    else:
        members[place] = (name, raw_bytes.mutate(rng, content, content))
    return f"member {kind} {name[:40]}"
