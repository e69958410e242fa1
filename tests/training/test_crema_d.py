"""CREMA-D: layout, labels, split by actor and what is excluded, on a small tree of real media."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS, CremaDConfig
from snnergy.training.config.experiment import Config, TrainConfig
from snnergy.training.data import arrays, build_dataset, crema_d, media
from tests.training import media_files as files
from tests.training.helpers import TINY

CREMA_D_MODEL = replace(TINY, video_channels=3, classes=6)

ACTORS = (1001, 1002, 1003, 1004, 1005, 1011)


@pytest.fixture
def crema(tmp_path, samples):
    """Six actors, three of them women, all six emotions; seven clips that cannot be used."""
    root = tmp_path / "CREMA-D"
    names = [f"{actor}_TIE_{emotion}_XX" for actor in ACTORS for emotion in ("SAD", "ANG", "NEU", "HAP", "FEA", "DIS")]
    for name in names:
        files.copy(samples / "a.wav", root / "AudioWAV" / f"{name}.wav")
        files.copy(samples / "a.flv", root / "VideoFlash" / f"{name}.flv")
    files.copy(samples / "silent.wav", root / "AudioWAV/1001_IEO_ANG_HI.wav")
    files.copy(samples / "short.wav", root / "AudioWAV/1002_IEO_ANG_LO.wav")
    files.copy(samples / "a.wav", root / "AudioWAV/1003_IEO_ANG_MD.wav", root / "AudioWAV/1004_DFA_SAD_XX.wav")
    for name in ("1001_IEO_ANG_HI", "1002_IEO_ANG_LO", "1005_DFA_SAD_XX"):
        files.copy(samples / "a.flv", root / f"VideoFlash/{name}.flv")
    files.write_junk(root / "VideoFlash/1003_IEO_ANG_MD.flv")
    (root / "AudioWAV/1011_DFA_SAD_XX.wav").write_text(files.LFS_POINTER)
    files.copy(samples / "a.flv", root / "VideoFlash/1011_DFA_SAD_XX.flv")
    (root / "AudioWAV/notes.wav").write_text("")
    return CremaDConfig(name="crema_d", root=root, cache=tmp_path / "cache", shift_px=2)


def test_crema_d_splits_share_no_actor(crema):
    actors = {}
    for split in SPLITS:
        dataset = build_dataset(crema, CREMA_D_MODEL, split)
        names = [clip.sound.stem.split("_") for clip in dataset.source.clips]
        actors[split] = {int(actor) for actor, *_ in names}
        assert dataset.source.labels.tolist() == [crema_d.EMOTIONS.index(emotion) for _, _, emotion, _ in names]
        assert len(dataset) == 6 * len(actors[split])
    assert {split: len(of_split) for split, of_split in actors.items()} == {"train": 4, "val": 1, "test": 1}
    assert sorted(actor for of_split in actors.values() for actor in of_split) == list(ACTORS)


def test_crema_d_lists_what_it_leaves_out(crema):
    excluded = [build_dataset(crema, CREMA_D_MODEL, split).excluded for split in SPLITS]
    reasons = {path.name: reason for of_split in excluded for path, reason in of_split}
    strange = reasons.pop("notes.wav")  # belongs to no actor, so that every split names it
    assert sum(map(len, excluded)) == 6 + 3
    assert strange == "name is not actor_sentence_emotion_level"
    expected = {
        "1001_IEO_ANG_HI.wav": "silent",
        "1002_IEO_ANG_LO.wav": "too short",
        "1003_IEO_ANG_MD.flv": "corrupt",
        "1004_DFA_SAD_XX.flv": "missing",
        "1005_DFA_SAD_XX.wav": "missing",
        "1011_DFA_SAD_XX.wav": "git lfs pull",
    }
    assert reasons.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in reasons[name]


def test_crema_d_actors_are_split_in_proportion_to_their_sex():
    everyone = set(range(1001, 1092))
    assert len(crema_d.FEMALE) == 43
    for seed in range(3):
        parts = crema_d.split_actors(everyone, seed)
        counts = Counter((part, actor in crema_d.FEMALE) for actor, part in parts.items())
        assert counts == {
            ("train", False): 38, ("train", True): 35, ("val", False): 5, ("val", True): 4,
            ("test", False): 5, ("test", True): 4,
        }  # fmt: skip
        assert parts == crema_d.split_actors(everyone, seed)
        assert parts != crema_d.split_actors(everyone, seed + 1)


def test_crema_d_needs_three_actors():
    with pytest.raises(UserError, match="has no clip for val, test"):
        crema_d.split_actors({1001, 1002}, 0)


def test_crema_d_knows_its_own_list_and_oddities(crema, samples):
    for name in ("1001_ITH_SAD_X", "1076_MTI_SAD_XX"):
        files.copy(samples / "a.wav", crema.root / "AudioWAV" / f"{name}.wav")
        files.copy(samples / "a.flv", crema.root / "VideoFlash" / f"{name}.flv")
    with (crema.root / "SentenceFilenames.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Stimulus_Number", "Filename"), (1, "1001_TIE_SAD_XX"), (2, "1001_WSI_DIS_XX")])
    listings = [crema_d.list_clips(crema, split) for split in SPLITS]
    excluded = {path.name: reason for listing in listings for path, reason in listing.excluded}
    assert "neither picture nor sound" in excluded["1076_MTI_SAD_XX.flv"]
    clips = {clip.sound.name: clip for listing in listings for clip in listing.clips}
    assert clips["1001_ITH_SAD_X.wav"].label == crema_d.EMOTIONS.index("SAD")
    assert not clips["1001_WSI_DIS_XX.wav"].sound.exists()  # promised by the list: decoding will find it missing


def test_samples_depend_on_seed_split_epoch_and_index_alone(crema):
    train, again = (build_dataset(crema, CREMA_D_MODEL, "train", seed=3) for _ in range(2))
    again[0]  # drawing one sample does not change another
    for name in ("video", "audio"):
        assert np.array_equal(train[5][name], again[5][name])
    before = train[5]["video"]
    train.epoch = 1
    assert not np.array_equal(before, train[5]["video"])
    assert not np.array_equal(before, build_dataset(crema, CREMA_D_MODEL, "train", seed=4)[5]["video"])
    fixed, other = (build_dataset(crema, CREMA_D_MODEL, "val", seed=seed) for seed in (0, 1))
    other.epoch = 7
    for name in ("video", "audio"):
        assert np.array_equal(fixed[2][name], other[2][name])


def test_a_second_run_decodes_nothing_and_gives_the_same(crema, monkeypatch):
    config = Config("crema_d", crema, CREMA_D_MODEL, TrainConfig(epochs=1, batch_size=2, learning_rate=1e-3))
    first = {split: arrays(config, split) for split in SPLITS}
    assert first["train"]["video"].shape == (24, 3, 3, 16, 16)
    opened = []
    monkeypatch.setattr(media.av, "open", lambda *arguments, **options: opened.append(arguments))
    for split, expected in first.items():
        for name, values in arrays(config, split).items():
            assert np.array_equal(values, expected[name]), (split, name)
    assert opened == []


def test_crema_d_refuses_a_list_that_is_no_text(crema):
    (crema.root / "SentenceFilenames.csv").write_bytes(b"Filename\n\xff\n")
    with pytest.raises(UserError, match=r"SentenceFilenames\.csv: cannot be read as a UTF-8 table"):
        build_dataset(crema, CREMA_D_MODEL, "train")
