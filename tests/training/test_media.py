"""Decoding, spectrograms, augmentation and the cache, on media files that are made here."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import CremaDConfig
from snnergy.training.data import augment, clips, spectrogram
from snnergy.training.data.cache import Cache
from snnergy.training.data.clips import Clip, ClipDecoder, Listing, MediaClips
from snnergy.training.data.dataset import Excluded
from snnergy.training.data.media import Unusable, read_frames, read_luma, read_sound
from tests.training import media_files as files
from tests.training.helpers import PROCESSORS, TINY, another_processor

ROOT = Path(__file__).parents[2]
RATE = files.RATE


def peak_hz(waveform: np.ndarray) -> float:
    return np.abs(np.fft.rfft(waveform)).argmax() * RATE / len(waveform)


@pytest.mark.parametrize(
    ("codec", "rate"), [("pcm_s16le", 44100), ("pcm_u8", 8000), ("pcm_s24le", 48000), ("pcm_f32le", 22050)]
)
def test_sound_of_any_kind_becomes_the_same_waveform(tmp_path, codec, rate):
    path = files.write_wav(tmp_path / "a.wav", files.tone(0.5, rate=rate), rate, codec)
    waveform = read_sound(path)
    assert len(waveform) == pytest.approx(0.5 * RATE, abs=1)
    assert peak_hz(waveform) == pytest.approx(440, abs=3)
    inner = waveform[500:-500]
    assert [inner.max(), inner.min(), inner.mean()] == pytest.approx([0.5, -0.5, 0], abs=0.01)


def test_channels_are_averaged(tmp_path):
    clean = files.tone(0.3)
    path = files.write_wav(tmp_path / "a.wav", np.stack([clean, np.zeros_like(clean)]))
    assert np.allclose(read_sound(path), clean / 2, atol=1e-4)


def test_compressed_sound(tmp_path):
    waveform = read_sound(files.write_mp4(tmp_path / "a.mp4"))
    assert peak_hz(waveform) == pytest.approx(440, abs=5)


@pytest.mark.parametrize(("name", "codec"), [("a.flv", "flv"), ("a.mp4", "mpeg4"), ("a.mp4", "libx264")])
def test_frames_are_the_middles_of_equal_stretches_in_order(tmp_path, name, codec):
    frames = files.brightening(0.8)  # 20 frames
    path = files.write_media(tmp_path / name, frames=frames, codecs=(codec, ""))
    images, order = read_frames(path, count=4, side=32, limit_s=10.0)
    assert images.shape == (4, 3, 32, 32)
    assert images.dtype == np.uint8
    assert order.tolist() == [0, 1, 2, 3]
    assert images.mean(axis=(1, 2, 3)) == pytest.approx(frames[[2, 7, 12, 17], 0, 0, 0], abs=4)


def test_frames_stay_within_the_limit(tmp_path):
    path = files.write_flv(tmp_path / "a.flv", seconds=0.8)
    images, _ = read_frames(path, count=3, side=16, limit_s=0.4)
    assert images[-1].mean() < 120  # the second half is brighter


def test_the_last_frame_stays_where_there_are_too_few(tmp_path):
    path = files.write_media(tmp_path / "a.mp4", frames=files.brightening(0.8)[:2])
    images, order = read_frames(path, count=6, side=16, limit_s=10.0)
    assert len(images) == 2
    assert order.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_still_is_a_video_of_one_frame(tmp_path):
    images, order = read_frames(files.write_still(tmp_path / "a.jpg", 200), count=6, side=16, limit_s=4.0)
    assert len(images) == 1
    assert order.tolist() == [0] * 6
    assert np.abs(images.astype(int) - 200).max() <= 3


def test_colours_and_rows_keep_their_places(tmp_path):
    frames = np.zeros((5, 48, 96, 3), np.uint8)
    frames[:, :24, :, 0] = 255
    frames[:, 24:, :48, 2] = 255
    images, _ = read_frames(files.write_media(tmp_path / "a.mp4", frames=frames), count=1, side=32, limit_s=1.0)
    top, left, right = images[0, :, 2:14], images[0, :, 18:30, 2:14], images[0, :, 18:30, 18:30]
    assert top.mean(axis=(1, 2)) == pytest.approx([255, 0, 0], abs=12)
    assert left.mean(axis=(1, 2)) == pytest.approx([0, 0, 255], abs=12)
    assert right.mean(axis=(1, 2)) == pytest.approx([0, 0, 0], abs=12)


def test_luma_uses_the_whole_range(tmp_path):
    frames = np.stack([np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)])
    luma = read_luma(files.write_media(tmp_path / "a.mp4", frames=frames))
    assert luma.shape == (2, 64, 64)
    assert luma.mean(axis=(1, 2)) == pytest.approx([0, 255], abs=3)


def test_broken_files_say_what_is_wrong(tmp_path):
    def reason(read, path, *arguments):
        with pytest.raises(Unusable) as caught:
            read(path, *arguments)
        assert caught.value.path == path
        return caught.value.reason

    pointer, short = tmp_path / "pointer.wav", tmp_path / "short.mp4"
    pointer.write_text(files.LFS_POINTER)
    whole = files.write_mp4(tmp_path / "whole.mp4").read_bytes()
    short.write_bytes(whole[: len(whole) // 2])
    assert "missing" in reason(read_sound, tmp_path / "none.wav")
    assert "git lfs pull" in reason(read_sound, pointer)
    assert "corrupt" in reason(read_sound, files.write_junk(tmp_path / "junk.wav"))
    assert "corrupt" in reason(read_frames, files.write_junk(tmp_path / "junk.flv"), 3, 16, 1.0)
    assert "corrupt" in reason(read_frames, short, 3, 16, 1.0)
    assert "no sound" in reason(read_sound, files.write_flv(tmp_path / "mute.flv"))
    assert "no picture" in reason(read_frames, files.write_wav(tmp_path / "a.wav", files.tone(0.3)), 3, 16, 1.0)


def test_scrambled_packets_are_not_taken_for_a_short_clip(tmp_path):
    path = files.write_mp4(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = np.random.default_rng(1).bytes(end - start)
    path.write_bytes(content)
    with pytest.raises(Unusable, match="corrupt"):
        read_sound(path)


def test_spectrogram_is_relative_to_the_clip_and_silence_is_zero():
    clean = files.tone(1.0, hz=1000)
    mel = spectrogram.relative_mel(clean, window_s=2.0)
    assert mel.shape == (128, 101)
    assert mel.max() == 0
    assert mel.min() == -80
    assert np.abs(mel - spectrogram.relative_mel(1e-4 * clean, 2.0)).max() < 0.01
    assert np.all(mel[:, 60:] == -80)
    assert np.all(spectrogram.relative_mel(np.zeros(RATE), 1.0) == -80)
    image = spectrogram.encode(mel, 51, replace(TINY, image_size=128))
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert not image[..., 75:].any()
    assert not spectrogram.encode(np.full_like(mel, -80), 51, TINY).any()


@PROCESSORS
def test_a_spectrogram_is_the_same_image_on_every_processor(units, monkeypatch):
    noise = np.random.default_rng(0).standard_normal(RATE) * np.linspace(0, 1, RATE) ** 4
    mel = spectrogram.relative_mel(noise, window_s=1.5)
    with another_processor(monkeypatch, units):
        again = spectrogram.relative_mel(noise, window_s=1.5)
    assert np.array_equal(mel == -80, again == -80) and (mel == -80).any()
    assert again.max() == pytest.approx(0, abs=1e-14)
    large = replace(TINY, image_size=64)
    assert np.array_equal(spectrogram.encode(mel, 51, large), spectrogram.encode(again, 51, large))


def test_low_frequencies_are_the_first_rows():
    rows = [spectrogram.relative_mel(files.tone(0.5, hz), 0.5).max(axis=1).argmax() for hz in (200, 1000, 4000)]
    assert rows == sorted(rows)
    assert rows[0] < 20 < 100 > rows[2] > 80


def test_windows_follow_the_clip_not_the_silence_after_it():
    waveform = np.concatenate([np.zeros(RATE // 2), files.tone(0.5)])
    mel = spectrogram.relative_mel(waveform, window_s=4.0)
    moving = spectrogram.encode(mel, spectrogram.columns(1.0), replace(TINY, audio_encoding="windowed"))
    same = spectrogram.encode(mel, spectrogram.columns(1.0), TINY)
    assert moving.shape == same.shape == (3, 1, 16, 16)
    assert np.array_equal(same[0], same[2])
    assert moving[0].mean() < moving[1].mean() < moving[2].mean()
    assert moving[2, 0, :, -2].max() > 100


@pytest.mark.parametrize("by", [-3, 0, 4])
def test_shifted_spectrogram_is_followed_by_silence(by):
    mel = np.arange(10, dtype=np.float32)[None] - 20
    moved = spectrogram.shifted(mel, by)[0].tolist()
    assert moved == [i - by - 20 if 0 <= i - by < 10 else -80 for i in range(10)]


def test_augmentation_treats_all_frames_alike():
    still = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 3, 16, 16), np.uint8), 4, axis=0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        video = augment.jitter_colour(augment.mirror_and_move(still, 0.5, 3, rng), 0.3, rng)
        assert video.shape == still.shape
        assert video.dtype == np.uint8
        assert np.array_equal(video[0], video[3])
        assert not np.array_equal(video, still)


def test_no_augmentation_where_its_strength_is_zero():
    video = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), np.uint8)
    rng = np.random.default_rng(0)
    assert np.array_equal(augment.jitter_colour(augment.mirror_and_move(video, 0.0, 0, rng), 0.0, rng), video)


@pytest.fixture
def pairs(tmp_path):
    """Six clips: two usable ones, and one each that is silent, too short, corrupt and missing."""
    sounds = [files.tone(0.5), files.tone(0.4), np.zeros(RATE // 2), files.tone(0.02)]
    paths = []
    for i, sound in enumerate(sounds):
        paths.append((files.write_flv(tmp_path / f"{i}.flv"), files.write_wav(tmp_path / f"{i}.wav", sound)))
    paths.append((files.write_junk(tmp_path / "4.flv"), paths[0][1]))
    paths.append((tmp_path / "5.flv", paths[0][1]))
    return paths


@pytest.fixture
def decodes(monkeypatch):
    """The sound files decoded so far."""
    seen = []

    def counted(path):
        seen.append(path)
        return read_sound(path)

    monkeypatch.setattr(clips, "read_sound", counted)
    return seen


DECODER = ClipDecoder(steps=3, side=16, window_s=1.0, min_s=0.25)


def test_the_cache_decodes_each_clip_once_the_bad_ones_too(tmp_path, pairs, decodes):
    first = Cache(tmp_path / "cache", DECODER).fill(pairs)
    assert [isinstance(outcome, Path) for outcome in first] == [True, True, False, False, False, False]
    for outcome, reason in zip(first[2:], ("silent", "too short", "corrupt", "missing"), strict=True):
        assert isinstance(outcome, Excluded)
        assert reason in outcome.reason
    assert [outcome.path.name for outcome in first[2:]] == ["2.wav", "3.wav", "4.flv", "5.flv"]
    assert len(decodes) == 5
    cache = Cache(tmp_path / "cache", DECODER)
    assert cache.fill(pairs) == first
    arrays = cache.load(first[0], pairs[0])
    assert len(decodes) == 5
    decoded = DECODER(pairs[0])
    assert arrays.keys() == decoded.keys()
    assert all(np.array_equal(arrays[name], decoded[name]) for name in decoded)


def test_an_entry_is_of_one_file_and_one_setting(tmp_path, pairs, decodes):
    cache = Cache(tmp_path / "cache", DECODER)
    (entry,) = cache.fill(pairs[:1])
    for field, value in {"steps": 4, "side": 32, "window_s": 2.0, "min_s": 0.1}.items():
        assert Cache(tmp_path / "cache", replace(DECODER, **{field: value})).fill(pairs[:1]) != [entry]
    os.utime(pairs[0][0], ns=(1, 1))
    assert cache.fill(pairs[:1]) != [entry]
    assert len(decodes) == 6


def test_a_repaired_file_is_decoded_again(tmp_path, pairs):
    cache = Cache(tmp_path / "cache", DECODER)
    assert "corrupt" in cache.fill(pairs[4:5])[0].reason
    files.write_flv(pairs[4][0])
    assert isinstance(cache.fill(pairs[4:5])[0], Path)


@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_damaged_entry_is_made_again(tmp_path, pairs, damage):
    cache = Cache(tmp_path / "cache", DECODER)
    (entry,) = cache.fill(pairs[:1])
    whole = entry.read_bytes()
    entry.unlink()
    if damage != "gone":
        entry.write_bytes(whole[: len(whole) // 2 if damage == "cut" else 0])
    assert np.array_equal(cache.load(entry, pairs[0])["frames"], DECODER(pairs[0])["frames"])
    assert np.load(entry)["frames"].shape[1:] == (3, 16, 16)


def test_a_cache_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"set data\.cache to another folder"):
        Cache(tmp_path / "file" / "cache", DECODER)


FILL = """
import sys
from pathlib import Path
from snnergy.training.data.cache import Cache
from snnergy.training.data.clips import ClipDecoder

root = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
pairs = [(root / f"{i % 2}.flv", root / f"{i}.wav") for i in range(8)]
outcomes = Cache(root / "cache", ClipDecoder(steps=3, side=16, window_s=1.0, min_s=0.25)).fill(pairs)
print(sum(isinstance(outcome, Path) for outcome in outcomes))
"""


def test_two_processes_fill_one_cache(tmp_path, pairs, decodes):
    for i in range(2, 8):
        files.write_wav(tmp_path / f"{i}.wav", files.tone(0.5, hz=100 * i))
    files_of = [(tmp_path / f"{i % 2}.flv", tmp_path / f"{i}.wav") for i in range(8)]
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        ours = Cache(tmp_path / "cache", DECODER).fill(files_of)
        theirs = other.communicate()[0].strip()
    assert other.returncode == 0
    assert theirs == "8" and all(isinstance(outcome, Path) for outcome in ours)
    assert len(list((tmp_path / "cache").iterdir())) == 8  # and nothing half-written
    decodes.clear()
    cache = Cache(tmp_path / "cache", DECODER)
    for entry, pair in zip(cache.fill(files_of), files_of, strict=True):
        assert cache.load(entry, pair)["frames"].shape[1:] == (3, 16, 16)
    assert decodes == []


def media_clips(tmp_path, pairs, **fields) -> MediaClips:
    config = CremaDConfig(name="crema_d", root=tmp_path, cache=tmp_path / "cache", shift_px=2, **fields)
    listing = Listing(tuple(Clip(picture, sound, i % 6) for i, (picture, sound) in enumerate(pairs)))
    return MediaClips(listing, config, replace(TINY, classes=6, video_channels=3), "train")


def test_clips_that_cannot_be_used_are_listed_and_logged(tmp_path, pairs, caplog):
    source = media_clips(tmp_path, pairs)
    assert source.labels.tolist() == [0, 1]
    assert [path.name for path, _ in source.excluded] == ["2.wav", "3.wav", "4.flv", "5.flv"]
    assert "crema_d train: 4 of 6 clips cannot be used" in caplog.text
    assert "silent" in caplog.text


def test_no_usable_clip_is_an_error(tmp_path, pairs):
    with pytest.raises(UserError, match=r"4 of 4 clips cannot be used.*silent.*fetch"):
        media_clips(tmp_path, pairs[2:])


def test_samples_keep_the_order_of_time(tmp_path, pairs):
    source = media_clips(tmp_path, pairs)
    video, audio = source.sample(0, 0, np.random.default_rng(0), augment=False)
    crossed = source.sample(0, 1, np.random.default_rng(0), augment=False)
    assert np.array_equal(crossed[0], video)
    assert np.array_equal(crossed[1], source.sample(1, 1, np.random.default_rng(0), augment=False)[1])
    assert video.shape == (3, 3, 16, 16)
    assert audio.shape == (3, 1, 16, 16)
    assert video.dtype == audio.dtype == np.uint8
    # Sound lasts 0.5 of the video's 0.6 s; middles of its thirds.
    levels = 20 + 200 * np.array([0.5, 1.5, 2.5]) / 3 * 0.5 / 0.6
    assert video.mean(axis=(1, 2, 3)) == pytest.approx(levels, abs=12)
    for seed in range(5):
        video, _ = source.sample(0, 0, np.random.default_rng(seed), augment=True)
        assert np.all(np.diff(video.mean(axis=(1, 2, 3))) > 0)


def test_augmentation_draws_frames_colours_and_times(tmp_path, pairs):
    still = media_clips(tmp_path, pairs, flip=0.0, colour=0.0, shift=0.0)
    plain, sound = still.sample(0, 0, np.random.default_rng(0), augment=False)
    drawn = [still.sample(0, 0, np.random.default_rng(seed), augment=True) for seed in range(8)]
    assert len({video.mean(axis=(1, 2, 3)).round().tobytes() for video, _ in drawn}) > 4
    assert all(np.array_equal(audio, sound) for _, audio in drawn)
    moved = media_clips(tmp_path, pairs, shift=0.2)
    assert not np.array_equal(moved.sample(0, 0, np.random.default_rng(0), augment=True)[1], sound)
    assert np.array_equal(moved.sample(0, 0, np.random.default_rng(1), augment=False)[0], plain)
