"""The comparison systems: those that NIR can hold compute the same there, the others are refused with the reason."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Labels
from snnergy.export.parity import parity
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.training.config import systems as configs
from snnergy.training.systems.build import build
from tests.export.networks import active, pixels

SHARED: dict[str, Any] = {"time_steps": 4, "image_size": 32, "classes": 4, "base_dim": 8}
CHIP = {"pool": "spikes", "stage3": "query_key", "heads": 2, "depths": (1, 2, 1)}
EXPRESSIBLE = {
    "token": configs.QKFormerConfig(**SHARED, **CHIP, modality="audio"),
    "channel": configs.QKFormerConfig(**SHARED, **CHIP, modality="video", attention="channel"),
    "cmci": configs.CmciConfig(**SHARED),
    "cmci of small tokens": configs.CmciConfig(**SHARED, patch=8),
}
REFUSED = {
    configs.SpikformerConfig(**SHARED, modality="audio", heads=2): "Spikformer: no product of spike matrices",
    configs.SCmrlConfig(**SHARED, heads=2): "SCMRL: no product of spike matrices and no mean over time",
    configs.WeightAttentionConfig(**SHARED): "WeightAttention: no product of a stream and its weight",
    configs.ScaConfig(**SHARED, heads=2): "SCA: no product of spike matrices",
    configs.MisnetConfig(**SHARED): "MISNet: no neuron of two variables",
    configs.TaafConfig(**SHARED): "TAAF: no softmax over time",
    configs.JointConfig(**SHARED): "Joint: no rectifier, only neurons that spike",
    configs.OgmGeConfig(**SHARED): "OGMGE: no rectifier, only neurons that spike",
    configs.PmrConfig(**SHARED): "PMR: no rectifier, only neurons that spike",
}


@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_the_exported_graph_has_no_mismatch(name: str) -> None:
    config = EXPRESSIBLE[name]
    torch.manual_seed(0)
    network = active(build(config))
    graph = to_nir(network, {})
    found = parity(network, from_graph(graph), pixels(4, network, seed=9))
    assert found.mismatches == 0
    assert found.end_to_end_agreement == 1.0
    assert [node.name for node in found.nodes] == [*network.populations(), "logits"]
    inputs = {node for node, what in graph.nodes.items() if what.metadata["role"] == "input"}
    assert inputs == {getattr(config, "modality", "video"), getattr(config, "modality", "audio")}
    assert (graph.metadata["system"], "profile" in graph.metadata) == (config.system, False)
    for path, labels in network.labels().items():
        assert graph.nodes[path].metadata == {k: v for k, v in asdict(labels).items() if v not in (None, "")}


def test_what_training_alone_uses_stays_behind() -> None:
    network = build(EXPRESSIBLE["cmci"])
    assert not any("own" in name for name in to_nir(network, {}).nodes)
    labels = network.labels()
    assert (labels["video.layer0.lif"].modality, labels["fused"].modality) == ("video", "")
    labels = build(EXPRESSIBLE["token"]).labels()
    assert labels["stage2.block1.attention.q.lif"] == Labels("q", 2, 1, "audio")


@pytest.mark.parametrize(("config", "reason"), REFUSED.items())
def test_the_others_are_refused_in_one_line(config: configs.SystemConfig, reason: str) -> None:
    with pytest.raises(UserError) as refusal:
        to_nir(build(config), {})  # type: ignore[arg-type]
    name, needs = reason.split(": ")
    (line,) = refusal.value.violations
    assert line == (
        f"network: {name} has no form in NIR, which has {needs}; export takes the systems snnergy, qkformer and cmci"
    )


def test_published_qkformer_is_refused_with_the_fields_that_would_do() -> None:
    with pytest.raises(UserError) as refusal:
        to_nir(build(configs.QKFormerConfig(**SHARED, modality="video", depths=(1, 1, 1))), {})
    lines = refusal.value.violations
    assert len(lines) == 5
    attention = "stage3.block0.attention: SelfAttention has no form in NIR, which has no product of spike matrices"
    assert f"{attention}; train with model.stage3=query_key" in lines
    assert sum(line.endswith("no maximum of currents; train with model.pool=spikes") for line in lines) == 4
