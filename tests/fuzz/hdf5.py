"""Mutations of the structure of an HDF5 file: its links, shapes, types, values, storage, and the graph in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.fuzz import values
from tests.fuzz.canary import Canary

_UNKNOWN_FILTER = 32_111
_MOST = 3000  # places of a file that are looked at


def mutate(rng: random.Random, path: Path, other: Path, canary: Canary, times: int) -> list[str]:
    """Change the file `times` times; returns what was done. `other` is a file to take parts from.

    A change that HDF5 cannot store is left out: nobody can hand in such a file either.
    """
    done = []
    with h5py.File(path, "r+") as file:
        places = _places(file)
        for _ in range(times):
            change = rng.choice(_CHANGES)
            with suppress(Exception):
                place = rng.choice(places)
                change(rng, file, place, other, canary)
                done.append(f"{change.__name__.strip('_')} {place!r}")
    return done


Place = tuple[str, str]  # path of an object, and the name of an attribute of it or ""


def _places(file: h5py.File) -> list[Place]:
    """Objects and attributes; the deeper ones are as likely as the many of a group of weights."""
    found: list[Place] = [("/", name) for name in file.attrs]

    def note(name: str, node: Any) -> bool | None:
        found.extend((name, attribute) for attribute in ("", *node.attrs))
        return len(found) > _MOST or None

    with suppress(Exception):
        file.visititems(note)
    return found or [("/", "")]


def _parent(file: h5py.File, path: str) -> tuple[h5py.Group, str]:
    group, _, name = path.rpartition("/")
    return file[group or "/"], name or "x"


def _old(file: h5py.File, place: Place) -> Any:
    node = file[place[0]]
    if place[1]:
        return node.attrs[place[1]]
    return node[()] if isinstance(node, h5py.Dataset) and node.size is not None and node.size < 10**7 else None


def _put(file: h5py.File, place: Place, value: Any) -> None:
    path, attribute = place
    if attribute:
        file[path].attrs[attribute] = value
        return
    parent, name = _parent(file, path)
    new = parent.file.create_dataset(None, data=value) if not isinstance(value, h5py.Empty) else None
    kept = dict(file[path].attrs) if path in file else {}
    if name in parent:
        del parent[name]
    parent[name] = value if new is None else new
    for key, old in kept.items():
        with suppress(Exception):
            parent[name].attrs[key] = old


def _value(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    _put(file, place, values.stored(rng, _old(file, place)))


def _near(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    old = np.asarray(_old(file, place))
    if old.dtype.kind in "OS":
        _put(file, place, values.text(rng).replace("\x00", "0").encode("utf-8", "surrogatepass"))
    else:
        _put(file, place, values.nearly(rng, old))


def _shape(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    _put(file, place, values.reshaped(rng, np.asarray(_old(file, place))))


def _type(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    _put(file, place, values.retyped(rng, np.asarray(_old(file, place))))


def _special_type(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    parent, name = _parent(file, place[0])
    kind = rng.choice(
        (h5py.ref_dtype, h5py.regionref_dtype, h5py.vlen_dtype(np.int32), h5py.vlen_dtype(np.float64),
        h5py.string_dtype(),
         h5py.string_dtype("ascii", 3), h5py.enum_dtype({"RED": 0, "GREEN": 1}, basetype="i"),
         h5py.opaque_dtype("M8[s]"))
    )  # fmt: skip
    shape = rng.choice(((), (1,), (2,), (0,), (3, 3)))
    if place[1]:
        file[place[0]].attrs.create(place[1], np.zeros(shape, kind), dtype=kind)
        return
    parent.pop(name, None)
    new = parent.create_dataset(name, shape, kind)
    if kind is h5py.ref_dtype and shape == ():
        new[()] = file.ref


def _delete(_rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    if place[1]:
        del file[place[0]].attrs[place[1]]
    else:
        del file[place[0]]


def _rename(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    new = values.text(rng, name=True)
    if place[1]:
        file[place[0]].attrs[new] = file[place[0]].attrs.pop(place[1])
    else:
        parent, name = _parent(file, place[0])
        parent.move(name, new)


def _kind(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    """A dataset where a group was, a group where a dataset was, a named type where anything was."""
    parent, name = _parent(file, place[0])
    was_dataset = isinstance(parent.get(name), h5py.Dataset)
    parent.pop(name, None)
    if rng.random() < 0.2:
        parent[name] = np.dtype("f8")
    elif was_dataset:
        parent.create_group(name)
    else:
        parent[name] = values.number(rng)


def _link(rng: random.Random, file: h5py.File, place: Place, _other: Path, canary: Canary) -> None:
    parent, name = _parent(file, place[0])
    links: tuple[Any, ...] = (
        h5py.SoftLink("/nowhere"), h5py.SoftLink(parent.name), h5py.SoftLink(f"{parent.name}/{name}"),
        h5py.SoftLink("/"),
        h5py.ExternalLink(str(canary.hdf5), "/numbers"), h5py.ExternalLink(str(canary.hdf5), "/"),
        h5py.ExternalLink(str(canary.hdf5), place[0]), h5py.ExternalLink("../canary/secret.h5", "/numbers"),
        h5py.ExternalLink("nowhere.h5", "/"), file["/"], parent,
    )  # fmt: skip
    parent.pop(name, None)
    parent[name] = rng.choice(links)


def _storage(rng: random.Random, file: h5py.File, place: Place, _other: Path, canary: Canary) -> None:
    """Values that lie in another file: raw storage, or a virtual dataset."""
    parent, name = _parent(file, place[0])
    node = parent.get(name)
    shape = node.shape if isinstance(node, h5py.Dataset) and node.shape else (16,)
    kind = rng.choice(("f4", "i4", "u1"))
    parent.pop(name, None)
    if rng.random() < 0.5:
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        parent.create_dataset(name, shape, kind, external=[(str(canary.text), 0, max(size, 1))])
    else:
        layout = h5py.VirtualLayout(shape, "f4")
        source = h5py.VirtualSource(str(canary.hdf5), "numbers", (4096,))
        layout[...] = source[: int(np.prod(shape))] if len(shape) == 1 else h5py.VirtualSource(
            str(canary.hdf5), "numbers", shape
        )  # fmt: skip
        parent.create_virtual_dataset(name, layout)


def _huge(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    """Extents that nobody stored, in one block or in chunks of compressed zeros."""
    parent, name = _parent(file, place[0])
    node = parent.get(name)
    rank = max(1, node.ndim) if isinstance(node, h5py.Dataset) and node.shape is not None else 1
    old = list(node.shape) if isinstance(node, h5py.Dataset) and node.shape else [1] * rank
    old[rng.randrange(len(old))] = rng.choice((10**5, 10**7, 3 * 10**8, 10**9, 2**31, 2**40))
    chunked = {"chunks": True, "compression": "gzip"} if rng.random() < 0.5 else {}
    parent.pop(name, None)
    parent.create_dataset(name, old, rng.choice(("f4", "i8", "i1", "S9")), fillvalue=rng.choice((None, 1)), **chunked)


def _filter(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    """A filter that nobody has, or a chunk that does not decompress."""
    parent, name = _parent(file, place[0])
    node = parent.get(name)
    shape = node.shape if isinstance(node, h5py.Dataset) and node.shape else (16,)
    parent.pop(name, None)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(shape)
    if rng.random() < 0.5:
        plist.set_filter(_UNKNOWN_FILTER, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    else:
        plist.set_deflate(4)
    space = h5py.h5s.create_simple(shape)
    identity = h5py.h5d.create(parent.id, name.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=plist)
    h5py.Dataset(identity).id.write_direct_chunk((0,) * len(shape), rng.randbytes(40))


def _extra(rng: random.Random, file: h5py.File, place: Place, _other: Path, _canary: Canary) -> None:
    """More than was asked for: names, hundreds of copies, a nest a thousand deep."""
    node = file[place[0]]
    parent = node.parent
    kind = rng.randrange(4)
    if kind == 0:
        (node if isinstance(node, h5py.Group) else parent)[values.text(rng, name=True)] = values.stored(rng)
    elif kind == 1:
        for index in range(rng.choice((2, 200)) if isinstance(node, h5py.Dataset) else 3):
            file.copy(node, parent, f"{Path(place[0]).name}{index}")
    elif kind == 2:
        for _ in range(rng.choice((40, 1200))):
            parent = parent.create_group("n")
    else:
        node.attrs[values.text(rng, name=True)] = values.stored(rng)


def _splice(rng: random.Random, file: h5py.File, place: Place, other: Path, _canary: Canary) -> None:
    """A part of another file, or of another place in this one."""
    parent, name = _parent(file, place[0])
    if rng.random() < 0.5:
        source = file[rng.choice(_places(file))[0]]
        file.copy(source, parent, f"{name}.new")
    else:
        with h5py.File(other, "r") as donor:
            donor.copy(donor[rng.choice(_places(donor))[0]], parent, f"{name}.new")
    parent.pop(name, None)
    parent.move(f"{name}.new", name)


def _edges(rng: random.Random, file: h5py.File, _place: Place, _other: Path, _canary: Canary) -> None:
    """The edges of a NIR graph, or where a synapse or a recorded edge leads."""
    if "node/edges" not in file:
        attributes = [p for p in _places(file) if p[1] in ("source", "target", "origin", "layer", "delay", "exponent")]
        path, attribute = rng.choice(attributes)
        old = [file[p].attrs[a] for p, a in attributes if a == attribute]
        file[path].attrs[attribute] = rng.choice([*old, "nowhere", -1, 10**9])
        return
    edges = [tuple(edge) for edge in file["node/edges"][()].tolist()]
    names = [end for edge in edges for end in edge]
    new = [
        (rng.choice(names), rng.choice(names)), (names[-1], names[0]), (names[0], names[0]), edges[0],
        (b"nowhere", names[0]), (values.text(rng, name=True).encode("utf-8", "replace"), names[-1]), (b"", b""),
    ]  # fmt: skip
    kind = rng.randrange(4)
    if kind == 0:
        edges += rng.sample(new, rng.randint(1, 4))
    elif kind == 1:
        del edges[rng.randrange(len(edges))]
    elif kind == 2:
        edges[rng.randrange(len(edges))] = rng.choice(new)
    else:
        edges = edges * rng.choice((2, 500))
    del file["node/edges"]
    file.create_dataset("node/edges", data=np.array(edges, dtype=object), dtype=h5py.string_dtype())


Change = Callable[[random.Random, h5py.File, Place, Path, Canary], None]
# The commoner a change is here, the more often it is made: values and edges get past the first check most often.
_CHANGES: tuple[Change, ...] = (
    _value, _value, _value, _near, _near, _near, _near, _shape, _type, _special_type, _delete, _rename, _kind, _link,
    _storage, _huge, _filter, _extra, _splice, _edges, _edges,
)  # fmt: skip
