"""What a network needs of memory, known from its settings before any of it is made."""

from __future__ import annotations

import torch

from snnergy.artefacts.budget import refuse_excess
from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model.network import SNNergy

_BYTES = 4  # of a float32
# Of a value that every population keeps for a sample: its current, its membrane and its spikes.
_COPIES = 3


def outline(model: ModelConfig, what: str, share: float = 1.0) -> SNNergy:
    """The network without memory for its weights: names, shapes and types alone.

    Args:
        what: how messages name what holds the settings.
        share: of the budget of memory that its weights may take.

    Raises:
        UserError: its weights exceed that, or what one sample makes of it the budget.
    """
    with torch.device("meta"):
        network = SNNergy(model)
    weights = sum(tensor.numel() * tensor.itemsize for tensor in network.state_dict().values())
    refuse_excess(f"{what}: a network of base_dim = {model.base_dim} and depths = {list(model.depths)}", weights, share)
    refuse_large_sample(model, what)
    return network


def refuse_large_sample(model: ModelConfig, what: str) -> None:
    """Raise `UserError` where one sample alone exceeds the budget of memory."""
    refuse_excess(
        f"{what}: one sample of time_steps = {model.time_steps} and image_size = {model.image_size} in a network of "
        f"base_dim = {model.base_dim} and depths = {list(model.depths)}",
        sample_bytes(model),
    )


def sample_bytes(model: ModelConfig) -> int:
    """Memory for what every population makes of one sample; an estimate from above."""
    return _COPIES * _BYTES * model.time_steps * _neurons(model)


def _neurons(model: ModelConfig) -> int:
    """Of all populations, both modalities; up to a third more than there are."""
    one_side = model.base_dim * model.image_size**2
    for stage, depth in enumerate(model.depths):
        channels, positions = model.base_dim << stage, (model.image_size // (4 << stage)) ** 2
        one_side += channels * positions * ((6 if stage else 0) + depth * (10 + model.mlp_ratio))
    return 2 * one_side
