"""GRID: the protocol on the real clips, and what a missing or wrong file says."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.data import audio, build_dataset, grid_raw
from snnergy.training.data.grid import GridClips
from snnergy.training.data.media import Unusable
from snnergy.training.data.presence import GRID_FILE
from tests.training.helpers import GRID_AUDIO, GRID_ROOT, TINY, grid, needs_grid

FILE = GRID_ROOT / GRID_FILE


@pytest.fixture(scope="module")
def clips():
    return GridClips(grid(shift_px=2, flip=0.5, brightness=0.2, shift_s=0.02), TINY, "val")


def test_missing_file_names_layout_and_source(tmp_path):
    with pytest.raises(UserError, match=r"data set 'grid'.*expected.*word_span.*zenodo.*data\.root"):
        build_dataset(grid(root=tmp_path), TINY, "val")


def test_wrong_file_says_what_it_lacks(tmp_path):
    with h5py.File(tmp_path / FILE.name, "w") as file:
        file["video"] = np.zeros((1, 8, 96, 96), dtype=np.uint8)
    with pytest.raises(UserError, match="lacks audio, label, split, word_span"):
        build_dataset(grid(root=tmp_path), TINY, "val")


def write_clips(path: Path, **items) -> None:
    """A file of four clips, one of each digit 0 to 3 and none to be tested on; `items` replace whole arrays."""
    rng = np.random.default_rng(0)
    whole = {
        "video": rng.integers(0, 256, (4, 8, 96, 96), np.uint8),
        "audio": rng.integers(-9, 9, (4, 12800), np.int16),
        "label": np.arange(4),
        "split": ["train", "val", "val", "train"],
        "word_span": np.tile([0, 12800], (4, 1)),
    }
    with h5py.File(path, "w") as file:
        for name, values in (whole | items).items():
            file[name] = values


def refusal(folder: Path, split="val") -> tuple[str, ...]:
    """What a wrong file says, less its last line, which tells what to do."""
    with pytest.raises(UserError) as caught:
        build_dataset(grid(root=folder), TINY, split)
    *lines, advice = caught.value.violations
    assert "expected video (N, 8, 96, 96) uint8" in advice
    assert "fetch the file again" in advice
    return tuple(line.removeprefix(f"{folder / FILE.name}: ") for line in lines)


@pytest.mark.parametrize("strings", [["train", "val", "val", "train"], np.array([b"train", b"val", b"val", b"train"])])
def test_a_small_file_is_a_data_set(tmp_path, strings):
    write_clips(tmp_path / FILE.name, split=strings, label=np.arange(4, dtype=np.uint8))
    assert build_dataset(grid(root=tmp_path), TINY, "val").source.labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ({"video": np.zeros((4, 96, 96), np.uint8)}, "video has shape (4, 96, 96) and type uint8"),
        ({"video": np.zeros((4, 8, 96, 96))}, "video has shape (4, 8, 96, 96) and type float64"),
        ({"audio": np.zeros((4, 6400), np.int16)}, "audio has shape (4, 6400) and type int16"),
        ({"audio": np.zeros((5, 12800), np.int16)}, "items differ in length: video 4, audio 5, label 4"),
        ({"label": 3}, "label has shape () and type int64"),
        ({"label": np.array([0, 11, 2, -1])}, "label = 11 in row 1: must be 0 to 9; 2 such rows"),
        ({"split": np.arange(4)}, "split has shape (4,) and type int64"),
        ({"split": ["train"] * 4}, "split has no row 'val'"),
        (
            {"word_span": np.array([[0, 5], [5, 5], [-1, 5], [5, 12801]])},
            "word_span = [5, 5] in row 1: must be start < end, within 0 to 12800; 3 such rows",
        ),
    ],
)
def test_a_file_of_another_kind_says_what_is_wrong(tmp_path, items, expected):
    write_clips(tmp_path / FILE.name, **items)
    (line,) = refusal(tmp_path)
    assert line.startswith(expected)


def test_all_that_is_wrong_with_a_file_is_said_at_once(tmp_path):
    path = tmp_path / FILE.name
    write_clips(path, audio=np.zeros((4, 12800)), label=np.full(4, 10), word_span=np.tile([9, 8], (4, 1)))
    with h5py.File(path, "a") as file:
        del file["video"]
        file.create_group("video")
    lines = refusal(tmp_path, "test")
    assert [line.split()[0] for line in lines] == ["lacks", "audio", "label", "word_span", "split"]
    assert lines[0] == "lacks video"


@pytest.mark.parametrize("damage", ["no HDF5", "cut", "inside"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / FILE.name
    write_clips(path)
    with h5py.File(path, "a") as file:
        video = file["video"][:]
        del file["video"]
        file.create_dataset("video", data=video, chunks=(1, 8, 96, 96), compression="gzip")
        place = file["video"].id.get_chunk_info(1).byte_offset
    content = bytearray(path.read_bytes())
    content[place : place + 64] = bytes(64)
    path.write_bytes({"no HDF5": b"text", "cut": content[: len(content) // 2], "inside": content}[damage])
    with pytest.raises(UserError, match=r"(is damaged|not a readable HDF5 file) .*; expected .* fetch the file again"):
        build_dataset(grid(root=tmp_path), TINY, "val")


@needs_grid
def test_splits_are_those_of_the_file():
    sizes = {split: len(build_dataset(grid(), TINY, split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 560, "val": 80, "test": 160}


@needs_grid
def test_noise_comes_first_and_then_silence_outside_the_word(clips):
    start, end = clips.word_span[5]
    noisy = clips.noisy_word(5, np.random.default_rng(0))
    assert not noisy[:start].any()
    assert not noisy[end:].any()
    assert np.all(noisy[start:end] != 0)
    noise = noisy[start:end] - clips.audio[5, start:end]
    power = np.mean(clips.audio[5] ** 2)  # of the whole window, not of the word
    assert 10 * np.log10(power / np.mean(noise**2)) == pytest.approx(-12, abs=0.5)


@needs_grid
def test_clips_are_not_changed_by_drawing_from_them(clips):
    before = clips.audio.copy(), clips.video.copy()
    clips.sample(0, 0, np.random.default_rng(0), augment=True)
    assert np.array_equal(before[0], clips.audio)
    assert np.array_equal(before[1], clips.video)


@needs_grid
def test_silence_around_the_word_is_zero_in_the_image(clips):
    waveform = clips.noisy_word(5, np.random.default_rng(0))
    image = audio.to_pixels(audio.log_mel(waveform, 16000, GRID_AUDIO, 32, 48), GRID_AUDIO)
    start, end = clips.word_span[5]
    centres = 6400 + (np.arange(48) + 0.5 - 24) * 160
    outside = (centres < start - 200) | (centres > end + 200)
    assert outside.any()
    assert not image[:, outside].any()
    assert image[:, (centres > start + 400) & (centres < end - 400)].mean() > 50


@needs_grid
def test_frames_are_evenly_chosen_and_area_averaged(clips):
    with h5py.File(FILE) as file:
        row = np.flatnonzero(file["split"][:] == b"val")[7]
        raw = file["video"][row].astype(float)
    blocks = raw[[0, 4, 7]].reshape(3, 16, 6, 16, 6).mean(axis=(2, 4))
    assert np.abs(clips.video[7] - blocks).max() <= 0.5


@needs_grid
def test_augmentation_treats_all_frames_alike_and_evaluation_has_none(clips):
    still = np.repeat(clips.video[3][:1], 3, axis=0)
    seen = [clips._augment_video(still, np.random.default_rng(seed)) for seed in range(8)]
    assert all(np.array_equal(video[0], video[2]) for video in seen)
    assert sum(not np.array_equal(video, still) for video in seen) >= 7
    plain, _ = clips.sample(3, 3, np.random.default_rng(0), augment=False)
    assert np.array_equal(plain[:, 0], clips.video[3])


@needs_grid
def test_evaluation_is_fixed_by_its_own_seed():
    first, again = (build_dataset(grid(), TINY, "test", seed=seed)[9]["audio"] for seed in (0, 1))
    other = build_dataset(replace(grid(), evaluation_seed=1), TINY, "test")[9]["audio"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


RAW = GRID_ROOT / "grid_s1_raw"
needs_raw = pytest.mark.skipif(not (RAW.is_dir() and FILE.is_file()), reason=f"GRID recordings are not at {RAW}")


@pytest.fixture(scope="module")
def raw_index():
    with (RAW / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@needs_raw
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_recordings_give_the_rows_of_the_file(tmp_path_factory, raw_index, split):
    cache = tmp_path_factory.getbasetemp() / "grid_cache"  # shared by the three
    of_split = [row for row in raw_index if row["split"] == split]
    fields, excluded = grid_raw.read(RAW, split, cache)
    rows = [int(row["h5_row"]) for row in of_split]
    with h5py.File(FILE) as file:
        for name, slack in {"video": 1, "audio": 1, "label": 0, "word_span": 0}.items():
            expected = file[name][rows].astype(int)
            assert fields[name].shape == expected.shape
            assert np.abs(fields[name].astype(int) - expected).max() <= slack, name
    assert excluded == ()


@pytest.fixture
def recordings(tmp_path):
    """Three of the recordings, with an index that lists a fourth."""
    for name in ("bbir8p", "lrae3s", "brbm8p"):
        for ending in ("mpg", "align"):
            shutil.copyfile(RAW / f"{name}.{ending}", tmp_path / f"{name}.{ending}")
    (tmp_path / "index.csv").write_text("clip,split\nbbir8p,val\nlrae3s,val\nbrbm8p,val\nswwj1a,val\n")
    return tmp_path


@needs_raw
def test_folder_of_recordings_is_the_same_data_set(recordings):
    dataset = build_dataset(grid(root=recordings, cache=recordings / "cache"), TINY, "val")
    assert dataset.source.labels.tolist() == [8, 8, 3]
    assert [(path.name, reason) for path, reason in dataset.excluded] == [("swwj1a.mpg", "missing")]
    whole = build_dataset(grid(), TINY, "val")
    with h5py.File(FILE) as file:
        row = np.flatnonzero(file["clip"][:][file["split"][:] == b"val"] == b"bbir8p")[0]
    assert np.abs(dataset.source.video[0].astype(int) - whole.source.video[row]).max() <= 1
    assert np.abs(dataset.source.audio[0] - whole.source.audio[row]).max() <= 1 / 32768


def alignment(start: int, end: int) -> str:
    """Of a sentence whose digit lasts from `start` to `end`, in units of 1/25000 s."""
    edges = [0, 1000, 2000, 3000, start, end, end + 1000]
    words = zip(edges, edges[1:], ("bin", "red", "by", "m", "eight", "please"), strict=False)
    return "".join(f"{first} {last} {word}\n" for first, last, word in words)


@needs_raw
def test_a_digit_may_fill_the_window(recordings):
    path = recordings / "brbm8p.mpg"
    path.with_suffix(".align").write_text(alignment(20000, 40000))
    fields = grid_raw.GridDecoder()((path, path.with_suffix(".align")))
    assert fields["word_span"].tolist() == [0, 12800]


@needs_raw
@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda path: path.with_suffix(".align").write_text("0 1000 bin\n"), "six words"),
        (lambda path: path.with_suffix(".align").write_text("a line of text\n"), "is no alignment"),
        (
            lambda path: path.with_suffix(".align").write_text(alignment(20000, 45000)),
            r"longer than the window \(the digit lasts 1\.000 s, at most 0\.8 s fit\)",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 3]), "too short"),
        (lambda path: path.write_bytes(bytes(5000)), "corrupt"),
    ],
)
def test_a_broken_recording_says_what_is_wrong(recordings, break_it, reason):
    path = recordings / "brbm8p.mpg"
    break_it(path)
    with pytest.raises(Unusable, match=reason):
        grid_raw.GridDecoder()((path, path.with_suffix(".align")))


def test_index_without_splits_is_refused(tmp_path):
    (tmp_path / "bbir8p.mpg").write_bytes(b"")
    (tmp_path / "index.csv").write_text("clip,digit\nbbir8p,8\n")
    with pytest.raises(UserError, match=r"index\.csv: needs the columns clip and split"):
        build_dataset(grid(root=tmp_path, cache=tmp_path / "cache"), TINY, "val")


def test_index_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "bbir8p.mpg").write_bytes(b"")
    (tmp_path / "index.csv").write_bytes(b"clip,split\n\xff,val\n")
    with pytest.raises(UserError, match=r"index\.csv: cannot be read as a UTF-8 table"):
        build_dataset(grid(root=tmp_path, cache=tmp_path / "cache"), TINY, "val")


def test_without_an_index_every_digit_is_in_every_part(tmp_path):
    names = [f"{command}bbf{digit}n" for command in "bpls" for digit in "z123456789"]
    names += [f"{command}gbf{digit}n" for command in "bpls" for digit in "z123456789"]
    for name in names:
        (tmp_path / f"{name}.mpg").write_bytes(b"")
    parts, excluded = grid_raw._parts(tmp_path)
    assert list(parts) == sorted(names)
    assert excluded == []
    for split, count in {"train": 5, "val": 1, "test": 2}.items():
        assert sorted(name[4] for name in parts if parts[name] == split) == sorted(count * "123456789z")
