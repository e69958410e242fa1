"""What the experiments on CREMA-D, AVE and UrbanSound8K-AV have in common; each data set has a file of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import AveConfig, CremaDConfig, UrbanSound8kAvConfig
from snnergy.training.config.experiment import load_config
from snnergy.training.data import build_dataset
from tests.training.helpers import TINY

MODEL = replace(TINY, video_channels=3)


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
        ("crema_d", "data.task=correspondence", "data.task is not a field"),
    ],
)
def test_refused_experiments(name, override, expected):
    with pytest.raises(UserError, match=expected):
        load_config(Path(__file__).parents[2] / "configs" / f"{name}.yaml", [override])
