"""Samples that stay in their file: read a few at a time, the same as all of them, and refused as they are."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.sample_file import SampleFile, sample_source
from snnergy.artefacts.samples import Samples, read_samples

SHAPES = {"image": (2, 3), "sound": (4,)}
COUNT, STEPS = 11, 5


def arrays(dtype: str = "float32") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 2, (COUNT, STEPS, *shape)).astype(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", ["float32", ">f8", "bool", "int16", ">u2"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_batches_are_what_the_file_holds(tmp_path: Path, dtype: str, save: object) -> None:
    path = tmp_path / "x.npz"
    save(path, label=np.arange(COUNT) % 3, unasked=np.zeros(3), **arrays(dtype))  # type: ignore[operator]
    whole, file = read_samples(path, SHAPES), sample_source(path, SHAPES)
    assert isinstance(file, SampleFile) and (len(file), file.steps) == (COUNT, STEPS)
    for at_once in (1, 4, COUNT, None):
        for few, expected in ((file, whole), (file.first(7), whole.first(7)), (file.first(99), whole)):
            found = list(few.batches(at_once))
            assert sum(map(len, found)) == len(few) and all(len(batch) <= (at_once or COUNT) for batch in found)
            for name, array in expected.arrays.items():
                joined = np.concatenate([batch.arrays[name] for batch in found])
                assert joined.dtype == array.dtype
                np.testing.assert_array_equal(joined, array)
            np.testing.assert_array_equal(np.concatenate([batch.labels for batch in found]), expected.labels)
    np.testing.assert_array_equal(file.first(4).read().arrays["sound"], whole.arrays["sound"][:4])
    assert len(file.read()) == COUNT and file.labels is not None


def test_one_array_of_a_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()["sound"])
    file = sample_source((str(tmp_path / "x.npy"), np.arange(COUNT)), {"sound": (1, 4)})
    assert isinstance(file, SampleFile)
    assert [batch.arrays["sound"].shape for batch in file.batches(6)] == [(6, STEPS, 1, 4), (5, STEPS, 1, 4)]
    assert np.concatenate([batch.labels for batch in file.batches(6)]).tolist() == list(range(COUNT))
    assert sample_source(file, {"sound": (1, 4)}, labels=[0] * COUNT).labels is not None


def test_what_does_not_lie_sample_behind_sample_is_read_whole(tmp_path: Path) -> None:
    path, whole = tmp_path / "x.npz", arrays()
    np.savez(path, image=np.asfortranarray(whole["image"]), sound=whole["sound"])
    found = sample_source(path, SHAPES)
    assert isinstance(found, Samples)
    np.testing.assert_array_equal(found.arrays["image"], whole["image"])
    np.savez(path, image=whole["image"][0], sound=whole["sound"][0])
    assert len(sample_source(path, SHAPES)) == 1


def test_a_file_beyond_the_budget_is_read_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((4000, 4, 250), np.float32))
    monkeypatch.setenv("SNNERGY_MEMORY", "8MiB")
    with pytest.raises(UserError, match="are allowed"):
        read_samples(path, {"x": (250,)})
    file = sample_source(path, {"x": (250,)})
    tracemalloc.start()
    assert sum(len(batch) for batch in file.batches(50)) == 4000
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_damage_is_found_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    place = content.rindex(np.float32(1).tobytes())
    content[place] ^= 1  # of the last array's elements
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.npz: .*not a readable array .*CRC"):
        list(sample_source(path, SHAPES).batches(3))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **arrays())
    file = sample_source(path, SHAPES)
    np.savez(path, **{name: array[:7] for name, array in arrays().items()})
    with pytest.raises(UserError, match="it has changed while it was read"):
        list(file.batches(3))
    path.unlink()
    with pytest.raises(UserError, match="not a readable"):
        list(file.batches(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((COUNT, STEPS, 3, 3))}, "image: shape"),
        ({"image": np.zeros((COUNT, STEPS + 1, 2, 3))}, "the inputs differ in samples or time steps"),
        ({"image": np.full((COUNT, STEPS, 2, 3), np.nan)}, "image: holds NaN or infinity"),
        ({"label": np.arange(COUNT - 1)}, "label: .*give one label a sample"),
        ({"label": np.full(COUNT, 0.5)}, "label: 11 values are no classes"),
    ],
)
def test_what_is_wrong_is_said_as_of_arrays(tmp_path: Path, changes: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "x.npz", **{**arrays(), **changes})
    with pytest.raises(UserError, match=message):
        list(sample_source(tmp_path / "x.npz", SHAPES).batches())


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=arrays()["image"])
    with pytest.raises(UserError, match="no array 'sound'"):
        sample_source(tmp_path / "x.npz", SHAPES)
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    with pytest.raises(UserError):
        sample_source(tmp_path / "empty.npz", SHAPES)
