"""What users and files say of a graph's nodes and inputs, and what is seen of inputs that nobody declared."""

from __future__ import annotations

import copy

import nir
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.energy.account import energy
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic.foreign_graphs import between, chain, full, lif, linear, ports


def test_labels_of_others_are_ignored_and_numbers_of_others_refused():
    graph = between(linear(), lif(2, 2.0))
    graph.nodes["n2"].metadata |= {"stage": "encoder", "block": "resnet.3", "role": "x" * 400, "learned": "yes"}
    source = from_graph(graph)
    assert source.labels("n2").stage is None and source.labels("n2").role == ""
    assert len(source.notes) == 4 and all(note.endswith("; ignored") for note in source.notes)
    assert graph.nodes["n2"].metadata["stage"] == "encoder"
    for metadata in ({"scale": "auto"}, {"value_class": "spikes"}, {"bits": 40}, {"scale": 0.0}, {"signed": 3}):
        graph.nodes["n0"].metadata = metadata
        with pytest.raises(UserError, match=f"metadata {next(iter(metadata))} is"):
            from_graph(graph)
        assert from_graph(graph, input_kind="spikes").inputs[0].value_class == "binary"
    graph.nodes["n0"].metadata = "none"
    assert "metadata is 'none'" in from_graph(graph).notes[0]


def test_an_undeclared_input_of_zeros_and_ones_is_spikes_and_is_counted_so():
    rng = np.random.default_rng(0)
    x = (rng.random((4, 20, 100)) < 0.05).astype(np.float32)
    graph = chain(ports(100)[0], nir.Linear(rng.normal(0, 0.5, (10, 100)).astype(np.float32)), lif(10, 2), ports(10)[1])
    declared = copy.deepcopy(graph)
    declared.nodes["n0"].metadata = {"value_class": "binary"}
    reports = [energy(simulate(compile(g, calibration=x, dt=1.0), x)) for g in (graph, declared)]
    counted = {entry.operation for entry in reports[0].ledger.entries if entry.place.source == "n0"}
    assert "ac" in counted and not any(operation.startswith("mac") for operation in counted)
    assert reports[0].energy_snn_pj == reports[1].energy_snn_pj
    assert compile(graph, dt=1.0).net.inputs[0].value_class == "binary"


@pytest.mark.parametrize(
    ("kind", "values", "value_class", "bits", "signed"),
    [
        (None, [0.0, 0.25, 3.0], "real", 8, False),
        ("analog", [0.0, 1.0, 1.0], "real", 8, False),
        ("graded", [0.0, 1.0, 5.0], "integer", 8, False),
        ("graded", [-300.0, 1.0, 5.0], "integer", 10, True),
        ({"n0": "spikes"}, [0.0, 1.0, 0.0], "binary", 1, False),
    ],
)
def test_what_an_input_sends_is_said_or_seen(kind, values, value_class, bits, signed):
    x = np.broadcast_to(np.float32(values)[:, None], (1, 3, 2)).copy()
    (port,) = compile(between(linear(), lif(2, 2.0)), calibration=x, input_kind=kind).net.inputs
    assert (port.value_class, port.bits, port.signed) == (value_class, bits, signed)
    assert (port.scale == 1.0) == (value_class != "real")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("spikes", 0.5, "not all 0 or 1"),
        ("graded", 0.5, "declared to send whole numbers"),
        ("graded", 2.0**30, "exceed the port's range"),
        ("spike", 0.0, "input kind 'spike' of 'n0': must be one of spikes, graded, analog"),
        ({"image": "spikes"}, 0.0, "there is no such input; there are \\['n0'\\]"),
    ],
)
def test_samples_that_are_not_what_an_input_sends(kind, values, message):
    with pytest.raises(UserError, match=message):
        compile(between(linear(), lif(2, 2.0)), calibration=full((1, 3, 2), values), input_kind=kind)
