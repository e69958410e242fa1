"""Says what in a network the exporter cannot express, before anything is written.

NIR sums, scales, convolves and fires; it neither multiplies two signals nor averages over time. A module that the
walk in `to_nir` does not know is refused by name: leaving it out would give a graph of another network.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from snnergy.artefacts.errors import UserError
from snnergy.training.model import attention, batch_norm, layers, network, neurons, self_attention, spds

_POPULATIONS = (neurons.LIF, layers.And, layers.OrPool)
_KNOWN = frozenset(
    {
        *_POPULATIONS,
        attention.CMQKA,
        attention.CrossModalBlock,
        attention.FixedGate,
        attention.MLP,
        attention.OpenGate,
        attention.QueryKeyPath,
        layers.CausalProjection,
        layers.Projection,
        layers.SpatialMean,
        network.Encoder,
        network.Head,
        network.SNNergy,
        network.Stage,
        self_attention.BinarySSA,
        self_attention.CrossModalSSA,
        spds.SPDS,
        spds.StemSPDS,
        nn.AdaptiveAvgPool2d,
        batch_norm.BatchNorm1d,
        batch_norm.BatchNorm2d,
        nn.Conv2d,
        nn.Linear,
    }
)
# What NIR lacks for a module of the `paper` profile.
_NEEDS = {
    attention.MeanFusion: "product of two signals and no mean over time",
    self_attention.SSA: "product of spike matrices",
}


def refuse_inexpressible(model: network.SNNergy) -> None:
    """Check that `model` has an exact form in standard NIR nodes.

    Raises:
        UserError: with every module and option that has none, and every weight that is not finite.
    """
    violations = [*_module_violations(model), *_weight_violations(model)]
    if violations:
        raise UserError(violations)


def _module_violations(model: network.SNNergy) -> Iterator[str]:
    for path, module in _modules(model):
        # The exact type: a subclass may compute something else.
        if type(module) not in _KNOWN:
            name, needs = type(module).__name__, _NEEDS.get(type(module))
            reason = f", which has no {needs}" if needs else ""
            yield f"{path or 'network'}: {name} has no form in NIR{reason}; train with model.profile=loihi"


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
