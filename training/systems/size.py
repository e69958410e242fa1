"""What a network needs of memory, known from its settings before any of it is made."""

from __future__ import annotations

import torch

from snnergy.artefacts.budget import refuse_excess
from snnergy.training.config.experiment import AnySystem
from snnergy.training.config.systems import SystemConfig
from snnergy.training.model.system import System
from snnergy.training.systems.build import build

_BYTES = 4  # of a float32
# Of a value that every population keeps for a sample: its current, its membrane and its spikes.
_COPIES = 3


def outline(model: AnySystem, what: str, share: float = 1.0) -> System:
    """The network without memory for its weights: names, shapes and types alone.

    Args:
        what: how messages name what holds the settings.
        share: of the budget of memory that its weights may take.

    Raises:
        UserError: its weights exceed that, or what one sample makes of it the budget.
    """
    with torch.device("meta"):
        network = build(model)
    weights = sum(tensor.numel() * tensor.itemsize for tensor in network.state_dict().values())
    refuse_excess(f"{what}: a network of {model.extent}", weights, share)
    refuse_large_sample(model, what)
    return network


def refuse_large_sample(model: SystemConfig, what: str) -> None:
    """Raise `UserError` where one sample alone exceeds the budget of memory."""
    refuse_excess(
        f"{what}: one sample of time_steps = {model.time_steps} and image_size = {model.image_size} in a network of "
        f"{model.extent}",
        sample_bytes(model),
    )


def sample_bytes(model: SystemConfig) -> int:
    """Memory for what every population makes of one sample; an estimate from above."""
    return _COPIES * _BYTES * model.time_steps * model.activations
