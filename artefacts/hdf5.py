"""Opens HDF5 files of anyone's making: looks at everything that a file declares before any of it is read.

HDF5 can lead out of a file (links, raw data and virtual datasets in other files), unpack through plug-ins that are
loaded from disk, hold a group within itself, and declare arrays that nobody has stored. None of that is in a file that
a framework writes, so that a file with any of it is refused as a whole. What is left is bounded by the size of the file
and by the budget of memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5i, h5l, h5o, h5p, h5s, h5t, h5z

from snnergy.artefacts.budget import VARIABLE, memory, size_text
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.trial import survived

# What h5py raises over wrong bytes, and over types that numpy does not have.
FAULTS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, SystemError, TypeError,
    ValueError,
)  # fmt: skip

# The oldest format whose object headers have checksums: HDF5 1.10 of 2016 reads it.
CHECKED: dict[str, Any] = {"libver": ("v110", "v110")}

_OBJECTS_MAX = 100_000  # reading so many takes seconds; a network has some 60 a population
_DEPTH_MAX = 16
_NAME_MAX = 1000  # bytes
_DEFLATE_MAX = 1032  # times smaller: the best that deflate can do, and more than LZF can
_UNSTORED_MAX = 1 << 20  # bytes that a dataset may declare beyond that
_WHOLE_SHARE = 0.5  # of the budget, for all that a file holds, and for one chunk of it
_FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_LZF}
_SMALL = 1 << 16  # bytes of a dataset that is tried out whole
_TEXT_BYTES_AT_ONCE = 64 << 20
_BRIEF = 200  # characters of a library's message
_READABLE = {h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM}


class Unreadable(ValueError):
    """A value that cannot be read; says why, without the name of the object."""


@contextmanager
def opened(path: Path, next_step: str, *, title: str = "readable HDF5 file", whole: bool = True) -> Iterator[h5py.File]:
    """An HDF5 file that holds all of its data itself, open for reading.

    Args:
        title: what messages say that another file is not.
        next_step: what messages advise, as in `write it again with nir.write`.
        whole: everything in it will be read, so that all of it together must stay within the budget.

    Raises:
        UserError: it is not HDF5, is damaged, or holds something of what is refused here; all of it at once.
    """
    if death := deadly(path):
        raise UserError(f"{path}: is damaged, HDF5 does not survive reading it ({death}); {next_step}")
    try:
        file = h5py.File(path, "r")
    except FAULTS as error:
        raise UserError(f"{path}: not a {title} ({_brief(error)}); {next_step}") from error
    with file:
        look = _Look(str(path), next_step)
        look.around(file)
        allowed = int(_WHOLE_SHARE * memory())
        if whole and look.declared > allowed:
            sizes = f"{size_text(look.declared)} unpacked, {size_text(allowed)} are allowed"
            look.refuse("/", f"holds {sizes}, half of what {VARIABLE} says or 1GiB")
        if look.violations:
            raise UserError(look.violations)
        yield file


def deadly(path: Path) -> str:
    """What HDF5 dies of when it reads the file, empty where it does not: wrong bytes can crash it, or hold it for ever.

    All but the arrays of numbers is read in a child first, once a process for each state of a file.
    """
    try:
        found = path.stat()
    except OSError:
        return ""
    return _deadly(str(path), (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=64)
def _deadly(path: str, _: tuple[int, ...]) -> str:
    return survived(lambda: _read_all_but_numbers(path), memory())


def _read_all_but_numbers(path: str) -> None:
    with h5py.File(path, "r") as file:
        _read_attributes(file)  # by which a file is recognised, whatever is wrong with the rest of it
        look = _Look(path, "")
        look.around(file)
        if look.violations:
            return
        stack: list[h5py.Group | h5py.Dataset] = [file]
        while stack:
            node = stack.pop()
            _read_attributes(node)
            if isinstance(node, h5py.Group):
                stack += node.values()
            elif _is_variable(node.id.get_type()) or node.id.get_storage_size() < _SMALL:
                with suppress(Unreadable):
                    read_dataset(node)


def _read_attributes(node: h5py.Group | h5py.Dataset) -> None:
    for name in node.attrs:
        with suppress(Unreadable):
            read_attribute(node.attrs, name)


@dataclass
class _Look:
    """One walk through a file. declared: bytes of all its datasets, unpacked."""

    name: str
    next_step: str
    violations: list[str] = field(default_factory=list)
    declared: int = 0

    def around(self, file: h5py.File) -> None:
        """Visit every object."""
        try:
            self._walk(file.id)
        except FAULTS as error:
            self.refuse("/", f"is damaged ({_brief(error)})")

    def refuse(self, path: str, problem: str) -> None:
        """Note that the file cannot be used."""
        self.violations.append(f"{self.name}: {path}: {problem}; {self.next_step}")

    def _walk(self, root: h5g.GroupID) -> None:
        seen = {h5o.get_info(root).addr}
        found = 0
        stack = [(root, "", 0)]
        while stack:
            group, where, depth = stack.pop()
            found += group.get_num_objs() + h5a.get_num_attrs(group)
            if found > _OBJECTS_MAX:
                self.refuse(where or "/", f"there are more than {_OBJECTS_MAX} objects and attributes in the file")
                return
            if depth > _DEPTH_MAX:
                self.refuse(where, f"is a group within {depth} others, {_DEPTH_MAX} are allowed")
                continue
            for name, link in _links(group):
                path = f"{where}/{name.decode('utf-8', 'backslashreplace')}"
                if not self._is_plain(path, name, link):
                    continue
                node = h5o.open(group, name)
                address = h5o.get_info(node).addr
                if isinstance(node, h5d.DatasetID):
                    found += h5a.get_num_attrs(node)
                    self._look_at(node, path)
                elif not isinstance(node, h5g.GroupID):
                    self.refuse(path, "is neither a group nor a dataset")
                elif address in seen:
                    self.refuse(path, "is a group that stands in the file under another name as well")
                else:
                    seen.add(address)
                    stack.append((node, path, depth + 1))

    def _is_plain(self, path: str, name: bytes, link: int) -> bool:
        if len(name) > _NAME_MAX:
            self.refuse(path, f"has a name of {len(name)} bytes, {_NAME_MAX} are allowed")
        elif not _is_utf8(name):
            self.refuse(path, "has a name that is not UTF-8")
        elif link == h5l.TYPE_EXTERNAL:
            self.refuse(path, "is a link into another file, which is not followed")
        elif link != h5l.TYPE_HARD:
            self.refuse(path, "is a symbolic link, which is not followed")
        else:
            return True
        return False

    def _look_at(self, dataset: h5d.DatasetID, path: str) -> None:
        plan = dataset.get_create_plist()
        layout = plan.get_layout()
        if plan.get_external_count():
            self.refuse(path, "has its data in another file, which is not read")
            return
        if layout == h5d.VIRTUAL:
            self.refuse(path, "is put together from other datasets or files, which are not read")
            return
        filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
        if filters - _FILTERS:
            self.refuse(path, f"is packed by filter {min(filters - _FILTERS)}, deflate and LZF are read")
        width, stored = dataset.get_type().get_size(), dataset.get_storage_size()
        declared = dataset.get_space().get_simple_extent_npoints() * width
        if declared > _DEFLATE_MAX * stored + _UNSTORED_MAX:
            self.refuse(path, f"declares {size_text(declared)}, and only {size_text(stored)} of it are stored")
        # One chunk is unpacked as a whole, however little of it belongs to the array.
        chunk = math.prod(plan.get_chunk()) * width if layout == h5d.CHUNKED else 0
        if chunk > _WHOLE_SHARE * memory():
            self.refuse(path, f"is packed in chunks of {size_text(chunk)}")
        self.declared += max(declared, chunk)


def name_problem(name: str) -> str | None:
    """Why a group cannot be called `name`, as in `is empty`; None where it can."""
    if not name or name in (".", ".."):
        return "is no name"
    if "/" in name or "\0" in name:
        return "holds a slash or a NUL"
    if not _is_utf8(raw := name.encode("utf-8", "surrogatepass")):
        return "holds half a character"
    return f"has {len(raw)} bytes, {_NAME_MAX} are allowed" if len(raw) > _NAME_MAX else None


def copy_with_checksums(source: h5py.Group, target: h5py.Group) -> None:
    """Copy all that a group of a sound file holds into an empty one, so that a changed bit is found in the copy.

    An array gets a Fletcher32 checksum a chunk, and is packed; a single value stands in the header of its object, which
    has a checksum in a file of `CHECKED`. Texts of variable length have none: HDF5 keeps them elsewhere.
    """
    _copy_attributes(source, target)
    for name, node in source.items():
        if isinstance(node, h5py.Group):
            copy_with_checksums(node, target.create_group(name))
            continue
        if node.shape and node.size:
            packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
            storage = {} if node.dtype.hasobject else packed  # no filter takes texts of variable length
            copied = target.create_dataset(name, data=node[()], dtype=node.dtype, **storage)
        else:
            plan = h5p.create(h5p.DATASET_CREATE)
            plan.set_layout(h5d.COMPACT)
            copied = h5py.Dataset(h5d.create(target.id, name.encode(), node.id.get_type(), node.id.get_space(), plan))
            if node.size:
                copied[()] = node[()]
        _copy_attributes(node, copied)


def _copy_attributes(source: h5py.Group | h5py.Dataset, target: h5py.Group | h5py.Dataset) -> None:
    for name, value in source.attrs.items():
        target.attrs.create(name, value, dtype=source.attrs.get_id(name).dtype)


def has_link(file: h5py.File, name: str) -> bool:
    """Whether there is an object or a link of that name at the top of a file; nothing is followed."""
    return bool(file.id.links.exists(name.encode()))


def type_text(dataset: h5py.Dataset) -> str:
    """The type of what a dataset holds, in numpy's words where numpy has it."""
    try:
        return str(dataset.dtype)
    except FAULTS:
        return "a type that numpy does not have"


def read_dataset(dataset: h5py.Dataset) -> Any:
    """All of a dataset: a numpy array or scalar, `str` or `bytes`.

    Raises:
        Unreadable: it is damaged, or holds neither numbers nor texts.
    """
    with _readably(dataset.id):
        return _texts(dataset) if _is_variable(dataset.id.get_type()) else dataset[()]


def read_attribute(attributes: h5py.AttributeManager, name: str) -> Any:
    """An attribute; see `read_dataset`."""
    try:
        attribute = attributes.get_id(name)
    except FAULTS as error:
        raise Unreadable(f"cannot be read ({_brief(error)})") from error
    with _readably(attribute):
        # Texts of variable length lie elsewhere in the file, where many can share a long one.
        texts = attribute.get_space().get_simple_extent_npoints() if _is_variable(attribute.get_type()) else 0
        if texts > 1 and texts * _file_size(attribute) > _WHOLE_SHARE * memory():
            raise Unreadable(f"holds {texts} texts, too many for a file of {size_text(_file_size(attribute))}")
        return attributes[name]


@contextmanager
def _readably(node: h5d.DatasetID | h5a.AttrID) -> Iterator[None]:
    """Let nothing but numbers and texts be read, and tell every fault of the library in one way."""
    try:
        if node.get_type().get_class() not in _READABLE or node.get_space().get_simple_extent_type() == h5s.NULL:
            raise Unreadable("holds neither numbers nor texts")
        yield
    except Unreadable:
        raise
    except FAULTS as error:
        raise Unreadable(f"cannot be read ({_brief(error)})") from error


def _texts(dataset: h5py.Dataset) -> Any:
    """Texts of variable length, a part at a time: all of them share the file's bytes, or somebody made them overlap."""
    if dataset.shape == ():
        return dataset[()]
    limit = _file_size(dataset.id)
    row = max(1, math.prod(dataset.shape[1:]))
    at_once = max(1, _TEXT_BYTES_AT_ONCE // (limit * row))
    found, total = np.empty(dataset.shape, object), 0
    for first in range(0, dataset.shape[0], at_once):
        part = dataset[first : first + at_once]
        total += sum(map(len, part.flat))
        if total > limit:
            raise Unreadable(f"its texts are longer than the file, {size_text(limit)}")
        found[first : first + at_once] = part
    return found


def _links(group: h5g.GroupID) -> list[tuple[bytes, int]]:
    """Name and type of each link of a group; nothing is followed."""
    found: list[tuple[bytes, int]] = []
    group.links.iterate(lambda name, link: found.append((name, link.type)), info=True)
    return found


def _is_variable(stored: h5t.TypeID) -> bool:
    return isinstance(stored, h5t.TypeStringID) and bool(stored.is_variable_str())


def _file_size(node: h5d.DatasetID | h5a.AttrID) -> int:
    return int(h5i.get_file_id(node).get_filesize())


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _brief(error: BaseException) -> str:
    """What a library says, as one line; h5py quotes whole keys and paths."""
    text = " ".join(str(error).split())
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"
