"""Training that begins with a trained network, which may have been trained on another task or in another form."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from snnergy.artefacts.errors import UserError
from snnergy.training import checkpoint


def start_from(network: nn.Module, start: Path) -> dict[str, str | int]:
    """Give a network what that of a checkpoint has learned; returns what its metrics say of that.

    Taken over is what has the same name and shape in both, such as all but the head where the classes are others. A
    parameter that either of the two does not learn stays as it is: a constant is a choice of its experiment.

    Args:
        network: of any system.
        start: the checkpoint.

    Raises:
        UserError: the checkpoint cannot be read, or no weight of it fits.
    """
    loaded = checkpoint.load(start)
    learned = _learned(loaded.network)
    own = _learned(network)
    fitting = [name for name in own if name in learned and own[name].shape == learned[name].shape]
    if not any(own[name].ndim > 1 for name in fitting):  # a scale alone is nothing to begin with
        raise UserError(
            f"{start}: none of its weights fits the network to be trained, which has others or other shapes "
            f"(model.system = {loaded.config.model.system!r} there); start from a network of the same system and size"
        )
    with torch.no_grad():
        for name in fitting:
            own[name].copy_(learned[name])
    taken = sum(own[name].numel() for name in fitting if isinstance(own[name], nn.Parameter))
    return {"started_from": loaded.config.name, "parameters_taken_over": taken}


def _learned(network: nn.Module) -> dict[str, Tensor]:
    """Parameters that are trained, and buffers, by name."""
    parameters = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    return parameters | dict(network.named_buffers())
