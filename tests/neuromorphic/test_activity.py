"""activity.h5 holds every node and edge of a run, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.activity import write_activity
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.lower import lower
from tests.neuromorphic import graphs


def test_file_holds_the_run(tmp_path: Path) -> None:
    data = graphs.samples(6)
    net = lower(from_graph(graphs.branched()), data).net
    records = emulator.run(net, to_integers(data, net.inputs), record_state=True)
    path = tmp_path / "activity.h5"
    write_activity(path, net, records, backend="emulator", model="g.net", labels=data.labels)
    with h5py.File(path) as file:
        assert (file.attrs["format"], file.attrs["version"], file.attrs["samples"]) == ("snnergy-activity", 1, 6)
        assert json.loads(file.attrs["provenance"])["source"] == "graph"
        assert set(file["nodes"]) == {"image", *(p.name for p in net.populations)}
        stem = file["nodes/stem"]
        assert (stem.attrs["role"], stem.attrs["stage"], stem.attrs["block"]) == ("stem", 1, -1)
        assert not stem.attrs["memoryless"] and file["nodes/and"].attrs["memoryless"]
        np.testing.assert_array_equal(stem["values"], records.values["stem"])
        assert "values" not in file["nodes/head"] and file["nodes/head/v"].shape == (6, graphs.STEPS, 3)
        assert len(file["edges"]) == len(net.synapses)
        edge = next(e for e in file["edges"].values() if e.attrs["source"] == "image" and e.attrs["target"] == "stem")
        fan_out = edge["fan_out"][()]
        assert fan_out.shape == (2, 8, 8)
        assert fan_out[0, 0, 0] == 4 * 4 and fan_out[0, 4, 4] == 9 * 4  # a corner reaches 2×2 taps, the middle 3×3
        events = (records.values["image"] != 0).reshape(6, graphs.STEPS, -1)
        np.testing.assert_array_equal(edge["delivered"], events @ fan_out.reshape(-1).astype(np.int64))
    with pytest.raises(UserError, match="exists already"):
        write_activity(path, net, records, backend="emulator", model="g.net")


def test_unwritable_place_leaves_nothing(tmp_path: Path) -> None:
    data = graphs.samples(2)
    net = lower(from_graph(graphs.branched()), data).net
    records = emulator.run(net, to_integers(data, net.inputs))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_activity(tmp_path / "file" / "activity.h5", net, records, backend="emulator", model="g.net")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
