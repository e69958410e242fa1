"""UrbanSound8K-AV: folds, published and grouped splits, and what is excluded, on a small tree of real media."""

from __future__ import annotations

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS, UrbanSound8kAvConfig
from snnergy.training.data import build_dataset, urbansound8k_av
from snnergy.training.data.splits import SharedGroupsWarning, split_by_class
from tests.training import media_files as files
from tests.training.helpers import TINY

MODEL = replace(TINY, video_channels=3)

STRANGE = "name is not recording-class-occurrence-slice"


@pytest.fixture
def city(tmp_path, samples):
    """Two classes in folds 1, 2 and 3; two slices of each of their three recordings a fold. Two clips are of no use."""
    root = tmp_path / "UrbanSound8K-AV"
    rows = [("slice_file_name", "fsID", "fold", "classID")]
    for fold in (1, 2, 3):
        for label in (3, 8):
            category = urbansound8k_av.CLASSES[label]
            for recording in (100 * fold + 10 * label + i for i in range(3)):
                for piece in (0, 4):
                    name = f"{recording}-{label}-0-{piece}"
                    files.copy(samples / "a.wav", root / "Dataset_v3_sound" / category / f"{name}.wav")
                    files.copy(samples / "a.jpg", root / "Dataset_v3_vision" / category / f"{name}.jpg")
                    rows.append((f"{name}.wav", recording, fold, label))
    files.copy(samples / "short.wav", root / "Dataset_v3_sound/dog_bark/130-3-0-0.wav")
    (root / "Dataset_v3_vision/siren/280-8-0-0.jpg").unlink()
    files.copy(samples / "a.jpg", root / "Dataset_v3_vision/siren/cover.jpg")
    (root / "metadata").mkdir()
    with (root / "metadata/UrbanSound8K.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return UrbanSound8kAvConfig(name="urbansound8k_av", root=root, cache=tmp_path / "cache", fold=1)


def recordings(dataset) -> set[str]:
    return {clip.sound.stem.split("-")[0] for clip in dataset.source.clips}


def test_urbansound_folds_share_no_recording(city):
    datasets = {split: build_dataset(city, MODEL, split) for split in SPLITS}
    assert {split: len(dataset) for split, dataset in datasets.items()} == {"train": 12, "val": 11, "test": 11}
    assert [sorted({r[0] for r in recordings(datasets[split])}) for split in SPLITS] == [["3"], ["2"], ["1"]]
    assert set(datasets["train"].source.labels.tolist()) == {3, 8}
    # A name without a label belongs to no split, so that every one lists it.
    assert datasets["train"].excluded == ((city.root / "Dataset_v3_vision/siren/cover.jpg", STRANGE),)
    assert [path.name for path, _ in datasets["test"].excluded] == ["cover.jpg", "130-3-0-0.wav"]
    assert [path.name for path, _ in datasets["val"].excluded] == ["cover.jpg", "280-8-0-0.jpg"]
    assert urbansound8k_av.CLASSES[3] == "dog_bark"


def test_urbansound_last_fold_is_validated_by_the_first(city):
    folds = {"a": 10, "b": 1, "c": 5}
    assert urbansound8k_av._by_fold(list(folds), folds, replace(city, fold=10)) == ["test", "val", "train"]


def test_urbansound_folds_may_be_folders(city):
    shutil.rmtree(city.root / "metadata")
    with pytest.raises(UserError, match=r"36 clips have no fold.*metadata/UrbanSound8K\.csv"):
        build_dataset(city, MODEL, "test")
    for path in sorted((city.root / "Dataset_v3_sound").rglob("*.wav")):
        folder = city.root / "audio" / f"fold{path.name[0]}"
        folder.mkdir(parents=True, exist_ok=True)
        os.rename(path, folder / path.name)
    shutil.rmtree(city.root / "Dataset_v3_sound")
    assert len(build_dataset(city, MODEL, "test")) == 11


def test_urbansound_has_no_other_folder_than_fold1_to_fold10(city):
    sounds = {f"{i}-3-0-0": Path("audio", f"fold{i}", f"{i}-3-0-0.wav") for i in (0, 1, 10, 11)}
    assert urbansound8k_av._read_folds(city.root / "none.csv", sounds) == {"1-3-0-0": 1, "10-3-0-0": 10}


def test_urbansound_says_every_wrong_row_of_its_table(city):
    path = city.root / "metadata/UrbanSound8K.csv"
    rows = ["130-3-0-0.wav,130,,3", "131-3-0-0.wav,131,two,3", "132-3-0-0.wav", "180-8-0-0.wav,180,11,8"]
    path.write_text("\n".join(["slice_file_name,fsID,fold,classID", "130-3-0-4.wav,130,1,3", *rows]))
    with pytest.raises(UserError) as caught:
        build_dataset(city, MODEL, "train")
    assert [line.split(": must be 1 to 10; fetch it again")[0] for line in caught.value.violations] == [
        f"{path}:3: fold = '' of '130-3-0-0.wav'",
        f"{path}:4: fold = 'two' of '131-3-0-0.wav'",
        f"{path}:5: fold = '' of '132-3-0-0.wav'",
        f"{path}:6: fold = '11' of '180-8-0-0.wav'",
    ]


@pytest.mark.parametrize("row", [b"\xff-3-0-0.wav,1\n", b'"' + 200_000 * b"a" + b'",1\n'], ids=["text", "csv"])
def test_urbansound_refuses_a_table_that_is_none(city, row):
    (city.root / "metadata/UrbanSound8K.csv").write_bytes(b"slice_file_name,fold\n" + row)
    with pytest.raises(UserError, match=r"UrbanSound8K\.csv: cannot be read as a UTF-8 table .*; fetch it again"):
        build_dataset(city, MODEL, "train")


def test_urbansound_stratified_split_warns_of_shared_recordings(city):
    stratified = replace(city, protocol="stratified")
    with pytest.warns(SharedGroupsWarning, match=r"stratified: parts share .* in train and test.*protocol = folds"):
        datasets = [build_dataset(stratified, MODEL, split) for split in SPLITS]
    names = [clip.sound.name for dataset in datasets for clip in dataset.source.clips]
    assert len(names) == len(set(names)) == 34
    assert [len(dataset) + len(dataset.excluded) - 1 for dataset in datasets] == [28, 4, 4]


def test_urbansound_stratified_sizes_are_those_of_the_paper():
    counts = (1000, 429, 1000, 1000, 1000, 1000, 374, 1000, 929, 1000)
    labels = np.repeat(np.arange(10), counts)
    parts = split_by_class(labels, 0.1, 0.1, seed=0)
    assert np.bincount(parts).tolist() == [6986, 873, 873]
    assert np.bincount(labels[parts == 2]).tolist() == [round(count / 10) for count in counts]
    assert not np.array_equal(parts, split_by_class(labels, 0.1, 0.1, seed=1))


def test_urbansound_grouped_split_keeps_recordings_whole():
    labels = [label for label in range(10) for _ in range(60)]
    of = [f"{label}-{i // 3}" for label in range(10) for i in range(60)]
    parts = urbansound8k_av._by_recording(labels, of, seed=0)
    groups = {split: {r for r, part in zip(of, parts, strict=True) if part == split} for split in SPLITS}
    assert sum(map(len, groups.values())) == len(set(of))
    assert [parts.count(split) for split in SPLITS] == pytest.approx([480, 60, 60], abs=6)
    assert {label for label, part in zip(labels, parts, strict=True) if part == "test"} == set(range(10))


def test_urbansound_picture_is_repeated_but_stored_once(city):
    dataset = build_dataset(city, MODEL, "test")
    sample = dataset[0]
    assert np.array_equal(sample["video"][0], sample["video"][2])
    with np.load(dataset.source.entries[0]) as entry:
        assert entry["frames"].shape == (1, 3, 16, 16)
