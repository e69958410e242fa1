"""The ledger of runs of this project's own simulator: its sums are what the simulator delivered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.energy import count, read_activity, summarise
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.activity import write_activity
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.lower import lower
from tests.neuromorphic import graphs, nets

SYNAPTIC = ("ac", "graded_events", "mac_effective")


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_with_delays(tmp_path: Path, seed: int) -> None:
    net = nets.random_net(seed)
    net = replace(net, synapses=tuple(replace(synapse, source=str(synapse.source)) for synapse in net.synapses))
    records = emulator.run(net, nets.random_inputs(net, 3, 7, seed))
    path = tmp_path / "activity.h5"
    write_activity(path, net, records, backend="emulator", model="random.net")
    ledger = count(read_activity(path))
    assert all(edge.counted for edge in read_activity(path).edges)
    for skip, delivered in ((False, records.delivered), (True, records.delivered_nonzero)):
        counted = sum(ledger.per_sample(operation, skip_zero_weights=skip) for operation in SYNAPTIC)
        np.testing.assert_array_equal(counted, sum(edge.sum(axis=1) for edge in delivered))


def test_a_lowered_graph_charges_its_residual_layer_once(tmp_path: Path) -> None:
    data = graphs.samples(4)
    net = lower(from_graph(graphs.branched()), data).net
    records = emulator.run(net, to_integers(data, net.inputs))
    path = tmp_path / "activity.h5"
    write_activity(path, net, records, backend="emulator", model="branched.net", labels=data.labels)
    report = summarise(path)
    run = report.activity
    assert report.accuracy is not None
    assert {place.source for place in report.multiplying_edges} == {"image"}
    learned = [edge for edge in run.edges if edge.learned]
    assert 0 < len(learned) < len(run.edges)
    assert report.ann.macs_per_pass <= sum(edge.taps for edge in learned)
    assert report.energy_snn_pj is not None
