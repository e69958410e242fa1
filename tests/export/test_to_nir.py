"""The whole graph: nodes, names, metadata, what nir itself says of it, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

from snnergy.artefacts.errors import UserError
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.read_nir import from_graph, read_nir
from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model.layers import SpatialMean
from snnergy.training.model.network import SNNergy
from tests.export.networks import SMALL, network


@pytest.fixture(scope="module")
def model() -> SNNergy:
    return network(depths=(1, 2, 1))


@pytest.fixture(scope="module")
def graph(model: SNNergy) -> nir.NIRGraph:
    return to_nir(model, {"git_revision": "abc"})


def test_nir_reads_the_file_with_its_type_check_on(graph: nir.NIRGraph, tmp_path: Path) -> None:
    path = tmp_path / "model.nir"
    nir.write(path, graph)
    again = nir.read(path, type_check=True)
    assert again.nodes.keys() == graph.nodes.keys()
    assert sorted(again.edges) == sorted(graph.edges)
    assert read_nir(path).dt == 1.0


def test_every_population_is_a_neuron_node_of_its_own_name(model: SNNergy, graph: nir.NIRGraph) -> None:
    neurons = set(from_graph(graph).of_kind("neuron"))
    assert neurons == set(model.populations())
    others = {name.rpartition(".")[0] for name in graph.nodes.keys() - neurons - {"video", "audio", "head", "logits"}}
    assert others - {"head.video", "head.audio"} <= neurons


def test_only_plain_nodes_under_readable_names(graph: nir.NIRGraph) -> None:
    plain = (nir.Input, nir.Output, nir.LIF, nir.I, nir.Conv2d, nir.Affine, nir.Scale, nir.Flatten)
    assert all(isinstance(node, (*plain, nir.AvgPool2d, nir.SumPool2d)) for node in graph.nodes.values())
    assert all(node.groups == 1 for node in graph.nodes.values() if isinstance(node, nir.Conv2d))
    assert not any("/" in name for name in graph.nodes)


def test_a_population_node_has_the_shape_that_its_module_emits(model: SNNergy, graph: nir.NIRGraph) -> None:
    shapes = from_graph(graph).shapes
    found = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: found.update({name: tuple(out.shape[2:])}))
        for name, module in model.populations().items()
    ]
    with torch.no_grad():
        model(torch.zeros(4, 1, 1, 32, 32), torch.zeros(4, 1, 1, 32, 32))
    for hook in hooks:
        hook.remove()
    assert {name: shapes[name] for name in found} == found


def test_metadata_labels_every_node(model: SNNergy, graph: nir.NIRGraph) -> None:
    for path, labels in model.labels().items():
        wanted = {key: value for key, value in asdict(labels).items() if value is not None}
        assert graph.nodes[path].metadata == wanted
    for name in ("stage2.block1.audio.temporal.q.conv", "stage2.block1.audio.temporal.mask.sum"):
        population = graph.nodes[name.rpartition(".")[0]].metadata
        assert graph.nodes[name].metadata == population | {"learned": int(name.endswith("conv"))}
    assert "block" not in graph.nodes["stage1.video.spds.out"].metadata
    assert graph.nodes["head.audio.linear"].metadata == {"role": "head", "modality": "audio", "learned": 1}


@pytest.mark.parametrize(
    ("options", "count", "digest"),
    [
        ({"fusion": "fixed_gate"}, 228, "51a9ee59b45e5e3c"),
        ({"fusion": "fixed_gate", "depths": (1, 2, 1), "temporal_kernel": 3}, 348, "d3a327d53ccd7707"),
        ({"fusion": "fixed_gate", "stage3": "ssa"}, 214, "6caeb7a8035b6d36"),
        ({"variant": "temporal"}, 138, "20a441efbaea3eff"),
        ({"fusion": "open_gate", "depths": (1, 2, 1), "temporal_kernel": 3}, 332, "d15be536f0d19661"),
        ({"fusion": "open_gate", "stage3": "ssa"}, 206, "136e6c0138c91770"),
        ({"depths": (1, 2, 1), "temporal_kernel": 3}, 340, "f1e3070e3f3b9368"),
        ({"stage3": "ssa"}, 210, "d89144b57fe22fb1"),
    ],
)
def test_nodes_keep_their_names_and_labels(options: dict[str, Any], count: int, digest: str) -> None:
    """The digest of name, type and metadata of every node: files of an earlier revision say the same."""
    graph = to_nir(network(**options), {})
    nodes = [[name, type(node).__name__, sorted(node.metadata.items())] for name, node in graph.nodes.items()]
    assert len(nodes) == count
    assert hashlib.sha256(json.dumps(nodes).encode()).hexdigest()[:16] == digest


def test_trained_weights_are_told_from_wiring(model: SNNergy, graph: nir.NIRGraph) -> None:
    learned = {name for name, node in graph.nodes.items() if node.metadata.get("learned") == 1}
    trained = sum(isinstance(module, nn.Conv2d | SpatialMean) for module in model.modules())
    assert len(learned) == trained + 2  # the linear layer is split by modality
    assert all(isinstance(graph.nodes[name], nir.Conv2d | nir.Affine) for name in learned)


def test_metadata_of_inputs_and_graph(graph: nir.NIRGraph) -> None:
    for name in ("video", "audio"):
        metadata = graph.nodes[name].metadata
        assert (metadata["value_class"], metadata["scale"], metadata["bits"]) == ("real", 1 / 255, 8)
    assert graph.metadata == {
        "git_revision": "abc", "dt": 1.0, "time_steps": 4, "classes": 10, "profile": "loihi",
    }  # fmt: skip


@pytest.mark.parametrize("variant", ["spatial", "temporal"])
def test_a_variant_has_one_path_and_no_fusion(variant: str) -> None:
    nodes = to_nir(SNNergy(ModelConfig(**SMALL, variant=variant)), {}).nodes
    other = {"spatial": "temporal", "temporal": "spatial"}[variant]
    assert f"stage1.block0.video.{variant}.attn.alpha" in nodes
    assert not any(f".{other}." in name or ".fusion." in name for name in nodes)


def test_colour_video_has_three_channels() -> None:
    nodes = to_nir(SNNergy(ModelConfig(**SMALL, video_channels=3)), {}).nodes
    assert nodes["video"].input_type["input"].tolist() == [3, 32, 32]
    assert nodes["audio"].input_type["input"].tolist() == [1, 32, 32]


def test_a_blank_modality_changes_nothing() -> None:
    plain, blank = (to_nir(network(blank=blank), {}) for blank in ("none", "video"))
    assert plain.nodes.keys() == blank.nodes.keys()
    assert np.array_equal(
        plain.nodes["stage1.video.spds.lif0.conv"].weight, blank.nodes["stage1.video.spds.lif0.conv"].weight
    )


def test_the_real_valued_profile_is_refused_with_the_reason() -> None:
    with pytest.raises(UserError) as refusal:
        to_nir(network(profile="paper", stage3="ssa"), {})
    lines = refusal.value.violations
    assert len(lines) == 6
    fusion = "MeanFusion has no form in NIR, which has no product of two signals and no mean over time"
    assert f"stage1.block0.video.fusion: {fusion}; train with model.profile=loihi" in lines
    attention = "SSA has no form in NIR, which has no product of spike matrices"
    assert f"stage3.block0.audio.ssa: {attention}; train with model.profile=loihi" in lines


class _Doubled(nn.Conv2d):
    """A subclass that computes something else."""


def test_all_unknown_modules_and_bad_weights_are_refused_at_once() -> None:
    model = network()
    model.stage3.block0 = nn.MultiheadAttention(8, 2)
    model.stage3.depth = 1
    model.stage1.video.spds.conv0.conv = _Doubled(1, 4, 3, padding=1, bias=False)
    model.stage2.block0.video.mlp.out_proj.norm.running_var[2] = float("nan")
    with pytest.raises(UserError) as refusal:
        to_nir(model, {})
    lines = refusal.value.violations
    assert len(lines) == 3
    assert any(line.startswith("stage3.block0: MultiheadAttention") for line in lines)
    assert any(line.startswith("stage1.video.spds.conv0.conv: _Doubled") and "profile=loihi" in line for line in lines)
    assert any(
        line.startswith("stage2.block0.video.mlp.out_proj.norm.running_var: holds 1 NaN or infinite") for line in lines
    )
