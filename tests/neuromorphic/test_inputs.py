"""Input files: what is accepted, and one clear line for each thing that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples, as_samples, read_samples
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
        ({"video": np.array([["a"]]), "audio": np.zeros((1, 1, 3))}, "store numbers"),
    ],
)
def test_unsound_arrays(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=message):
        read_samples(tmp_path / "x.npz", shapes_of((VIDEO, AUDIO)))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; give an"):
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


@pytest.mark.parametrize(
    ("scale", "bits", "message"),
    [
        (1e-300, 8, "exceed the port's range"),
        (5e-324, 8, "exceed the port's range"),
        (float("nan"), 8, "in steps of a finite size"),
        (float("inf"), 8, "in steps of a finite size"),
        (0.0, 8, "in steps of a finite size"),
        (1.0, 40, r"a port sends 1\.\.24 bits"),
        (1.0, 0, r"a port sends 1\.\.24 bits"),
    ],
)
def test_a_port_that_nothing_fits(scale: float, bits: int, message: str) -> None:
    port = InputPort("audio", (3,), "real", scale, bits)
    with pytest.raises(UserError, match=message):
        to_integers(Samples({"audio": np.full((1, 2, 3), 1e308)}), (port,))


def test_a_negative_step_turns_the_range_around() -> None:
    port = InputPort("drive", (3,), "integer", -0.5, 3, signed=True)
    x = np.array([[[-1.5, 0.0, 2.0]]])
    np.testing.assert_array_equal(to_integers(Samples({"drive": x}), (port,))["drive"], [[[3, 0, -4]]])
    with pytest.raises(UserError, match="exceed"):
        to_integers(Samples({"drive": -x}), (port,))


@pytest.mark.parametrize("labels", [[1e300], [2**63], [-1], [np.nan], [1j], [True + 0.5], [10**30], [[0]], ["0"]])
def test_what_is_no_class(labels: list) -> None:
    with pytest.raises(UserError, match=r"samples: label: .*(classes|class, 0|label a sample)"):
        as_samples(np.zeros((1, 1, 3)), {"audio": (3,)}, labels=labels)


@pytest.mark.parametrize(
    "array",
    [[[1], [2, 3]], np.zeros((1, 1, 3), np.longdouble), np.zeros((1, 1, 3), complex), torch.zeros(1, 1, 3).bfloat16()],
)
def test_arrays_that_hold_no_numbers_of_ours(array: object) -> None:
    with pytest.raises(UserError, match=r"samples: audio: (is no array|type|setting an array)"):
        as_samples({"audio": array}, {"audio": (3,)})


def test_a_message_does_not_list_a_thousand_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{f"a{i}": np.zeros(1) for i in range(1000)})
    with pytest.raises(UserError, match="and 992 more; name") as refused:
        read_samples(tmp_path / "x.npz", {"audio": (3,)})
    assert len(str(refused.value)) < 400


def test_an_input_may_be_called_label(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", label=np.ones((2, 1, 3)))
    samples = read_samples(tmp_path / "x.npz", {"label": (3,)})
    assert samples.labels is None and samples.arrays["label"].shape == (2, 1, 3)


def test_arrays_of_the_other_byte_order_are_samples(tmp_path: Path) -> None:
    x = np.arange(6, dtype=">f4").reshape(1, 2, 3)
    np.save(tmp_path / "x.npy", x)
    for source in (x, tmp_path / "x.npy"):
        found = as_samples(source, {"audio": (3,)}).arrays["audio"]
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, x)


def test_an_array_that_fits_is_not_copied() -> None:
    x = np.zeros((2, 3, 4), np.uint8)
    assert np.shares_memory(as_samples(x, {"audio": (1, 4)}).arrays["audio"], x)


def test_a_single_number_has_no_time_axis(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.float32(1))
    with pytest.raises(UserError, match=r"shape \(\), the network takes"):
        read_samples(tmp_path / "x.npy", shapes_of((AUDIO,)), time_last=True)
