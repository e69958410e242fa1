"""Each block function against the PyTorch block, through the float interpreter, on random spikes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from snnergy.artefacts.types import Labels
from snnergy.export.graph import GraphBuilder, Stream
from snnergy.export.to_nir import (
    binary_ssa,
    direction,
    fixed_gate,
    head,
    mlp,
    open_gate,
    or_pool,
    query_key_path,
    spds,
    stage,
    stem_spds,
)
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model import neurons
from snnergy.training.model.attention import FixedGate
from snnergy.training.model.network import SNNergy
from tests.export.networks import SMALL, network, pixels

SAMPLES, STEPS = 6, 5
# Real-valued streams agree to float32 rounding; a spike that differs would be off by at least alpha or 1.
CLOSE = 2e-6
# Processors add up a convolution in different orders. A membrane within rounding of its threshold then fires in one of
# the two only, and may take some spikes after it along; a mistake moves whole channels.
TIED_SHARE = 1e-3


@pytest.fixture(scope="module")
def model() -> SNNergy:
    return network()


def _spikes(channels: int, side: int, seed: int, rate: float = 0.4) -> Tensor:
    """Binary `(T, B, C, H, W)`."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(STEPS, SAMPLES, channels, side, side, generator=generator) < rate).float()


def _run(build: Callable[[GraphBuilder, list[Stream]], Stream], *inputs: Tensor) -> Tensor:
    """What the built graph emits for `inputs` `(T, B, …)`, `(T, B, …)` again."""
    graph = GraphBuilder(lambda path: Labels())
    streams = [graph.input(f"input{i}", tuple(x.shape[2:])) for i, x in enumerate(inputs)]
    graph.output("out", build(graph, streams))
    arrays = {f"input{i}": x.transpose(0, 1).numpy() for i, x in enumerate(inputs)}
    return interpret(from_graph(graph.build({})), arrays).values["out"].transpose(0, 1)


def _torch(model: SNNergy, path: str, *inputs: Tensor) -> Tensor:
    neurons.reset(model)
    with torch.no_grad():
        return model.get_submodule(path)(*inputs)


def _assert_active(spikes: Tensor) -> None:
    assert 0 < spikes.mean() < 1, "the comparison would be empty"


def _assert_agree(found: Tensor, expected: Tensor) -> None:
    differing = (found - expected).abs() > CLOSE
    assert differing.double().mean() <= TIED_SHARE


def test_stem_spds(model: SNNergy) -> None:
    path = "stage1.video.spds"
    image = torch.from_numpy(pixels(SAMPLES, model)["video"]).transpose(0, 1)
    expected = _torch(model, path, image)
    _assert_active(expected)
    found = _run(lambda g, s: stem_spds(g, path, model.get_submodule(path), s[0]), image)
    _assert_agree(found, expected)


def test_spds_on_a_stream_of_several_populations(model: SNNergy) -> None:
    path = "stage2.audio.spds"
    a, b = _spikes(8, 8, 0), _spikes(8, 8, 1)
    expected = _torch(model, path, a + b)
    _assert_active(expected)
    found = _run(lambda g, s: spds(g, path, model.get_submodule(path), s[0] + s[1]), a, b)
    _assert_agree(found, expected)


def test_or_pool(model: SNNergy) -> None:
    path = "stage1.video.spds.pool0"
    spikes = _spikes(4, 6, 0)
    expected = _torch(model, path, spikes)
    _assert_active(expected)
    found = _run(lambda g, s: or_pool(g, path, model.get_submodule(path), s[0]), spikes)
    assert torch.equal(found, expected)


def test_query_key_path(model: SNNergy) -> None:
    path = "stage1.block0.video.spatial"
    asking, asked = _spikes(8, 8, 0), _spikes(8, 8, 1)
    expected = _torch(model, path, asking, asked)
    _assert_active(expected)
    found = _run(lambda g, s: query_key_path(g, path, model.get_submodule(path), *s), asking, asked)
    _assert_agree(found, expected)


def test_the_mask_of_a_head_covers_its_own_channels(model: SNNergy) -> None:
    """Head i reads and gates the i-th run of channels, not every i-th channel."""
    path = "stage1.block0.video.spatial"
    graph = GraphBuilder(model.labels().__getitem__)
    streams = [graph.input(name, (8, 8, 8)) for name in ("a", "b")]
    graph.output("out", query_key_path(graph, path, model.get_submodule(path), *streams))
    nodes = graph.build({}).nodes
    members = [[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]]
    assert nodes[f"{path}.mask.sum"].weight[:, :, 0, 0].tolist() == members
    assert nodes[f"{path}.attn.spread"].weight[:, :, 0, 0].T.tolist() == members


SIDES = pytest.mark.parametrize(("index", "channels", "side"), [(1, 8, 8), (3, 32, 2), (3, 32, 1)])


@SIDES
def test_open_gate(index: int, channels: int, side: int) -> None:
    model, path = network(fusion="open_gate"), f"stage{index}.block0.video.fusion"
    spatial, temporal = _spikes(channels, side, 0, 0.2), _spikes(channels, side, 1, 0.8)
    expected = _torch(model, path, spatial, temporal)
    assert 0 < expected.sum() < temporal.sum()
    found = _run(lambda g, s: open_gate(g, path, model.get_submodule(path), *s), spatial, temporal)
    _assert_agree(found, expected)


@SIDES
def test_fixed_gate(index: int, channels: int, side: int) -> None:
    fixed = FixedGate(ModelConfig(**SMALL, fusion="fixed_gate", gain_space=9.7))
    spatial, temporal = _spikes(channels, side, 0, 0.2), _spikes(channels, side, 1, 0.8)
    expected = fixed(spatial, temporal)
    _assert_active(expected)
    found = _run(lambda g, s: fixed_gate(g, "fusion", fixed, *s), spatial, temporal)
    assert torch.equal(found, expected)


def test_mlp(model: SNNergy) -> None:
    path = "stage1.block0.video.mlp"
    stream = _spikes(8, 8, 0)
    expected = _torch(model, path, stream)
    _assert_active(expected)
    found = _run(lambda g, s: mlp(g, path, model.get_submodule(path), s[0]), stream)
    _assert_agree(found, expected)


@pytest.mark.parametrize("steps", [2, 4])
def test_query_key_path_that_looks_back(steps: int) -> None:
    model = network(temporal_kernel=steps)
    path = "stage2.block0.audio.temporal"
    asking, asked = _spikes(16, 4, 0), _spikes(16, 4, 1)
    expected = _torch(model, path, asking, asked)
    _assert_active(expected)
    found = _run(lambda g, s: query_key_path(g, path, model.get_submodule(path), *s), asking, asked)
    _assert_agree(found, expected)


@pytest.mark.parametrize("side", [1, 3])
def test_binary_ssa(side: int) -> None:
    model = network(stage3="ssa", ssa_scale=1.3)
    path = "stage3.block0.video.ssa"
    asking, asked = _spikes(32, side, 0), _spikes(32, side, 1)
    expected = _torch(model, path, asking, asked)
    _assert_active(expected)
    found = _run(lambda g, s: binary_ssa(g, path, model.get_submodule(path), *s), asking, asked)
    _assert_agree(found, expected)


@pytest.mark.parametrize(
    "options", [{"variant": "spatial"}, {"variant": "temporal"}, {"variant": "spatiotemporal"}, {"stage3": "ssa"}]
)
def test_direction(options: dict[str, str]) -> None:
    model = network(alpha_init=0.7, ssa_scale=1.3, **options)
    path = "stage3.block0.audio"
    asking, asked = _spikes(32, 4, 0), _spikes(32, 4, 1)
    expected = _torch(model, path, asking, asked)
    found = _run(lambda g, s: direction(g, path, model.get_submodule(path), *s), asking, asked)
    _assert_agree(found, expected)
    assert (expected > 1.6).any(), "alpha · F is in the stream"


def test_both_directions_of_a_block_see_the_same_inputs() -> None:
    model = network(depths=(2, 1, 1))
    video, audio = _spikes(8, 16, 0), _spikes(8, 16, 1)
    module = model.get_submodule("stage2")
    neurons.reset(model)
    with torch.no_grad():
        expected = module(video, audio)
    for which in (0, 1):
        # Every stream has to lead somewhere: the one that is not compared gets an Output too.
        def both(graph: GraphBuilder, streams: list[Stream], which: int = which) -> Stream:
            out = stage(graph, "stage2", module, *streams)
            graph.output("unread", out[1 - which])
            return out[which]

        _assert_agree(_run(both, video, audio), expected[which])


def test_head(model: SNNergy) -> None:
    video, audio = _spikes(32, 2, 0), _spikes(32, 2, 1)
    expected = _torch(model, "head", video, audio)
    found = _run(lambda g, s: head(g, "head", model.head, *s, STEPS), video, audio)
    assert found.shape == (STEPS, SAMPLES, 10)
    torch.testing.assert_close(found[-1], expected, rtol=0.0, atol=1e-5)
    assert np.ptp(expected.numpy()) > 0.1
