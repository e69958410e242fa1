"""The magnitude behind a membrane, on a graph small enough to do by hand."""

from __future__ import annotations

import nir
import numpy as np
import torch

from snnergy.artefacts.types import Labels
from snnergy.export.graph import GraphBuilder, memoryless
from snnergy.export.rounding import magnitude
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.graph.source import NirSource
from tests.export.networks import network, pixels


def _cancelling() -> NirSource:
    """image → conv (3, −2.5, bias −0.25) → scale −2 → LIF with tau 2, threshold 0.1."""
    graph = GraphBuilder(lambda path: Labels())
    image = graph.input("image", (2, 1, 1))
    weight = np.array([3, -2.5], np.float32).reshape(1, 2, 1, 1)
    conv = nir.Conv2d((1, 1), weight, 1, 0, 1, 1, np.array([-0.25], np.float32))
    current = graph.linear("n.conv", conv, image, (1, 1, 1))
    scaled = graph.linear("n.gain", nir.Scale(np.full((1, 1, 1), -2, np.float32)), current, current.shape)
    node = memoryless(0.1, (1, 1, 1))
    node.tau *= 2
    graph.output("out", graph.neurons("n", node, scaled))
    return from_graph(graph.build({}))


def test_terms_that_cancel_are_added_up() -> None:
    values = {"image": torch.tensor([1.0, -1.0]).reshape(1, 1, 2, 1, 1).repeat(1, 2, 1, 1, 1)}
    found = magnitude(_cancelling(), "n", values).flatten().tolist()
    step = 2 * (3 + 2.5 + 0.25) / 2  # scale · Σ|w x| / tau, then half of it is kept
    assert found == [step, 1.5 * step]


def test_no_membrane_exceeds_its_magnitude() -> None:
    model = network()
    source = from_graph(to_nir(model, {}))
    inputs = pixels(3, model)
    trace = interpret(source, inputs)
    values = {name: trace.values[name] for name in model.populations()}
    values |= {name: torch.from_numpy(x) for name, x in inputs.items()}
    for name in ("stage1.video.spds.out", "stage2.block0.audio.spatial.q", "stage3.block0.video.fusion.space"):
        bound = magnitude(source, name, values)
        assert (trace.membrane[name].abs() <= bound * (1 + 1e-5)).all(), name
        assert bound.max() > 0
