"""What an HDF5 file may not hold, and that nothing of it is read: files made here, each with one such thing."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from snnergy.artefacts import budget, hdf5, trial
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import Unreadable, name_problem, opened, read_attribute, read_dataset
from snnergy.artefacts.hdf5_fields import Fields
from snnergy.artefacts.kinds import recognise

SECRET = "the secret of another file"


@pytest.fixture
def made(tmp_path):
    """An HDF5 file, written by a function of it; with another one beside it that it has no business with."""
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["text"], file["numbers"] = SECRET, np.arange(4)
    (tmp_path / "raw").write_bytes(SECRET.encode())

    def make(write) -> Path:
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            write(file, other)
        return path

    return make


def external_link(file: h5py.File, other: Path) -> None:
    file["a"] = h5py.ExternalLink(other, "/text")


def external_storage(file: h5py.File, other: Path) -> None:
    raw = str(other.with_name("raw"))
    file.create_dataset("secret", (len(SECRET),), "u1", external=[(raw, 0, len(SECRET))])


def virtual_dataset(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(other, "numbers", (4,))
    file.create_virtual_dataset("numbers", layout)


def within_itself(file: h5py.File, other: Path) -> None:
    group = file.create_group("a")
    group["again"] = group


def deep(file: h5py.File, other: Path) -> None:
    file.create_group("/".join("a" * 30))


def never_stored(file: h5py.File, other: Path) -> None:
    file.create_dataset("zeros", (10**9,), "f4", chunks=(1000,), compression="gzip")


def huge_chunk(file: h5py.File, other: Path) -> None:
    file.create_dataset("a", (0,), "f4", chunks=(1 << 29,), maxshape=(None,))


def plug_in_filter(file: h5py.File, other: Path) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(32768, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_INT32, h5py.h5s.create_simple((4,)), plan)


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (
            lambda file, other: file.__setitem__("a", h5py.ExternalLink(other, "/text")),
            "/a: is a link into another file",
        ),
        (lambda file, other: file.__setitem__("a", h5py.SoftLink("/b")), "/a: is a symbolic link"),
        (external_storage, "/secret: has its data in another file"),
        (virtual_dataset, "/numbers: is put together from other datasets or files"),
        (within_itself, "/a/again: is a group that stands in the file under another name"),
        (deep, "is a group within 17 others"),
        (never_stored, "/zeros: declares 3.7GiB, and only 0B of it are stored"),
        (huge_chunk, "/a: is packed in chunks of 2.0GiB"),
        (plug_in_filter, "/a: is packed by filter 32768"),
        (lambda file, other: file.__setitem__("t", np.dtype("i4")), "/t: is neither a group nor a dataset"),
        (lambda file, other: file.create_group(b"\xff\xfe"), "has a name that is not UTF-8"),
        (lambda file, other: file.create_group("n" * 1001), "has a name of 1001 bytes"),
    ],
)
def test_what_a_file_may_not_hold(made, write, problem):
    path = made(write)
    with pytest.raises(UserError) as refused, opened(path, "write it again"):
        pytest.fail("it was opened")
    assert any(str(path) in line and problem in line and "write it again" in line for line in refused.value.lines)
    assert SECRET not in str(refused.value)


def test_all_together_is_held_to_the_budget(made, monkeypatch):
    path = made(lambda file, other: file.create_dataset("a", data=np.zeros(1 << 20), compression="gzip"))
    monkeypatch.setenv(budget.VARIABLE, "8MiB")
    with pytest.raises(UserError, match=r"holds 8\.0MiB unpacked, 4\.0MiB are allowed"), opened(path, "again"):
        pass
    with opened(path, "again", whole=False) as file:  # of which its reader takes a part at a time
        assert file["a"].shape == (1 << 20,)


@pytest.mark.parametrize("attributes", [True, False])
def test_a_crowd(made, monkeypatch, attributes):
    def write(file: h5py.File, other: Path) -> None:
        for i in range(30):
            (file.attrs if attributes else file)[str(i)] = i

    path = made(write)
    monkeypatch.setattr(hdf5, "_OBJECTS_MAX", 20)
    with pytest.raises(UserError, match="more than 20 objects and attributes"), opened(path, "again"):
        pass


@pytest.mark.parametrize("content", [b"", b"a text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_file_of_this_kind(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable HDF5 file"), opened(path, "again"):
        pass


def test_texts_that_share_one_long_text_are_not_unpacked(made):
    """A file of 1 MB whose 4000 texts are one and the same, 4 GB together."""

    def write(file: h5py.File, other: Path) -> None:
        file.create_dataset("texts", data=["x" * 1_000_000] + [""] * 3999, dtype=h5py.string_dtype())

    path = made(write)
    # Each text is stored as its length, the address of a heap and an index in it: repeat the first.
    with h5py.File(path) as file:
        begin, size = file["texts"].id.get_offset(), file["texts"].id.get_storage_size()
    content = bytearray(path.read_bytes())
    one = size // 4000
    content[begin : begin + size] = content[begin : begin + one] * 4000
    path.write_bytes(content)
    with opened(path, "again") as file, pytest.raises(Unreadable, match="longer than the file"):
        read_dataset(file["texts"])


@pytest.mark.parametrize("value", [1 + 2j, np.zeros(2, [("a", "i4")]), h5py.Empty("f4"), np.void(b"abc")])
def test_neither_numbers_nor_texts(made, value):
    def write(file: h5py.File, other: Path) -> None:
        file["a"] = file.attrs["a"] = value

    with opened(made(write), "again") as file:
        for read in (lambda: read_dataset(file["a"]), lambda: read_attribute(file.attrs, "a")):
            with pytest.raises(Unreadable, match="neither numbers nor texts"):
                read()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "\ud800", "n" * 1001])
def test_what_is_no_name(name):
    assert name_problem(name)


def test_names_of_models_are_names():
    assert not any(map(name_problem, ["stage1.video.lif0", "größe $x$", "=1+1", " a ", "n" * 300]))


def test_a_copy_holds_the_same_and_notices_each_changed_bit(tmp_path, monkeypatch):
    """One bit of every fifth byte, but for the heap of texts, which has no checksum and can lead HDF5 astray."""
    rng = np.random.default_rng(0)
    first, path = tmp_path / "first.h5", tmp_path / "copy.h5"
    with h5py.File(first, "w") as file, h5py.File(path, "w", **hdf5.CHECKED) as copy:
        file["a/weight"], file["a/size"], file["empty"] = rng.integers(-9, 9, (4, 5)), 7, np.zeros((0, 3))
        file["a/kind"], file["a/weight"].attrs["scale"], file.attrs["version"] = np.bytes_("LIF"), 0.5, 3
        file["a/edges"] = [["input", "b"], ["b", "output"]]
        hdf5.copy_with_checksums(file, copy)
        assert content(copy) == content(file)
    whole = path.read_bytes()
    with h5py.File(path) as file:
        expected = content(file)
        places = {*range(0, len(whole), 5)} - {*range(heap := whole.index(b"GCOL"), heap + 4096)}
        texts = file["a/edges"].id
        places -= {*range(texts.get_offset(), texts.get_offset() + texts.get_storage_size())}
    monkeypatch.setattr(hdf5, "deadly", lambda path: "")
    noticed = 0
    for place in sorted(places):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(rng.integers(8))]) + whole[place + 1 :])
        try:
            with opened(path, "again") as file:
                assert content(file) == expected
        except (UserError, Unreadable):
            noticed += 1
    assert noticed > len(places) // 5


@pytest.mark.parametrize("damaged_beside", [False, True])
def test_bytes_that_hdf5_never_comes_back_from(tmp_path, monkeypatch, damaged_beside):
    """A text's entry in the heap says that it takes no room, so that a search for the next one stays where it is."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "a"
        file["texts"] = ["a", "b"]
        if damaged_beside:  # what ends the reading of all else
            file["link"] = h5py.SoftLink("/texts")
    content = bytearray(path.read_bytes())
    entry = content.index(b"GCOL") + 16  # index, references, four reserved bytes, size
    content[entry + 8 : entry + 16] = ((1 << 64) - 16).to_bytes(8, "little")
    path.write_bytes(content)
    monkeypatch.setattr(trial, "_CPU_S", 1)
    with pytest.raises(UserError, match="HDF5 does not survive reading it"), opened(path, "again"):
        pass
    assert recognise(path) is None


def content(file: h5py.File) -> dict[str, object]:
    found: dict[str, object] = {"": {name: read_attribute(file.attrs, name) for name in file.attrs}}

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        found[f"{name}@"] = {key: read_attribute(node.attrs, key) for key in node.attrs}
        if isinstance(node, h5py.Dataset):
            value = read_dataset(node)
            found[name] = (node.dtype, node.shape, value.tolist() if isinstance(value, np.ndarray) else value)

    file.visititems(visit)
    return found


class Damaged:
    """A group of which HDF5 cannot even say what it holds."""

    def __contains__(self, name: str) -> bool:
        raise RuntimeError("bad heap")

    get = __contains__


def test_what_cannot_be_looked_up_is_said():
    violations: list[str] = []
    fields = Fields(Damaged(), "a.net: /graph", violations, "compile it again")
    assert (fields.integer("version"), fields.group("inputs"), fields.dataset("values", (1,))) == (0, None, None)
    assert len(violations) == 3 and all("a.net: /graph/" in line and "compile it again" in line for line in violations)
