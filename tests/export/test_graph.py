"""The node constructors: where a neuron fires, and what the metadata says."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.artefacts.types import Labels
from snnergy.export.graph import GraphBuilder, Stream, lif, memoryless
from snnergy.training.model.neurons import LIF, reset


@settings(deadline=None, max_examples=60)  # the first call compiles the neuron
@given(st.floats(0.01, 100), st.integers(-3, 3))
def test_exported_threshold_fires_where_the_network_fires(threshold: float, steps: int) -> None:
    neuron = LIF(tau=2.0, threshold=threshold).eval()
    membrane = np.float32(threshold)
    for _ in range(abs(steps)):
        membrane = np.nextafter(membrane, np.float32(np.inf * steps))
    reset(neuron)
    fired = bool(neuron(2 * torch.tensor([[membrane]], dtype=torch.float32)))  # v = x / tau, exact for tau = 2
    assert bool(membrane > lif(neuron, (1,)).v_threshold[0]) == fired


def test_lif_parameters_have_the_full_shape() -> None:
    node = lif(LIF(tau=3.0, threshold=1.0), (2, 3, 4))
    for field, value in {"tau": 3, "r": 1, "v_leak": 0, "v_reset": 0}.items():
        assert np.array_equal(getattr(node, field), np.full((2, 3, 4), value)), field
        assert getattr(node, field).dtype == np.float32


def test_memoryless_has_no_leak_beyond_a_step() -> None:
    node = memoryless(1.5, (2,))
    assert node.tau.tolist() == [1, 1]
    assert node.v_threshold.tolist() == [1.5, 1.5]


def test_metadata_of_nodes_leaves_out_what_does_not_apply() -> None:
    graph = GraphBuilder(lambda path: Labels(role=path[0], stage=1))
    image = graph.input("image", (1, 2, 2))
    scaled = graph.linear("q.gain", nir.Scale(np.ones((1, 2, 2), np.float32)), image, image.shape, learned=True)
    graph.output("out", graph.neurons("q", memoryless(0.5, scaled.shape), scaled))
    nodes = graph.build({"classes": 3}).nodes
    assert nodes["q"].metadata == {"role": "q", "stage": 1}
    assert nodes["q.gain"].metadata == {"role": "q", "stage": 1, "learned": 1}
    assert nodes["image"].metadata["value_class"] == "real"
    assert nodes["image"].metadata["scale"] == 1 / 255


def test_a_name_is_used_once_and_streams_of_one_shape_are_summed() -> None:
    graph = GraphBuilder(lambda path: Labels())
    graph.input("image", (1, 2, 2))
    with pytest.raises(AssertionError):
        graph.input("image", (1, 2, 2))
    assert (Stream(("a",), (2,)) + Stream(("b",), (2,))).sources == ("a", "b")
    with pytest.raises(AssertionError):
        Stream(("a",), (2,)) + Stream(("b",), (3,))
