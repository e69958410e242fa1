"""Small networks and inputs that the tests of the exporter share."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model.network import SNNergy
from snnergy.training.model.system import System

_System = TypeVar("_System", bound=System)

SMALL: dict[str, Any] = {"time_steps": 4, "image_size": 32, "classes": 10, "base_dim": 8, "heads": 2}


def network(seed: int = 0, **changes: Any) -> SNNergy:
    """A network with random weights, BatchNorm statistics of its own activity, and every population active."""
    torch.manual_seed(seed)
    config = ModelConfig(**{**SMALL, **changes})
    return active(SNNergy(config))


def active(model: _System) -> _System:
    """The network with BatchNorm statistics of its own activity, and every population active."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 0.5
            nn.init.uniform_(module.weight, 0.8, 2.0)
            nn.init.normal_(module.bias, 1.0, 0.4)
    with torch.no_grad():
        for batch in range(6):
            images = pixels(8, model, seed=batch + 100)
            model(*(torch.from_numpy(images[name]).transpose(0, 1) for name in ("video", "audio")))
    return model.eval()


def pixels(samples: int, model: System, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Images of 8-bit pixels / 255, each with a contrast of its own: `(N, T, 1, H, W)`."""
    rng = np.random.default_rng(seed)
    config = model.config
    shape = (samples, config.time_steps, 1, config.image_size, config.image_size)
    contrast = rng.random((samples, 1, 1, 1, 1))
    return {
        name: (np.round(255 * contrast * rng.random(shape)) / 255).astype(np.float32) for name in ("video", "audio")
    }
