"""Says what in a network the exporter cannot express, before anything is written.

NIR sums, scales, convolves and fires; it neither multiplies two signals nor averages over time. A module that the
walk in `to_nir` does not know is refused by name: leaving it out would give a graph of another network.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from snnergy.artefacts.errors import UserError
from snnergy.training.model import attention, batch_norm, layers, network, self_attention, spds
from snnergy.training.model.layers import POPULATIONS
from snnergy.training.model.system import System
from snnergy.training.systems import cmci, joint, misnet, ogm_ge, parts, pmr, qkformer, s_cmrl, sca, spikformer, taaf
from snnergy.training.systems.weight_attention import WeightAttention

_KNOWN = frozenset(
    {
        *POPULATIONS,
        attention.CMQKA,
        attention.CrossModalBlock,
        attention.FixedGate,
        attention.GatedSum,
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
        cmci.CMCI,
        cmci.Own,
        parts.CBL,
        parts.Readout,
        parts.TokenLinear,
        parts.Tokens,
        qkformer.Block,
        qkformer.Downsampling,
        qkformer.PooledCBL,
        qkformer.QKFormer,
        qkformer.QueryKeyAttention,
        qkformer.Stage,
        nn.AdaptiveAvgPool2d,
        batch_norm.BatchNorm1d,
        batch_norm.BatchNorm2d,
        nn.Conv2d,
        nn.Linear,
    }
)
_MATRICES = "product of spike matrices"
_RECTIFIERS = "rectifier, only neurons that spike"
# What NIR lacks for a module.
_NEEDS: dict[type[nn.Module], str] = {
    attention.MeanFusion: "product of two signals and no mean over time",
    self_attention.SSA: _MATRICES,
    qkformer.CurrentPool: "maximum of currents",
    qkformer.SelfAttention: _MATRICES,
    spikformer.Spikformer: _MATRICES,
    s_cmrl.SCMRL: f"{_MATRICES} and no mean over time",
    sca.SCA: _MATRICES,
    WeightAttention: "product of a stream and its weight",
    misnet.MISNet: "neuron of two variables",
    taaf.TAAF: "softmax over time",
    joint.Joint: _RECTIFIERS,
    ogm_ge.OGMGE: _RECTIFIERS,
    pmr.PMR: _RECTIFIERS,
}
_OTHER_FIELDS: dict[type[nn.Module], str] = {
    qkformer.CurrentPool: "train with model.pool=spikes",
    qkformer.SelfAttention: "train with model.stage3=query_key",
}


def refuse_inexpressible(model: System) -> None:
    """Check that `model` has an exact form in standard NIR nodes.

    Raises:
        UserError: with every module and option that has none, and every weight that is not finite.
    """
    violations = [*_module_violations(model), *_weight_violations(model)]
    if violations:
        raise UserError(violations)


def _module_violations(model: System) -> Iterator[str]:
    for path, module in _modules(model):
        # The exact type: a subclass may compute something else.
        if type(module) not in _KNOWN:
            name, needs = type(module).__name__, _NEEDS.get(type(module))
            reason = f", which has no {needs}" if needs else ""
            yield f"{path or 'network'}: {name} has no form in NIR{reason}; {_advice(module)}"


def _advice(module: nn.Module) -> str:
    if isinstance(module, System):
        return "export takes the systems snnergy, qkformer and cmci"
    return _OTHER_FIELDS.get(type(module), "train with model.profile=loihi")


def _modules(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """`module` and everything in it, but nothing inside a population (its surrogate acts in training alone)."""
    yield path, module
    if type(module) not in _KNOWN or isinstance(module, POPULATIONS):
        return
    for name, child in module.named_children():
        yield from _modules(child, f"{path}.{name}" if path else name)


def _weight_violations(model: System) -> Iterator[str]:
    for name, tensor in model.state_dict().items():
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            yield (
                f"{name}: holds {bad} NaN or infinite values of {tensor.numel()}; "
                "train again, with a lower train.learning_rate if they return"
            )
