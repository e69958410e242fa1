"""Accuracy and loss of a network on the fixed samples of `snnergy.training.data.arrays`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import LABEL, MODALITIES, PIXEL_MAX, as_classes
from snnergy.training.model.system import System


def to_input(pixels: Tensor) -> Tensor:
    """uint8 `(B, T, C, H, W)` to the network's float `(T, B, C, H, W)`, pixel / 255."""
    return pixels.transpose(0, 1).float() / PIXEL_MAX


def evaluate(
    network: System, arrays: dict[str, npt.NDArray[Any]], batch_size: int
) -> tuple[float, float, npt.NDArray[np.float32]]:
    """Run a network in evaluation mode; its mode is restored.

    Args:
        network: on any device.
        arrays: video and audio uint8 `(N, T, C, H, W)`, label `(N,)`.
        batch_size: samples at once; does not change the result.

    Returns:
        accuracy in 0..1, mean cross entropy in nats, logits `(N, classes)`.

    Raises:
        UserError: a label is no class of the network; found before anything runs.
    """
    try:
        labels = torch.from_numpy(as_classes(arrays[LABEL], network.config.classes))
    except ValueError as error:
        raise UserError(f"label: {error}; check the labels, or model.classes") from error
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    batches = []
    with torch.inference_mode():
        for start in range(0, len(labels), batch_size):
            rows = slice(start, start + batch_size)
            video, audio = (to_input(torch.from_numpy(arrays[name][rows]).to(device)) for name in MODALITIES)
            batches.append(network(video, audio).cpu())
    network.train(was_training)
    logits = torch.cat(batches)
    accuracy = (logits.argmax(dim=1) == labels).double().mean().item()
    return accuracy, functional.cross_entropy(logits, labels).item(), logits.numpy()
