"""Files of arrays that somebody else wrote: refused in one line before memory is asked for, whatever is wrong."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.array_files import read_arrays
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.kinds import recognise

PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"
SIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def npy(header: str | bytes, data: bytes = b"", version: int = 1) -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + data


def archive(path: Path, compression: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def stored(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def refusal(path: Path) -> str:
    """The one line that `path` is refused with, at once and in little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as refused:
            read_arrays(path, {"x", "y"})
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    (line,) = refused.value.lines
    assert str(path) in line and "\n" not in line and len(line) < 500
    return line


HEADERS = {
    "deep nesting": npy("(" * 1000),
    "deep negation": npy("-" * 1000 + "1"),
    "long header": npy("{" * 60_000),
    "longer than the file": npy(PLAIN % "(6,)")[:40],
    "length of 4 GiB": b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"x",
    "version": npy(PLAIN % "(6,)", version=1).replace(b"\x01\x00", b"\x09\x00", 1),
    "no dictionary": npy("[1, 2]"),
    "unhashable": npy("{[]: 1}"),
    "call": npy("__import__('os').system('true')"),
    "null": npy(b"\x00" * 80),
    "other bytes": npy(b"\xff\xfe" * 40),
    "negative": npy(PLAIN % "(-1,)"),
    "bool": npy(PLAIN % "(True, 6)", SIX.tobytes()),
    "float": npy(PLAIN % "(6.0,)", SIX.tobytes()),
    "no tuple": npy(PLAIN % "6", SIX.tobytes()),
    "huge": npy(PLAIN % "(1000000000000,)", SIX.tobytes()),
    "wrapping": npy(PLAIN % "(4611686018427387904, 4)"),
    "huge digits": npy(PLAIN % f"({'9' * 800},)"),
    "many axes": npy(PLAIN % f"({'1, ' * 200})", b"\0" * 4),
    "truncated": npy(PLAIN % "(6,)", SIX.tobytes()[:-1]),
    "trailing": npy(PLAIN % "(6,)", SIX.tobytes() + b"\0"),
    "object": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle.dumps([1])),
    "structured": npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", SIX.tobytes()),
    "subarray": npy("{'descr': ('<f4', (100000,)), 'fortran_order': False, 'shape': (1,), }"),
    "string": npy("{'descr': '<U1000000000', 'fortran_order': False, 'shape': (0,), }"),
    "void": npy("{'descr': '|V2147483647', 'fortran_order': False, 'shape': (1,), }"),
    "date": npy("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (0,), }"),
    "complex": npy("{'descr': '<c8', 'fortran_order': False, 'shape': (0,), }"),
    "long double": npy("{'descr': '<f16', 'fortran_order': False, 'shape': (0,), }"),
    "no type": npy("{'descr': 'nothing', 'fortran_order': False, 'shape': (1,), }"),
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_hostile_headers(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    assert "not a readable .npy or .npz file" in refusal(tmp_path / "x.npy")
    line = refusal(archive(tmp_path / "x.npz", x=content, z=stored(SIX)))
    assert "x: not a readable array" in line


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUM", pickle.dumps({"x": 1}), b"PK", b"PK\x03\x04" + b"\0" * 99, b"text"]
)
def test_what_is_neither(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    assert "not a readable .npy or .npz file" in refusal(tmp_path / "x.npz")


def test_a_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    size = 6 << 30
    header = npy(PLAIN % f"({size // 4},)")
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("x.npy", "w") as member:
        member.write(header + b"\0" * (1 << 20))
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    for at in (22, directory + 24):  # the sizes that it declares
        content[at : at + 4] = struct.pack("<I", (1 << 32) - 2)
    path.write_bytes(content)
    assert f"takes {size + len(header)} bytes" in refusal(path)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_an_honest_array_that_is_too_large_is_refused_by_the_budget(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array, path = np.zeros((3, 1 << 18), np.float32), tmp_path / f"x.{form}"
    np.save(path, array) if form == "npy" else np.savez_compressed(path, x=array)
    monkeypatch.setenv("SNNERGY_MEMORY", "4MiB")
    line = refusal(path)
    assert "needs 3.0MiB of memory, 2.0MiB are allowed" in line and "set SNNERGY_MEMORY to 6MiB" in line
    monkeypatch.setenv("SNNERGY_MEMORY", "6MiB")
    assert len(read_arrays(path, {"x"})) > 0


def test_what_no_input_asks_for_is_not_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", x=stored(SIX), other=HEADERS["deep nesting"], third=b"no array")
    found = read_arrays(path, {"x"})
    assert isinstance(found, dict) and {name for name, array in found.items() if array is None} == {"other", "third"}
    np.testing.assert_array_equal(found["x"], SIX)


def test_damaged_members(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", zipfile.ZIP_STORED, x=stored(SIX))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(SIX.tobytes(), SIX[::-1].tobytes()))
    assert "Bad CRC-32" in refusal(path)
    path.write_bytes(whole.replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\x01\0"))
    assert "encrypted" in refusal(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "not a readable .npy or .npz" in refusal(path)
    squeezed = archive(path, x=stored(np.arange(9999.0))).read_bytes()
    path.write_bytes(squeezed[:400] + b"\xff" * 400 + squeezed[800:])
    assert "x: not a readable array" in refusal(path)


def test_members_of_other_methods_and_of_one_name(tmp_path: Path) -> None:
    assert "compression method 14" in refusal(archive(tmp_path / "x.npz", zipfile.ZIP_LZMA, x=stored(SIX)))
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("y.npy", stored(SIX))
        file.writestr("y.npy", stored(SIX))
    assert "y: there are 2 of it" in refusal(tmp_path / "y.npz")


def test_a_directory_of_very_many_members_is_not_listed(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", **{"n" * 200 + str(i): b"" for i in range(5000)})
    assert recognise(path) is None
    assert "a directory of" in refusal(path)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", x=HEADERS["bool"], y=HEADERS["string"])
    with pytest.raises(UserError) as refused:
        read_arrays(path, {"x", "y"})
    assert len(refused.value.violations) == 2


@pytest.mark.parametrize(
    "array", [SIX, np.asfortranarray(SIX), SIX > 2, SIX.astype(">i2"), np.zeros((0, 3)), np.array(1)]
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_whatever_numpy_writes_is_read(array: np.ndarray, version: tuple[int, int], tmp_path: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    (tmp_path / "x.npy").write_bytes(file.getvalue())
    from_archive = read_arrays(archive(tmp_path / "x.npz", x=file.getvalue()), {"x"})
    assert isinstance(from_archive, dict)
    for found in (read_arrays(tmp_path / "x.npy", ()), from_archive["x"]):
        assert isinstance(found, np.ndarray) and found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
