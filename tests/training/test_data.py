"""Audio images, the digits and the samples' randomness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnergy.training.data import arrays, audio, build_dataset
from snnergy.training.data.digits import DTMF_COLUMNS_HZ, DTMF_ROWS_HZ, DigitClips, dtmf_hz, split_rows
from tests.training.helpers import DIGIT_AUDIO, PROCESSORS, TINY, another_processor, digits, tiny_config

RATE = 8000


def tone(hz: float, seconds: float = 0.3) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


@pytest.mark.parametrize("snr_db", [-12.0, 0.0, 20.0])
def test_noise_has_the_asked_power(snr_db):
    clean = tone(440, seconds=10)
    noise = audio.add_white_noise(clean, snr_db, np.random.default_rng(0)) - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.1)


def test_log_mel_finds_a_tone_in_its_band_and_in_its_half():
    clean = tone(1000)
    clean[: len(clean) // 2] = 0
    image = audio.log_mel(clean, RATE, DIGIT_AUDIO, bands=24, columns=16)
    assert image.shape == (24, 16)
    assert np.all(image[:, :6] == -100)
    edges = np.linspace(*(2595 * np.log10(1 + hz / 700) for hz in (500, 1700)), 26)
    centres_hz = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    assert abs(int(image[:, 12].argmax()) - int(np.abs(centres_hz - 1000).argmin())) <= 1


def test_silence_is_pixel_zero_and_the_map_is_linear_and_clipped():
    assert not audio.encode(np.zeros(4000, dtype=np.float32), RATE, DIGIT_AUDIO, TINY).any()
    pixels = audio.to_pixels(np.array([-99.0, -20.0, 0.0, 20.0, 60.0]), DIGIT_AUDIO)
    assert pixels.tolist() == [0, 0, 128, 255, 255]


@PROCESSORS
def test_silence_is_the_same_on_every_processor(units, monkeypatch):
    clip = np.concatenate([np.zeros(2000), tone(1000, seconds=0.3)]).astype(np.float32)
    lowest = replace(DIGIT_AUDIO, floor_db=-100.0)
    with another_processor(monkeypatch, units):
        image = audio.log_mel(clip, RATE, lowest, bands=8, columns=12)
        assert np.all(image[:, 0] == -100)
        assert not audio.to_pixels(image, lowest)[:, 0].any()


@PROCESSORS
def test_pixels_are_the_same_on_every_processor(units, monkeypatch):
    dataset = build_dataset(digits(), replace(TINY, image_size=32, audio_encoding="windowed"), "val")
    expected = [dataset[i] for i in range(64)]
    with another_processor(monkeypatch, units):
        for index, sample in enumerate(expected):
            found = dataset[index]
            assert np.array_equal(found["audio"], sample["audio"])
            assert np.array_equal(found["video"], sample["video"])


def test_a_short_clip_is_padded_with_silence():
    image = audio.log_mel(tone(1000, seconds=0.1), RATE, DIGIT_AUDIO, bands=8, columns=12)
    assert np.all(image[:, [0, -1]] == -100)
    assert np.all(image[:, 6].max() > 0)


def test_encodings():
    clean = audio.add_white_noise(tone(1000), 10, np.random.default_rng(0))
    same = audio.encode(clean, RATE, DIGIT_AUDIO, TINY)
    moving = audio.encode(clean, RATE, DIGIT_AUDIO, replace(TINY, audio_encoding="windowed"))
    assert same.shape == moving.shape == (3, 1, 16, 16)
    assert np.array_equal(same[0], same[2])
    assert np.array_equal(moving[0, ..., 8:], moving[1, ..., :8])
    assert np.array_equal(moving[1, ..., 8:], moving[2, ..., :8])


def test_every_key_has_its_tone_pair():
    keypad = ["123", "456", "789", " 0 "]
    for row, keys in zip(DTMF_ROWS_HZ, keypad, strict=True):
        for column, key in zip(DTMF_COLUMNS_HZ, keys, strict=True):
            if key != " ":
                assert dtmf_hz(int(key)) == (row, column)


@pytest.mark.parametrize("key", [0, 5, 9])
def test_the_waveform_holds_the_two_tones(key):
    clips = DigitClips(digits(), TINY, "test")
    waveform = clips._tones(key, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    hz = np.fft.rfftfreq(len(waveform), 1 / RATE)
    for low, high, expected in [(600, 1050, dtmf_hz(key)[0]), (1100, 1600, dtmf_hz(key)[1])]:
        band = (hz > low) & (hz < high)
        assert hz[band][spectrum[band].argmax()] == pytest.approx(expected, abs=4)
    assert np.mean(waveform**2) == pytest.approx(1, abs=0.05)


def test_split_is_stratified_without_overlap():
    labels = np.repeat(np.arange(10), 100)
    split = split_rows(labels, seed=0)
    assert sorted(np.concatenate(list(split.values()))) == list(range(1000))
    for name, share in [("train", 60), ("val", 15), ("test", 25)]:
        assert np.bincount(labels[split[name]]).tolist() == [share] * 10
    assert not np.array_equal(split["test"], split_rows(labels, seed=1)["test"])


def test_samples():
    dataset = build_dataset(digits(), TINY, "val")
    sample = dataset[0]
    for name in ("video", "audio"):
        assert sample[name].shape == (3, 1, 16, 16)
        assert sample[name].dtype == np.uint8
        assert sample[name].any()
    assert 0 <= sample["label"] <= 9


def test_the_digit_moves_and_is_degraded():
    def drawn(**fields):
        return DigitClips(digits(**fields), TINY, "val").sample(0, 0, np.random.default_rng(0), augment=False)[0]

    still = drawn(drift_px=0.0)
    assert np.array_equal(still[0], still[2])
    moved = drawn(drift_px=3.0)
    assert not np.array_equal(moved[0], moved[2])
    hidden = drawn(drift_px=0.0, occlusion=0.9)
    assert hidden.sum() < 0.5 * still.sum()
    faint = drawn(drift_px=0.0, contrast=0.4)
    assert faint.max() <= 0.4 * 255 + 1


def test_evaluation_noise_is_fixed_and_training_noise_is_fresh():
    first, again = (build_dataset(digits(), TINY, "test") for _ in range(2))
    train = build_dataset(digits(), TINY, "train", seed=1)
    assert np.array_equal(first[3]["audio"], again[3]["audio"])
    again.epoch = train.epoch = 0
    before = train[3]
    assert np.array_equal(before["audio"], train[3]["audio"])
    train.epoch = 1
    assert not np.array_equal(before["audio"], train[3]["audio"])
    assert not np.array_equal(before["audio"], build_dataset(digits(), TINY, "train", seed=2)[3]["audio"])


def test_evaluation_samples_do_not_depend_on_the_training_seed():
    config = tiny_config()
    first, again = arrays(config, "test", limit=4), arrays(replace(config, seed=5), "test", limit=9)
    for name, values in first.items():
        assert np.array_equal(values, again[name][:4]), name
    assert first["video"].shape == (4, 3, 1, 16, 16)
    assert first["label"].dtype == np.int64
    assert len(arrays(config, "val")["label"]) == len(build_dataset(config.data, config.model, "val"))


@pytest.mark.parametrize("blank", ["video", "audio"])
def test_blank_modality_is_zero_in_every_split(blank):
    other = {"video": "audio", "audio": "video"}[blank]
    for split in ("train", "val", "test"):
        sample = build_dataset(digits(), replace(TINY, blank=blank), split)[0]
        assert not sample[blank].any()
        assert np.array_equal(sample[other], build_dataset(digits(), TINY, split)[0][other])


def test_dropout_takes_one_modality_from_its_share_of_the_training_samples():
    def absent(split, **fields):
        dataset = build_dataset(digits(), replace(TINY, **fields), split, dropout=0.4)
        return [tuple(name for name in ("video", "audio") if not dataset[i][name].any()) for i in range(200)]

    train = absent("train")
    assert set(train) == {(), ("video",), ("audio",)}
    assert 40 < sum(map(len, train)) < 120
    assert set(absent("val")) == {()}
    assert set(absent("train", blank="audio")) == {("audio",)}
