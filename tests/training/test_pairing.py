"""Tasks that only both streams solve: who is paired with whom, what each stream alone can know, and the labels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import SPLITS
from snnergy.training.config.experiment import load_config, to_yaml
from snnergy.training.data import arrays, audio, build_dataset
from snnergy.training.data.dataset import AudioVisualDataset
from snnergy.training.data.pairing import draw_pairs
from snnergy.training.loop.evaluation import evaluate
from snnergy.training.model.network import SNNergy
from snnergy.training.samples import write_split
from tests.training.helpers import TINY, digits, grid, needs_grid, tiny_config

DATA = [digits, pytest.param(grid, marks=needs_grid)]
CLASSES = {"correspondence": 2, "binding": 10}


@cache
def clips(make, split):
    """The clips of a split, which no task changes: read once."""
    return build_dataset(make(), TINY, split).source


def dataset(make, task, split, seed=0):
    return AudioVisualDataset(clips(make, split), task, split, seed, "none", 0.0)


def table(digit, label, classes):
    """Samples of each digit and label, `(10, classes)`."""
    return np.bincount(digit * classes + label, minlength=10 * classes).reshape(10, classes)


SETS = st.lists(st.integers(0, 9), min_size=2, max_size=80).filter(lambda found: len(set(found)) > 1)


@settings(deadline=None, max_examples=50)
@given(SETS, st.integers(0, 2**32 - 1))
def test_every_clip_of_any_set_is_seen_with_its_own_digit_and_with_another(found, seed):
    classes = np.array(found)
    seen, heard, labels = draw_pairs("correspondence", classes, np.random.default_rng(seed))
    clips = np.arange(len(classes))
    assert np.array_equal(labels, classes[seen] == classes[heard])
    assert np.array_equal(seen, [*clips, *clips])
    assert labels.tolist() == [1] * len(clips) + [0] * len(clips)
    same, other = np.split(heard, 2)
    assert np.array_equal(np.sort(same), clips)
    assert np.all(np.bincount(classes)[classes[same == clips]] == 1)  # itself only where no other clip is of the digit
    if 2 * np.bincount(classes).max() <= len(classes):  # otherwise there are too few sounds of other digits
        assert np.array_equal(np.sort(other), clips)


@settings(deadline=None, max_examples=50)
@given(SETS, st.integers(0, 2**32 - 1))
def test_binding_hears_every_clip_once(found, seed):
    classes = np.array(found)
    seen, heard, labels = draw_pairs("binding", classes, np.random.default_rng(seed))
    assert seen.tolist() == sorted(heard) == list(range(len(classes)))
    assert labels.tolist() == [(a + b) % 10 for a, b in zip(found, classes[heard].tolist(), strict=True)]


@pytest.mark.parametrize("task", CLASSES)
def test_all_pairs_of_digits_occur(task):
    classes = np.repeat(np.arange(10), 400)
    seen, heard, _ = draw_pairs(task, classes, np.random.default_rng(0))
    pairs = table(classes[seen], classes[heard], 10)
    if task == "binding":
        assert np.all(pairs == 40)
    else:
        assert np.all(np.diag(pairs) == 400)
        assert np.all(pairs > 0)


def test_clips_of_one_digit_cannot_be_mismatched():
    with pytest.raises(UserError, match=r"data\.task = 'correspondence': all 3 clips of the split are of digit 4"):
        draw_pairs("correspondence", np.array([4, 4, 4]), np.random.default_rng(0))


@pytest.mark.parametrize("make", DATA)
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("task", CLASSES)
def test_either_stream_alone_is_at_chance(make, split, task):
    found = dataset(make, task, split)
    classes, (seen, heard, labels) = found.source.labels, found.pairs
    each = np.full(len(classes), len(found) / len(classes))
    for clips in (seen, heard):  # of this split, all alike
        assert np.array_equal(np.bincount(clips), each)
        counts = table(classes[clips], labels, CLASSES[task])
        fair = counts.sum(axis=1, keepdims=True) / CLASSES[task]
        assert np.all(np.abs(counts - fair) <= (0 if task == "correspondence" else 2.5))
    if task == "correspondence":
        assert not np.any(heard == seen)


@pytest.mark.parametrize("task", CLASSES)
def test_pairs_are_fixed_for_evaluation_and_fresh_in_every_epoch_of_training(task):
    for split in ("val", "test"):
        model, data = replace(TINY, classes=CLASSES[task]), digits(task=task)
        first, again = (build_dataset(data, model, split, seed=seed).pairs for seed in (0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first.heard, build_dataset(replace(data, split_seed=1), model, split).pairs.heard)
    train = dataset(digits, task, "train")
    first = train.pairs
    assert not np.array_equal(first.heard, dataset(digits, task, "train", seed=1).pairs.heard)
    train.epoch = 1
    assert not np.array_equal(first.heard, train.pairs.heard)
    train.epoch = 0
    assert np.array_equal(first, train.pairs)


@pytest.mark.parametrize("make", DATA)
def test_picture_and_sound_are_those_of_their_clips(make):
    source = clips(make, "val")
    video, sound = source.sample(3, 5, np.random.default_rng(0), augment=False)
    assert np.array_equal(video, source.sample(3, 3, np.random.default_rng(0), augment=False)[0])
    assert np.array_equal(sound, source.sample(5, 5, np.random.default_rng(0), augment=False)[1])
    assert not np.array_equal(sound, source.sample(3, 3, np.random.default_rng(0), augment=False)[1])


@pytest.mark.parametrize("make", DATA)
@pytest.mark.parametrize("split", SPLITS)
def test_recognition_pairs_each_clip_with_itself(make, split):
    seed = 3
    found = dataset(make, "recognition", split, seed)
    for index in (0, len(found) - 1):
        rng = np.random.default_rng([seed, SPLITS.index(split), 0, index])
        video, sound = found.source.sample(index, index, rng, augment=split == "train")
        assert np.array_equal(found[index]["video"], video)
        assert np.array_equal(found[index]["audio"], sound)
        assert found[index]["label"] == found.source.labels[index]


@pytest.mark.parametrize("task", CLASSES)
def test_a_samples_file_holds_the_labels_of_what_is_seen_and_heard(tmp_path, task):
    config = load_config(f"digits-{task}", ["data.audio.snr_db=60", "model.time_steps=2"])
    path = tmp_path / "experiment.yaml"
    path.write_text(to_yaml(config))
    write_split(path, "val", tmp_path / "val.npz", count=40)
    source = build_dataset(config.data, config.model, "val").source
    tones = [source._tones(key, np.random.default_rng(0)) for key in range(10)]
    keys = np.stack([audio.encode(tone, 8000, config.data.audio, config.model) for tone in tones]) / 255
    with np.load(tmp_path / "val.npz") as found:
        key = np.abs(found["audio"][:, None] - keys).mean(axis=(2, 3, 4, 5)).argmin(axis=1)
        seen = source.labels[:40]
        expected = seen == key if task == "correspondence" else (seen + key) % 10
        assert found["label"].tolist() == expected.tolist()
        assert len(set(key)) == 10


def test_a_network_of_two_classes_is_evaluated():
    config = replace(tiny_config(), data=digits(task="correspondence"), model=replace(TINY, classes=2))
    accuracy, _, logits = evaluate(SNNergy(config.model), arrays(config, "val", limit=6), batch_size=4)
    assert logits.shape == (6, 2)
    assert accuracy in [right / 6 for right in range(7)]
