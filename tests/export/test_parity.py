"""The comparison finds what is wrong with a graph, and tells ties from mismatches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nir
import numpy as np
import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.export.parity import NodeParity, Parity, parity
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.training.model.network import SNNergy
from tests.export.networks import network, pixels

SAMPLES = 8


@pytest.fixture(scope="module")
def model() -> SNNergy:
    return network()


@pytest.fixture(scope="module")
def inputs(model: SNNergy) -> dict[str, np.ndarray]:
    return pixels(SAMPLES, model)


@pytest.fixture(scope="module")
def sound(model: SNNergy, inputs: dict[str, np.ndarray]) -> Parity:
    return parity(model, from_graph(to_nir(model, {})), inputs)


def _wrong(found: Parity) -> set[str]:
    return {node.name for node in found.nodes if node.mismatches}


def test_the_exported_graph_has_no_mismatch(model: SNNergy, sound: Parity) -> None:
    assert sound.mismatches == 0
    assert [node.name for node in sound.nodes] == [*model.populations(), "logits"]
    assert sound.samples == SAMPLES
    assert sound.prediction_agreement == 1.0
    assert sound.worst_logit_difference < 1e-5


def _zero_a_weight(graph: nir.NIRGraph) -> None:
    graph.nodes["stage2.block0.audio.spatial.q.conv"].weight[3] = 0


def _raise_a_threshold(graph: nir.NIRGraph) -> None:
    graph.nodes["stage1.block0.video.mlp.hidden"].v_threshold[:] *= 1.01


def _swap_two_heads(graph: nir.NIRGraph) -> None:
    wiring = graph.nodes["stage3.block0.video.spatial.mask.sum"]
    wiring.weight = wiring.weight[::-1].copy()


def _drop_an_edge(graph: nir.NIRGraph) -> None:
    graph.edges.remove(("stage1.block0.audio.mlp.out", "stage2.audio.spds.out.shortcut"))


def _slow_a_membrane(graph: nir.NIRGraph) -> None:
    graph.nodes["stage2.video.spds.out"].tau[:] = 3


def _halve_alpha(graph: nir.NIRGraph) -> None:
    graph.nodes["stage2.block0.video.fusion.gate.alpha"].scale[:] *= 0.5


def _move_the_head_bias(graph: nir.NIRGraph) -> None:
    graph.nodes["head.video.linear"].bias[4] += 1e-3


@pytest.mark.parametrize(
    ("break_it", "where"),
    [
        (_zero_a_weight, {"stage2.block0.audio.spatial.q"}),
        (_raise_a_threshold, {"stage1.block0.video.mlp.hidden"}),
        (_swap_two_heads, {"stage3.block0.video.spatial.mask"}),
        (_drop_an_edge, {"stage2.audio.spds.out"}),
        (_slow_a_membrane, {"stage2.video.spds.out"}),
        (_move_the_head_bias, {"logits"}),
    ],
)
def test_a_wrong_graph_fails_exactly_where_it_is_wrong(
    model: SNNergy, inputs: dict[str, np.ndarray], break_it: Callable[[nir.NIRGraph], None], where: set[str]
) -> None:
    graph = to_nir(model, {})
    break_it(graph)
    assert _wrong(parity(model, from_graph(graph), inputs)) == where


def test_a_wrong_weight_on_a_stream_fails_in_its_consumers(model: SNNergy, inputs: dict[str, np.ndarray]) -> None:
    graph = to_nir(model, {})
    _halve_alpha(graph)
    assert "stage2.block0.video.mlp.hidden" in _wrong(parity(model, from_graph(graph), inputs))


def _one_late_neuron(source: NirSource, inputs: dict[str, np.ndarray], name: str, offset: float) -> NirSource:
    """`source` with one neuron whose threshold is its own membrane at its only spike, plus `offset`."""
    trace = interpret(source, inputs, keep=frozenset({name}))
    fired = trace.values[name]
    once = (fired.sum(dim=(0, 1)) == 1) & (fired[:, 1].sum(dim=0) == 1)  # one spike in all samples, in step 1
    assert once.any(), "no such neuron among these inputs; take another seed"
    index = tuple(int(i) for i in once.nonzero()[0])
    sample = int(fired[:, 1][(slice(None), *index)].argmax())
    node = source.nodes[name]
    threshold = node.v_threshold.copy()
    threshold[index] = float(trace.membrane[name][(sample, 1, *index)]) + offset
    return replace(source, nodes=source.nodes | {name: replace(node, v_threshold=threshold)})


@pytest.mark.parametrize(("offset", "kind"), [(0.0, "tie"), (1e-4, "mismatch")])
def test_a_spike_within_rounding_of_the_threshold_is_a_tie(
    model: SNNergy, inputs: dict[str, np.ndarray], offset: float, kind: str
) -> None:
    """One neuron misses its only spike, in step 1: its two later steps are not compared."""
    name = "stage1.audio.spds.out"
    source = _one_late_neuron(from_graph(to_nir(model, {})), inputs, name, offset)
    row = next(node for node in parity(model, source, inputs).nodes if node.name == name)
    neurons = int(np.prod(source.shapes[name]))
    assert row == NodeParity(
        name,
        values=SAMPLES * 4 * neurons - 2,
        mismatches=int(kind == "mismatch"),
        ties=int(kind == "tie"),
        after_tie=2,
    )


def test_counts_do_not_depend_on_the_batch_size(model: SNNergy, inputs: dict[str, np.ndarray], sound: Parity) -> None:
    batched = parity(model, from_graph(to_nir(model, {})), inputs, batch_size=3)
    assert batched.nodes == sound.nodes
    assert batched.samples == SAMPLES


def test_the_total_adds_up(sound: Parity) -> None:
    assert sound.total.values == sum(node.values for node in sound.nodes)
    assert NodeParity("a", 1, 2, 3, 4, 0.5) + NodeParity("b", 10, 20, 30, 40, 0.25) == NodeParity(
        "a", 11, 22, 33, 44, 0.5
    )


def test_the_network_is_left_as_it_was(model: SNNergy, inputs: dict[str, np.ndarray]) -> None:
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parity(model, from_graph(to_nir(model, {})), {name: x[:1] for name, x in inputs.items()})
    assert model.training
    model.eval()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_inputs_that_do_not_fit_are_refused_at_once(model: SNNergy) -> None:
    source = from_graph(to_nir(model, {}))
    with pytest.raises(UserError) as refusal:
        parity(model, source, {"video": np.zeros((2, 4, 1, 16, 32))})
    assert len(refusal.value.violations) == 3  # shape, dtype, no audio
    video, audio = np.zeros((2, 4, 1, 32, 32), np.float32), np.full((3, 4, 1, 32, 32), np.nan, np.float32)
    with pytest.raises(UserError, match=r"(?s)'audio' holds NaN.*different numbers of samples"):
        parity(model, source, {"video": video, "audio": audio})


def test_a_graph_of_another_network_is_refused(model: SNNergy, inputs: dict[str, np.ndarray]) -> None:
    source = from_graph(to_nir(network(variant="spatial"), {}))
    with pytest.raises(UserError, match=r"fusion\.gate' is missing"):
        parity(model, source, inputs)


def test_a_graph_with_a_second_output_is_refused(model: SNNergy, inputs: dict[str, np.ndarray]) -> None:
    graph = to_nir(model, {})
    graph.nodes["spikes"] = nir.Output(np.array(graph.nodes["stage1.video.spds.out"].v_threshold.shape))
    graph.edges.append(("stage1.video.spds.out", "spikes"))
    with pytest.raises(UserError, match=r"has 2 outputs \(.*spikes.*\), the network has one"):
        parity(model, from_graph(graph), inputs)
