"""Says what in a network the exporter cannot express, before anything is written.

NIR sums, scales, convolves and fires; it neither multiplies two signals nor averages over time. A module that the
walk in `to_nir` does not know is refused by name: leaving it out would give a graph of another network.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from snnergy.errors import UserError
from training import attention, layers, network, neurons, spds

_POPULATIONS = (neurons.LIF, layers.And, layers.OrPool)
_KNOWN = frozenset(
    {
        *_POPULATIONS,
        attention.CMQKA,
        attention.CrossModalBlock,
        attention.Fusion,
        attention.MLP,
        attention.QueryKeyPath,
        layers.Projection,
        network.Encoder,
        network.Head,
        network.SNNergy,
        network.Stage,
        spds.SPDS,
        spds.StemSPDS,
        nn.AdaptiveAvgPool2d,
        nn.BatchNorm1d,
        nn.BatchNorm2d,
        nn.Conv2d,
        nn.Linear,
    }
)
# field of model: the value that NIR can express, where it acts, and what any other value would need
_REQUIRED = {
    "profile": ("loihi", "stage1.block0", "a product of two means"),
    "stage3": ("cmqka", "stage3.block0", "a product of spike matrices"),
    "temporal_kernel": (1, "stage1.block0.video.temporal", "weights on earlier steps"),
}


def refuse_inexpressible(model: network.SNNergy) -> None:
    """Check that `model` has an exact form in standard NIR nodes.

    Raises:
        UserError: with every module and option that has none, and every weight that is not finite.
    """
    violations = [*_option_violations(model), *_module_violations(model), *_weight_violations(model)]
    if violations:
        raise UserError(violations)


def _option_violations(model: network.SNNergy) -> Iterator[str]:
    for option, (wanted, path, needs) in _REQUIRED.items():
        value = getattr(model.config, option)
        if value != wanted:
            yield (
                f"{path}: model.{option} = {value!r} needs {needs}, which NIR has no node for; "
                f"train with model.{option}={wanted}"
            )


def _module_violations(model: network.SNNergy) -> Iterator[str]:
    for path, module in _modules(model):
        # The exact type: a subclass may compute something else.
        if type(module) not in _KNOWN:
            option = "model.stage3=cmqka" if path.startswith("stage3.") else "model.profile=loihi"
            yield f"{path or 'network'}: {type(module).__name__} has no form in NIR; train with {option}"


def _modules(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """`module` and everything in it, but nothing inside a population (its surrogate acts in training alone)."""
    yield path, module
    if type(module) not in _KNOWN or isinstance(module, _POPULATIONS):
        return
    for name, child in module.named_children():
        yield from _modules(child, f"{path}.{name}" if path else name)


def _weight_violations(model: network.SNNergy) -> Iterator[str]:
    for name, tensor in model.state_dict().items():
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            yield (
                f"{name}: holds {bad} NaN or infinite values of {tensor.numel()}; "
                "train again, with a lower train.learning_rate if they return"
            )
