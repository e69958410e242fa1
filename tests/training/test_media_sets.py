"""CREMA-D, AVE and UrbanSound8K-AV: layouts, labels, splits and what is excluded, on small trees of real media."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.errors import UserError
from tests.training import media_files as files
from tests.training.helpers import TINY
from training.config import Config, TrainConfig, load_config
from training.data import arrays, ave, build_dataset, crema_d, media, urbansound8k_av
from training.data.dataset import SPLITS
from training.data.splits import SharedGroupsWarning, split_by_class
from training.data_config import AveConfig, CremaDConfig, UrbanSound8kAvConfig

MODEL = replace(TINY, video_channels=3)
CREMA_D_MODEL, AVE_MODEL = replace(MODEL, classes=6), replace(MODEL, classes=28)


def copy(source: Path, *targets: Path) -> None:
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """One file of each kind, to be copied under the names of a data set."""
    folder = tmp_path_factory.mktemp("samples")
    files.write_flv(folder / "a.flv")
    files.write_mp4(folder / "a.mp4")
    files.write_still(folder / "a.jpg")
    files.write_wav(folder / "a.wav", files.tone(0.5))
    files.write_wav(folder / "silent.wav", np.zeros(8000))
    files.write_wav(folder / "short.wav", files.tone(0.01))
    return folder


@pytest.mark.parametrize(
    ("config", "layout", "source"),
    [
        (CremaDConfig, r"AudioWAV/\*\.wav and VideoFlash/\*\.flv", "github.com/CheyneyComputerScience/CREMA-D"),
        (AveConfig, r"AVE/<video id>\.mp4 and trainSet\.txt", "github.com/YapengTian/AVE-ECCV18"),
        (UrbanSound8kAvConfig, r"Dataset_v3_sound/<class>/\*\.wav", "kaggle.com/datasets/lingyueguo/urbansound8k-av"),
    ],
)
def test_a_missing_data_set_names_layout_and_source(tmp_path, config, layout, source):
    name = {CremaDConfig: "crema_d", AveConfig: "ave", UrbanSound8kAvConfig: "urbansound8k_av"}[config]
    with pytest.raises(UserError, match=rf"data set '{name}' is not there; expected {layout}.*{source}.*data\.root"):
        build_dataset(config(name=name, root=tmp_path / "none", cache=tmp_path), MODEL, "train")


@pytest.mark.parametrize("name", ["crema_d", "ave", "urbansound8k_av"])
def test_shipped_experiments_are_the_full_size(name):
    config = load_config(Path(__file__).parents[2] / "configs" / f"{name}.yaml")
    model, train = config.model, config.train
    assert (model.image_size, model.time_steps, model.base_dim, model.depths) == (128, 6, 96, (1, 1, 2))
    assert (train.batch_size, train.epochs, train.warmup_epochs) == (128, 100, 5)


@pytest.mark.parametrize(
    ("name", "override", "expected"),
    [
        ("urbansound8k_av", "data.fold=11", "data.fold = 11: Input should be less than or equal to 10"),
        ("urbansound8k_av", "model.classes=6", "model.classes = 6: data set 'urbansound8k_av' has 10"),
        ("ave", "data.protocol=dirty", "data.protocol = 'dirty': Input should be 'official' or 'clean'"),
        ("crema_d", "model.video_channels=1", "model.video_channels = 1: data set 'crema_d' has 3"),
        ("crema_d", "data.fold=1", "data.fold is not a field"),
    ],
)
def test_refused_experiments(name, override, expected):
    with pytest.raises(UserError, match=expected):
        load_config(Path(__file__).parents[2] / "configs" / f"{name}.yaml", [override])


# --- CREMA-D ---

ACTORS = (1001, 1002, 1003, 1004, 1005, 1011)


@pytest.fixture
def crema(tmp_path, samples):
    """Six actors, three of them women, all six emotions; seven clips that cannot be used."""
    root = tmp_path / "CREMA-D"
    names = [f"{actor}_TIE_{emotion}_XX" for actor in ACTORS for emotion in ("SAD", "ANG", "NEU", "HAP", "FEA", "DIS")]
    for name in names:
        copy(samples / "a.wav", root / "AudioWAV" / f"{name}.wav")
        copy(samples / "a.flv", root / "VideoFlash" / f"{name}.flv")
    copy(samples / "silent.wav", root / "AudioWAV/1001_IEO_ANG_HI.wav")
    copy(samples / "short.wav", root / "AudioWAV/1002_IEO_ANG_LO.wav")
    copy(samples / "a.wav", root / "AudioWAV/1003_IEO_ANG_MD.wav", root / "AudioWAV/1004_DFA_SAD_XX.wav")
    for name in ("1001_IEO_ANG_HI", "1002_IEO_ANG_LO", "1005_DFA_SAD_XX"):
        copy(samples / "a.flv", root / f"VideoFlash/{name}.flv")
    files.write_junk(root / "VideoFlash/1003_IEO_ANG_MD.flv")
    (root / "AudioWAV/1011_DFA_SAD_XX.wav").write_text(files.LFS_POINTER)
    copy(samples / "a.flv", root / "VideoFlash/1011_DFA_SAD_XX.flv")
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
    copy(samples / "a.wav", crema.root / "AudioWAV/1001_ITH_SAD_X.wav", crema.root / "AudioWAV/1076_MTI_SAD_XX.wav")
    copy(samples / "a.flv", crema.root / "VideoFlash/1001_ITH_SAD_X.flv", crema.root / "VideoFlash/1076_MTI_SAD_XX.flv")
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


# --- AVE ---


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
        copy(samples / "a.mp4", root / "AVE" / f"{video}.mp4")
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


# --- UrbanSound8K-AV ---

STRANGE = "name is not recording-class-occurrence-slice"


@pytest.fixture
def city(tmp_path, samples):
    """Two classes in folds 1, 2 and 3; two slices of each of their three recordings a fold. Two clips are of no use."""
    root = tmp_path / "UrbanSound8K-AV"
    rows = [("slice_file_name", "fsID", "fold", "classID")]
    for fold in (1, 2, 3):
        for label in (3, 8):
            for recording in (100 * fold + 10 * label + i for i in range(3)):
                for piece in (0, 4):
                    name = f"{recording}-{label}-0-{piece}"
                    copy(samples / "a.wav", root / "Dataset_v3_sound" / urbansound8k_av.CLASSES[label] / f"{name}.wav")
                    copy(samples / "a.jpg", root / "Dataset_v3_vision" / urbansound8k_av.CLASSES[label] / f"{name}.jpg")
                    rows.append((f"{name}.wav", recording, fold, label))
    copy(samples / "short.wav", root / "Dataset_v3_sound/dog_bark/130-3-0-0.wav")
    (root / "Dataset_v3_vision/siren/280-8-0-0.jpg").unlink()
    copy(samples / "a.jpg", root / "Dataset_v3_vision/siren/cover.jpg")
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
