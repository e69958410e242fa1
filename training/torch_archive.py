"""Reads what `torch.save` writes, a zip of one pickle and the bytes of its tensors, and runs nothing of it.

`torch.load` is a door into more than tensors, even where it is told to be careful: it takes a TorchScript archive for a
model to run, and reads older formats with other rules. Nothing here calls it, or `pickle`. The pickle is a list of
instructions, of which `torch.save` needs three dozen for plain types and tensors; they are followed one by one, into
dicts, lists, tuples, numbers, strings and descriptions of tensors. Every other instruction, name or member is refused.
"""

from __future__ import annotations

import pickletools
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.files import written_whole

if TYPE_CHECKING:
    import torch

# Far above what a network of the largest size that can be trained needs (some hundred thousand, some megabytes).
_MOST_INSTRUCTIONS = 1_000_000
_LARGEST_PICKLE = 32 << 20
_LARGEST_TABLE = 8 << 20
_MOST_TENSORS = 100_000
_DEEPEST = 32
_LONGEST_INTEGER = 1 << 63

# Bytes of a value, and torch's name of its type, by the name of the storage.
_STORAGES = {
    "torch FloatStorage": (4, "float32"),
    "torch DoubleStorage": (8, "float64"),
    "torch HalfStorage": (2, "float16"),
    "torch BFloat16Storage": (2, "bfloat16"),
    "torch LongStorage": (8, "int64"),
    "torch IntStorage": (4, "int32"),
}
_TENSOR, _ORDERED = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
_NAMES = frozenset({_TENSOR, _ORDERED, *_STORAGES})
# Besides the pickle and the tensors' bytes: what the releases of torch from 2.3 on add.
_ADDITIONS = frozenset({"version", "byteorder", ".data/serialization_id", ".format_version", ".storage_alignment"})
# What the reader of zip raises over wrong bytes, and Python over an instruction for values of another type.
# NotImplementedError is a RuntimeError and UnicodeDecodeError a ValueError.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, AttributeError, EOFError, LookupError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


class Damaged(Exception):
    """No whole file of `torch.save`; the text says why."""


class Forbidden(Exception):
    """A file of `torch.save` that holds more than plain types and tensors; the text says what."""


@dataclass(frozen=True)
class _Name:
    """A function or class that the pickle names; nothing is imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    member: str
    type: str
    values: int


@dataclass(frozen=True)
class _Stored:
    """A tensor within a storage, all of it inside; in values."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_MARK = object()


def read(path: Path) -> Any:
    """The dicts, lists, tuples, strings, numbers and tensors of a file; tensors are on the CPU.

    Raises:
        UserError: it is larger than the budget of memory.
        Damaged, Forbidden: it cannot be read.
        OSError: it cannot be opened.
    """
    return _read(path, _Tensors)


def write(path: Path, content: Any, *, force: bool = False) -> None:
    """Let `torch.save` pack plain types and tensors, and write that whole or not at all.

    It packs into memory: on a disk that is full, writing itself, it ends the interpreter.

    Raises:
        OutputRefused: `path` exists and `force` is false, or it cannot be written.
    """
    import torch

    packed = BytesIO()
    torch.save(content, packed)
    with written_whole(path, force=force) as scratch:
        scratch.write_bytes(packed.getbuffer())


def check(path: Path) -> None:
    """As `read`, without its result, and without torch."""
    _read(path, lambda archive: lambda stored: None)


def _read(path: Path, rebuilt_from: Callable[[_Archive], Callable[[_Stored], Any]]) -> Any:
    refuse_excess(f"{path}: a file of {path.stat().st_size} bytes", path.stat().st_size)
    with path.open("rb") as file:
        try:
            with _Archive(file) as archive:
                return _copied(_Machine(archive).run(), rebuilt_from(archive))
        except _DAMAGE as error:
            raise Damaged(" ".join(str(error).split())) from error


class _Archive:
    """The members of a zip, as `torch.save` packs them: not compressed, not encrypted, each once, in one folder."""

    def __init__(self, file: Any) -> None:
        _look_at_the_ends(file)
        self.zip = zipfile.ZipFile(file)
        members = self.zip.infolist()
        root = members[0].filename.partition("/")[0] if members else ""
        self.members = {entry.filename.removeprefix(f"{root}/"): entry for entry in members}
        if len(self.members) < len(members):
            raise Damaged("a member is there twice")
        strangers = [name for name in self.members if not _is_torchs(name)]
        if strangers or any(entry.filename != f"{root}/{name}" for name, entry in self.members.items()):
            raise Damaged(f"member {(strangers or list(self.members))[0]!r} is none that torch.save writes")
        if any(
            entry.compress_type or entry.flag_bits & 1 or entry.file_size != entry.compress_size for entry in members
        ):
            raise Damaged("a member is compressed or encrypted, which torch.save never does")
        file.seek(0, 2)
        if sum(entry.file_size for entry in members) > file.tell():
            raise Damaged("its members hold more than the file")
        if self.zip.testzip() is not None:
            raise Damaged("a checksum is wrong")
        if "byteorder" in self.members and self.content("byteorder") != sys.byteorder.encode():
            raise Damaged(f"its numbers are not {sys.byteorder}-endian")
        self.content("version")

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    def content(self, member: str) -> bytes:
        """Bytes of a member; a missing one is a `LookupError`."""
        return self.zip.read(self.members[member])


def _look_at_the_ends(file: Any) -> None:
    """Refuse what is not a bare zip, or has a table of contents that would fill the memory, before it is read."""
    tail_size = 98  # the three records that end a file of torch.save: those of zip64, and the short one
    start, size = file.read(4), file.seek(0, 2)
    file.seek(max(0, size - tail_size))
    tail = file.read().rjust(tail_size, b"\0")
    if tail[-22:-18] != b"PK\5\6":
        raise Damaged("it is truncated")
    if start != b"PK\3\4":
        raise Damaged("it does not begin as a zip does")
    (table,) = struct.unpack("<L", tail[-10:-6])
    if tail[-42:-38] == b"PK\6\7":
        (table,) = struct.unpack("<Q", tail[40:48])
    if table > _LARGEST_TABLE:
        raise Damaged(f"a table of contents of {table} bytes")


def _is_torchs(name: str) -> bool:
    folder, _, number = name.rpartition("/")
    return name in _ADDITIONS or name == "data.pkl" or (folder == "data" and number.isdecimal())


class _Machine:
    """Follows the instructions of a pickle; `run` returns what they leave."""

    def __init__(self, archive: _Archive) -> None:
        self.archive = archive
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.tensors = 0

    def run(self) -> Any:
        """Values with descriptions of tensors in them. A value may stand in several places, or in itself."""
        for name, argument in _instructions(self.archive.content("data.pkl")):
            if name in ("BINPUT", "LONG_BINPUT"):
                self.memo[argument] = self.stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                self.stack.append(self.memo[argument])
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name]())
            elif name in _LITERALS:
                self.stack.append(_literal(argument))
            elif name == "GLOBAL":
                self.stack.append(_name(argument))
            else:
                _ACTIONS.get(name, _refused(name))(self)
        (result,) = self.stack
        return result

    def pop(self, kind: type = object) -> Any:
        """The uppermost value, which must be of that type."""
        value = self.stack.pop()
        if not isinstance(value, kind):
            raise ValueError(f"a {type(value).__name__} where a {kind.__name__} belongs")
        return value

    def pop_to_mark(self) -> list[Any]:
        """The values above the uppermost mark."""
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def push_tuple(self, count: int) -> None:
        """Of the uppermost values, in their order."""
        self.stack.append(tuple([self.pop() for _ in range(count)][::-1]))

    def set_items(self, values: list[Any]) -> None:
        """Keys and values in turn, into the dict below them."""
        target = self.stack[-1]
        keys = values[::2]
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError("items without a dict")
        if not all(isinstance(key, str) or (type(key) is int and abs(key) < 1 << 31) for key in keys):
            raise Forbidden("a key that is neither text nor a small number")
        target.update(zip(keys, values[1::2], strict=True))

    def append(self, values: list[Any]) -> None:
        """To the list below them."""
        if not isinstance(self.stack[-1], list):
            raise ValueError("values without a list")
        self.stack[-1].extend(values)

    def store(self) -> None:
        """A storage, from what torch writes of it: its type, the member with its bytes, a device, its length."""
        kind, of, key, device, values = self.pop(tuple)
        size, dtype = _STORAGES[of.name]
        member = f"data/{key}"
        if kind != "storage" or not isinstance(device, str) or values * size != self.archive.members[member].file_size:
            raise ValueError(f"{member} does not hold {values} values of {dtype}")
        self.stack.append(_Storage(member, dtype, values))

    def call(self) -> None:
        """The two calls that there are: an empty dict, and a tensor."""
        arguments, function = self.pop(tuple), self.pop(_Name)
        if function.name == _ORDERED and not arguments:
            self.stack.append({})
        elif function.name == _TENSOR:
            self.tensors += 1
            if self.tensors > _MOST_TENSORS:
                raise Forbidden(f"more than {_MOST_TENSORS} tensors")
            self.stack.append(_stored(*arguments[:4]))
        else:
            raise Forbidden(f"a call of {function.name.replace(' ', '.')}")

    def build(self) -> None:
        """What torch notes beside a dict of weights, which nobody here needs."""
        self.pop(dict)
        if not isinstance(self.stack[-1], dict):
            raise Forbidden("the state of an object")


def _stored(storage: Any, offset: Any, size: Any, stride: Any) -> _Stored:
    if not isinstance(storage, _Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError("a tensor without a storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 8 or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError(f"a tensor of size {size} and stride {stride}")
    end = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True)) + 1
    if prod(size) > storage.values or (prod(size) and end > storage.values) or offset > storage.values:
        raise ValueError(f"a tensor of size {size} reaches beyond the {storage.values} values of {storage.member}")
    return _Stored(storage, offset, size, stride)


def _instructions(pickled: bytes) -> Iterator[tuple[str, Any]]:
    """Name and argument of each instruction but the first and the last."""
    if len(pickled) > _LARGEST_PICKLE:
        raise Damaged(f"data.pkl of {len(pickled)} bytes")
    for count, (code, argument, _) in enumerate(pickletools.genops(BytesIO(pickled))):
        if count > _MOST_INSTRUCTIONS:
            raise Forbidden(f"more than {_MOST_INSTRUCTIONS} instructions")
        if code.name not in ("PROTO", "STOP"):
            yield code.name, argument


def _literal(value: Any) -> Any:
    if isinstance(value, int) and not -_LONGEST_INTEGER <= value < _LONGEST_INTEGER:
        raise Forbidden("an integer of more than 64 bits")
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair cannot even be printed
    return value


def _name(argument: str) -> _Name:
    if argument not in _NAMES:
        raise Forbidden(argument.replace(" ", "."))
    return _Name(argument)


def _refused(name: str) -> Callable[[_Machine], NoReturn]:
    def refuse(_: _Machine) -> NoReturn:
        raise Forbidden(f"the instruction {name}")

    return refuse


_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"})
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine: machine.push_tuple(1),
    "TUPLE2": lambda machine: machine.push_tuple(2),
    "TUPLE3": lambda machine: machine.push_tuple(3),
    "APPEND": lambda machine: machine.append([machine.pop()]),
    "APPENDS": lambda machine: machine.append(machine.pop_to_mark()),
    "SETITEM": lambda machine: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine: machine.set_items(machine.pop_to_mark()),
    "BINPERSID": _Machine.store,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}


def _copied(root: Any, tensor: Callable[[_Stored], Any]) -> Any:
    """A copy with nothing in two places but tensors: what refers to itself, or grows by being repeated, is refused."""
    left = _MOST_INSTRUCTIONS

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if depth > _DEEPEST or left < 0:
            raise Forbidden("values within values without end")
        if isinstance(value, dict):
            return {key: copied(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(copied(item, depth + 1) for item in value)
        if isinstance(value, _Stored):
            return tensor(value)
        if value is None or isinstance(value, str | bool | int | float):
            return value
        raise ValueError("a piece of a tensor on its own")

    return copied(root, 0)


class _Tensors:
    """Tensors of the descriptions, one of each; those of one storage share it."""

    def __init__(self, archive: _Archive) -> None:
        self.archive = archive
        self.tensors: dict[_Stored, torch.Tensor] = {}
        self.storages: dict[_Storage, torch.Tensor] = {}

    def __call__(self, stored: _Stored) -> torch.Tensor:
        if stored not in self.tensors:
            values = self._values(stored.storage)
            self.tensors[stored] = values.as_strided(stored.size, stored.stride, stored.offset)
        return self.tensors[stored]

    def _values(self, storage: _Storage) -> torch.Tensor:
        import torch

        if storage not in self.storages:
            content, dtype = bytearray(self.archive.content(storage.member)), getattr(torch, storage.type)
            self.storages[storage] = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
        return self.storages[storage]
