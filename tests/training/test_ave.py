"""AVE: official lists, shared videos and what is excluded, on a small tree of real media."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS, AveConfig
from snnergy.training.data import ave, build_dataset
from snnergy.training.data.splits import SharedGroupsWarning
from tests.training import media_files as files
from tests.training.helpers import TINY

AVE_MODEL = replace(TINY, video_channels=3, classes=28)


def write_lists(root: Path, lists: dict[str, list[tuple[str, str]]]) -> None:
    for name, lines in lists.items():
        text = "".join(f"{category}&{video}&good&0&10\n" for category, video in lines)
        (root / f"{name}Set.txt").write_text(text)


@pytest.fixture
def events(tmp_path, samples):
    """Eight videos on three lists; one of them is missing, one has no sound, one is trained and tested on."""
    root = tmp_path / "AVE_Dataset"
    lists = {
        "train": [("Church bell", "-aB_1"), ("Male speech, man speaking", "b2"), ("Banjo", "c3"), ("Mandolin", "c3"),
                  ("Frying (food)", "d4"), ("Cat", "mute")],
        "val": [("Accordion", "e5"), ("Violin, fiddle", "f6")],
        "test": [("Rodents, rats, mice", "g7"), ("Banjo", "lost"), ("Clock", "d4")],
    }  # fmt: skip
    for video in ("-aB_1", "b2", "c3", "d4", "e5", "f6", "g7"):
        files.copy(samples / "a.mp4", root / "AVE" / f"{video}.mp4")
    files.write_media(root / "AVE/mute.mp4", frames=files.brightening(0.4))
    write_lists(root, lists)
    header = "Category&VideoID&Quality&StartTime&EndTime\n"
    (root / "valSet.txt").write_text(header + (root / "valSet.txt").read_text())
    return AveConfig(name="ave", root=root, cache=tmp_path / "cache", protocol="clean")


def test_ave_categories_are_in_alphabetical_order():
    assert len(ave.CATEGORIES) == len(set(ave.CATEGORIES)) == AveConfig.CLASSES
    assert list(ave.CATEGORIES) == sorted(ave.CATEGORIES)


def test_ave_takes_every_line_and_warns_of_shared_videos(events):
    official = replace(events, protocol="official")
    with pytest.warns(SharedGroupsWarning, match=r"1 in train and test; data\.protocol = clean"):
        train = build_dataset(official, AVE_MODEL, "train")
    names = ["Church bell", "Male speech, man speaking", "Banjo", "Mandolin", "Frying (food)"]
    assert [ave.CATEGORIES[label] for label in train.source.labels] == names
    assert [(path.name, reason) for path, reason in train.excluded] == [("mute.mp4", "has no sound")]


def test_ave_clean_drops_only_training_lines(events):
    datasets = {split: build_dataset(events, AVE_MODEL, split) for split in SPLITS}
    assert {split: len(dataset) for split, dataset in datasets.items()} == {"train": 4, "val": 2, "test": 2}
    videos = {split: {clip.sound for clip in dataset.source.clips} for split, dataset in datasets.items()}
    assert not videos["train"] & (videos["val"] | videos["test"])
    assert [(path.name, reason) for path, reason in datasets["test"].excluded] == [("lost.mp4", "missing")]


def test_ave_clean_warns_of_videos_that_are_validated_and_tested_on(events):
    write_lists(events.root, {"val": [("Accordion", "e5"), ("Rodents, rats, mice", "g7")]})
    with pytest.warns(SharedGroupsWarning, match=r"ave, clean: .*1 in val and test; no training line.*valSet\.txt"):
        clips = ave.list_clips(events, "train").clips
    assert not {clip.sound.stem for clip in clips} & {"d4", "e5", "g7"}


def test_ave_picture_and_sound_are_of_one_time(events):
    dataset = build_dataset(events, replace(AVE_MODEL, audio_encoding="windowed"), "val")
    sample = dataset[1]
    assert np.all(np.diff(sample["video"].astype(float).mean(axis=(1, 2, 3))) > 20)
    assert sample["audio"].shape == (3, 1, 16, 16)
    assert sample["audio"].max() > 50


def test_ave_refuses_lists_of_something_else(events):
    write_lists(events.root, {"train": [("Dog", "x"), ("Cat", "")]})
    with pytest.raises(UserError) as caught:
        build_dataset(events, AVE_MODEL, "train")
    assert len(caught.value.violations) == 2
    assert "trainSet.txt:1: 'Dog&x&good&0&10'" in caught.value.violations[0]


def test_ave_refuses_lists_that_are_no_text(events):
    (events.root / "testSet.txt").write_bytes(b"Clock&\xe9&good&0&10\n")
    with pytest.raises(UserError, match=r"testSet\.txt: cannot be read as UTF-8 text .*; fetch it again"):
        ave.list_clips(events, "train")
