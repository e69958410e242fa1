"""Input files: what is accepted, and one clear line for each thing that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples, read_samples
from snnergy.neuromorphic.inputs import shapes_of, to_integers
from snnergy.neuromorphic.ir import InputPort

VIDEO = InputPort("video", (1, 4, 4), "real", 1 / 255, 8)
AUDIO = InputPort("audio", (3,), "binary")


def test_arrays_are_named_after_ports(tmp_path: Path) -> None:
    video, audio, label = np.ones((5, 2, 1, 4, 4)), np.zeros((5, 2, 3)), np.arange(5)
    np.savez(tmp_path / "x.npz", video=video, audio=audio, label=label)
    samples = read_samples(tmp_path / "x.npz", shapes_of((VIDEO, AUDIO)))
    assert len(samples) == 5 and len(samples.first(2)) == 2
    np.testing.assert_array_equal(samples.labels, label)
    assert to_integers(samples, (VIDEO, AUDIO))["video"].max() == 255


def test_single_array_without_sample_axis_and_with_time_last(tmp_path: Path) -> None:
    train = np.random.default_rng(0).integers(0, 2, (3, 50))
    np.save(tmp_path / "x.npy", train)
    samples = read_samples(tmp_path / "x.npy", shapes_of((AUDIO,)), time_last=True)
    np.testing.assert_array_equal(samples.arrays["audio"][0], train.T)
    np.save(tmp_path / "y.npy", train.T)
    np.testing.assert_array_equal(
        read_samples(tmp_path / "y.npy", shapes_of((AUDIO,))).arrays["audio"], samples.arrays["audio"]
    )


def test_extents_of_one_may_be_left_out(tmp_path: Path) -> None:
    padded = InputPort("input", (1, 1, 3), "binary")
    np.save(tmp_path / "x.npy", np.eye(3, 5))
    samples = read_samples(tmp_path / "x.npy", shapes_of((padded,)), time_last=True)
    assert samples.arrays["input"].shape == (1, 5, 1, 1, 3)
    np.testing.assert_array_equal(samples.arrays["input"][0, :, 0, 0], np.eye(3, 5).T)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", video=np.full((2, 2, 1, 4, 5), np.nan))
    with pytest.raises(UserError) as caught:
        read_samples(tmp_path / "x.npz", shapes_of((VIDEO, AUDIO)))
    assert len(caught.value.violations) == 2
    assert "takes (samples, T, 1, 4, 4)" in str(caught.value) and "no array 'audio'" in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"video": np.full((1, 1, 1, 4, 4), np.inf), "audio": np.zeros((1, 1, 3))}, "NaN or infinity"),
        ({"video": np.zeros((1, 2, 1, 4, 4)), "audio": np.zeros((1, 1, 3))}, "differ in samples or time steps"),
        (
            {"video": np.zeros((1, 1, 1, 4, 4)), "audio": np.zeros((1, 1, 3)), "label": np.zeros(2)},
            "one label a sample",
        ),
        ({"video": np.array([["a"]]), "audio": np.zeros((1, 1, 3))}, "shape"),
    ],
)
def test_unsound_arrays(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=message):
        read_samples(tmp_path / "x.npz", shapes_of((VIDEO, AUDIO)))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such input file"):
        read_samples(tmp_path / "none.npz", shapes_of((AUDIO,)))
    (tmp_path / "text.npz").write_text("not a zip")
    with pytest.raises(UserError, match="not a readable"):
        read_samples(tmp_path / "text.npz", shapes_of((AUDIO,)))
    np.save(tmp_path / "code.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(UserError, match="not a readable"):
        read_samples(tmp_path / "code.npy", shapes_of((AUDIO,)))


def test_values_beyond_the_payload_are_refused() -> None:
    samples = Samples({"video": np.full((1, 1, 1, 4, 4), 1.2), "audio": np.zeros((1, 1, 3))}, None)
    with pytest.raises(UserError, match=r"exceed the port's range 0\.\.1"):
        to_integers(samples, (VIDEO, AUDIO))
