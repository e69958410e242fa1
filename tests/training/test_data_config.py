"""The data sections: values that no data set can be made of are refused when the experiment is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.config.experiment import load_config
from snnergy.training.data import build_dataset
from tests.training.helpers import needs_grid

CONFIGS = Path(__file__).parents[2] / "configs"


def refusal(name: str, override: str) -> str:
    """The one violation of a shipped experiment with a wrong value."""
    path = CONFIGS / f"{name}.yaml"
    with pytest.raises(UserError) as caught:
        load_config(path, [override])
    (line,) = caught.value.violations
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("digits", "data.split_seed"),
        ("grid", "data.evaluation_seed"),
        ("crema_d", "data.split_seed"),
        ("urbansound8k_av", "data.split_seed"),
    ],
)
def test_seeds_are_those_of_every_generator(name, field):
    last = 2**32 - 1
    data = load_config(CONFIGS / f"{name}.yaml", [f"{field}={last}"]).data
    assert getattr(data, field.removeprefix("data.")) == last
    assert refusal(name, f"{field}=-1") == f"{field} = -1: Input should be greater than or equal to 0"
    assert refusal(name, f"{field}={last + 1}") == f"{field} = {last + 1}: Input should be less than {last + 1}"


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("digits", "data.audio.snr_db"),
        ("digits", "data.audio.floor_db"),
        ("digits", "data.audio.ceiling_db"),
        ("digits", "data.audio.window_s"),
        ("digits", "data.audio.mel_high_hz"),
        ("digits", "data.drift_px"),
        ("digits", "data.contrast"),
        ("digits", "data.noise"),
        ("digits", "data.occlusion"),
        ("grid", "data.shift_s"),
        ("ave", "data.flip"),
        ("ave", "data.shift"),
        ("digits", "model.alpha_init"),
        ("digits", "model.tau"),
        ("digits", "train.learning_rate"),
    ],
)
def test_numbers_are_finite(name, field, value):
    assert refusal(name, f"{field}={value}").endswith("Input should be a finite number")


@pytest.mark.parametrize(
    ("override", "limit"),
    [
        ("data.audio.snr_db=-4000", "greater than or equal to -200"),
        ("data.audio.snr_db=201", "less than or equal to 200"),
        ("data.audio.window_s=1e-9", "greater than or equal to 0.01"),
        ("data.drift_px=1e308", "less than or equal to 1024"),
    ],
)
def test_numbers_stay_within_what_a_sample_can_be_made_of(override, limit):
    assert refusal("digits", override).endswith(f"Input should be {limit}")


@pytest.mark.parametrize(("name", "half"), [("digits", 4000), pytest.param("grid", 8000, marks=needs_grid)])
def test_bands_above_half_the_sampling_rate_are_refused(name, half):
    change = "data.audio.mel_high_hz="
    within = load_config(CONFIGS / f"{name}.yaml", [f"{change}{half}"])
    assert len(build_dataset(within.data, within.model, "val")) > 0
    above = load_config(CONFIGS / f"{name}.yaml", [f"{change}{half + 1}"])
    with pytest.raises(
        UserError, match=rf"mel_high_hz = {half + 1}: above {half} Hz, half the sampling rate; lower it"
    ):
        build_dataset(above.data, above.model, "val")
