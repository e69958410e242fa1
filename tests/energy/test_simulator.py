"""The ledger of runs of this project's own simulator: its sums are what the simulator delivered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.energy import count, energy, read_activity
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic import graphs, nets

SYNAPTIC = ("ac", "graded_events", "mac_effective")


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_with_delays(tmp_path: Path, seed: int) -> None:
    net = nets.random_net(seed)
    net = replace(net, synapses=tuple(replace(synapse, source=str(synapse.source)) for synapse in net.synapses))
    inputs = nets.random_inputs(net, 3, 7, seed)
    records = emulator.run(net, inputs)
    path = tmp_path / "activity.h5"
    simulate(net, {port.name: inputs[port.name] * port.scale for port in net.inputs}, output=path)
    ledger = count(read_activity(path))
    assert all(edge.counted for edge in read_activity(path).edges)
    for skip, delivered in ((False, records.delivered), (True, records.delivered_nonzero)):
        counted = sum(ledger.per_sample(operation, skip_zero_weights=skip) for operation in SYNAPTIC)
        np.testing.assert_array_equal(counted, sum(edge.sum(axis=1) for edge in delivered))


def test_a_lowered_graph_charges_its_residual_layer_once() -> None:
    data = graphs.samples(4)
    report = energy(simulate(lower(from_graph(graphs.branched()), data), data))
    run = report.activity
    assert report.accuracy is not None
    assert {place.source for place in report.multiplying_edges} == {"image"}
    learned = [edge for edge in run.edges if edge.learned]
    assert 0 < len(learned) < len(run.edges)
    assert report.ann.macs_per_pass <= sum(edge.taps for edge in learned)
    assert report.energy_snn_pj is not None
