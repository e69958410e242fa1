"""Small experiments, and networks whose every population has something to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snnergy.training.config.data import AudioConfig, DigitsConfig, GridConfig
from snnergy.training.config.experiment import Config, ModelConfig, TrainConfig
from snnergy.training.data.module import AudioVisualModule
from snnergy.training.data.presence import GRID_FILE

GRID_ROOT = Path(__file__).parents[2] / "../shared/data"
needs_grid = pytest.mark.skipif(
    not (GRID_ROOT / GRID_FILE).is_file(), reason=f"GRID data set is not at {GRID_ROOT / GRID_FILE}"
)

TINY = ModelConfig(time_steps=3, image_size=16, classes=10, base_dim=4, heads=2, mlp_ratio=2)

DIGIT_AUDIO = AudioConfig(
    snr_db=0.0, window_s=0.3, mel_low_hz=500.0, mel_high_hz=1700.0, floor_db=-20.0, ceiling_db=20.0
)
GRID_AUDIO = AudioConfig(
    snr_db=-12.0, window_s=0.48, mel_low_hz=60.0, mel_high_hz=7800.0, floor_db=-20.0, ceiling_db=12.0
)


def digits(**fields) -> DigitsConfig:
    return DigitsConfig(name="digits", audio=DIGIT_AUDIO, **fields)


def grid(**fields) -> GridConfig:
    return GridConfig(name="grid", audio=GRID_AUDIO, **{"root": GRID_ROOT} | fields)


def tiny_config(name: str = "tiny", **model) -> Config:
    train = TrainConfig(epochs=1, batch_size=64, learning_rate=1e-3)
    return Config(name=name, data=digits(), model=replace(TINY, **model), train=train)


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every BatchNorm statistics and scales of its own, so that folding mistakes show; evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            size = module.running_mean.shape
            module.running_mean.copy_(0.3 * torch.randn(size, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(size, generator=generator))
            module.weight.data.copy_(1.0 + torch.rand(size, generator=generator))
            module.bias.data.copy_(0.5 + 0.5 * torch.rand(size, generator=generator))
    return network.eval()


PROCESSORS = pytest.mark.parametrize("units", [-1, 1], ids=["below", "above"])


@contextmanager
def another_processor(monkeypatch: pytest.MonkeyPatch, units: int) -> Iterator[None]:
    """A processor whose logarithms and means are off by so many units in the last place, its transforms by eight."""
    log10, mean, rfft = np.log10, np.mean, np.fft.rfft
    side = np.sign(units) * np.inf

    def off(value):
        for _ in range(abs(units)):
            value = np.nextafter(value, side, dtype=np.asarray(value).dtype)
        return value

    with monkeypatch.context() as patch:
        patch.setattr(np, "log10", lambda x: off(log10(x)))
        patch.setattr(np, "mean", lambda x: off(mean(x)))
        patch.setattr(np.fft, "rfft", lambda x, n: rfft(x, n) * (1 + 8 * units * np.finfo(x.dtype).eps))
        yield


class Killed(BaseException):
    """Ends a run in the middle, as a signal would."""


def kill_in_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Let every run end with `Killed` when it begins an epoch, counted from 0."""
    loader = AudioVisualModule.train_dataloader

    def killed(module: AudioVisualModule) -> object:
        if module.trainer.current_epoch == epoch:
            raise Killed
        return loader(module)

    monkeypatch.setattr(AudioVisualModule, "train_dataloader", killed)
