"""A simulated run: whole in memory or in a file, the same either way, and checked before anything is simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytest
import torch

from snnergy.artefacts.activity import Activity
from snnergy.artefacts.activity_file import read_activity
from snnergy.artefacts.errors import BackendFailed, UserError
from snnergy.artefacts.records import Records
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.simulation.backends import BACKENDS, BackendName, Emulator, as_backend
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic import graphs


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return lower(from_graph(graphs.branched()), graphs.samples(6))


def test_file_holds_the_run(compiled: Compiled, tmp_path: Path) -> None:
    net, data, path = compiled.net, graphs.samples(6), tmp_path / "activity.h5"
    records = emulator.run(net, to_integers(data, net.inputs), record_state=True)
    run = simulate(compiled, data, output=path, record_state=True)
    assert run.path == path and "accuracy" in repr(run) and str(path) in repr(run)
    with h5py.File(path) as file:
        assert (file.attrs["format"], file.attrs["version"], file.attrs["samples"]) == ("snnergy-activity", 1, 6)
        assert json.loads(file.attrs["provenance"])["source"] == "graph"
        assert set(file["nodes"]) == {"image", *(p.name for p in net.populations)}
        stem = file["nodes/stem"]
        assert (stem.attrs["role"], stem.attrs["stage"], stem.attrs["block"]) == ("stem", 1, -1)
        assert not stem.attrs["memoryless"] and file["nodes/and"].attrs["memoryless"]
        np.testing.assert_array_equal(stem["values"], records.values["stem"])
        np.testing.assert_array_equal(stem["u"], records.u["stem"])
        assert "values" not in file["nodes/head"] and file["nodes/head/v"].shape == (6, graphs.STEPS, 3)
        assert len(file["edges"]) == len(net.synapses)
        edge = next(e for e in file["edges"].values() if e.attrs["source"] == "image" and e.attrs["target"] == "stem")
        fan_out = edge["fan_out"][()]
        assert fan_out.shape == (2, 8, 8)
        assert fan_out[0, 0, 0] == 4 * 4 and fan_out[0, 4, 4] == 9 * 4  # a corner reaches 2×2 taps, the middle 3×3
        events = (records.values["image"] != 0).reshape(6, graphs.STEPS, -1)
        np.testing.assert_array_equal(edge["delivered"], events @ fan_out.reshape(-1).astype(np.int64))
    with pytest.raises(UserError, match="exists already"):
        simulate(compiled, data, output=path)


def values_of(activity: Activity) -> dict[str, bytes]:
    """Every dataset of a recorded run by its path."""
    found: dict[str, bytes] = {}
    with activity.open() as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if "values" in name else {}))
    return found


def test_a_run_in_memory_is_the_one_in_the_file(compiled: Compiled, tmp_path: Path) -> None:
    data = graphs.samples(6)
    kept, written = simulate(compiled, data), simulate(compiled, data, output=tmp_path / "a.h5")
    saved = read_activity(kept.save(tmp_path / "b.h5"))
    assert kept.path is None and "in memory" in repr(kept)
    assert written.save(tmp_path / "copy.h5").read_bytes() == written.path.read_bytes()
    assert values_of(kept.activity) == values_of(written.activity) == values_of(saved)
    assert kept.activity.nodes == written.activity.nodes == saved.nodes
    assert kept.activity.edges == written.activity.edges == saved.edges
    assert kept.accuracy == written.accuracy == saved.accuracy
    np.testing.assert_array_equal(kept.predictions, kept.logits.argmax(axis=1))
    with pytest.raises(UserError, match="exists already"):
        kept.save(tmp_path / "b.h5")


@dataclass(frozen=True)
class Few(Emulator):
    """A backend of the user's own: the emulator, two samples at a time."""

    samples_at_once = 2


def test_any_object_behind_the_protocol_is_a_backend_and_batches_change_nothing(compiled: Compiled) -> None:
    data, seen = graphs.samples(5), []
    whole = simulate(compiled, data)
    parts = simulate(compiled, data, backend=Few(), progress=seen.append)
    assert seen == [2, 2, 1]
    assert values_of(whole.activity) == values_of(parts.activity)
    for index in range(len(whole.activity.edges)):
        edges = whole.activity.edges[index], parts.activity.edges[index]
        np.testing.assert_array_equal(whole.activity.delivered(edges[0]), parts.activity.delivered(edges[1]))


class Failing(Few):
    """Takes the first two samples only."""

    def run(self, net: QuantNet, inputs: Mapping[str, IntArray], **options: Any) -> Records:
        if not inputs["image"][0].any():
            raise BackendFailed("lost on sample 1")
        return super().run(net, inputs, **options)


def test_a_batch_that_fails_says_where_it_begins(compiled: Compiled) -> None:
    image = graphs.samples(5).arrays["image"].copy()
    image[2:] = 0
    with pytest.raises(BackendFailed, match="of the samples from number 2 on, lost on sample 1"):
        simulate(compiled, image, backend=Failing())
    with pytest.raises(BackendFailed, match=r"^lost on sample 1"):
        simulate(compiled, image[2:4], backend=Failing())


def test_the_registry_holds_what_the_command_line_offers() -> None:
    assert tuple(BACKENDS) == get_args(BackendName)
    assert as_backend("emulator") == Emulator()
    with pytest.raises(UserError, match="backend 'loihi': is not known; there are emulator, lava"):
        as_backend("loihi")


def test_arrays_of_any_kind_are_samples(compiled: Compiled, tmp_path: Path) -> None:
    data = graphs.samples(3)
    image, labels = data.arrays["image"], data.labels
    np.savez(tmp_path / "x.npz", image=image, label=labels)
    forms = (
        (image, labels),
        {"image": torch.from_numpy(image), "label": labels},
        tmp_path / "x.npz",
        str(tmp_path / "x.npz"),
        ({"image": image.tolist()}, torch.tensor(labels)),
    )
    expected = simulate(compiled.net, data)
    for form in forms:
        run = simulate(compiled.net, form)
        np.testing.assert_array_equal(run.spikes["stem"], expected.spikes["stem"])
        assert run.accuracy == expected.accuracy
    assert simulate(compiled.net, image).accuracy is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", "dog", "cat"], "store the number of each sample's class"),
        ([0.5, 1.0, 2.0], "1 values are no classes"),
        ([0, -1, 2], "are no classes"),
        ([0, 1, 3], "label: 3 is none of the 3 classes, 0 to 2, of the output 'head'"),
        ([0, 1], "one label a sample"),
        ([np.nan, 0, 1], "are no classes"),
    ],
)
def test_labels_that_are_no_classes_are_refused_before_anything_runs(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, labels: list, message: str
) -> None:
    monkeypatch.setattr(Emulator, "run", lambda *_, **__: pytest.fail("it was simulated"))
    with pytest.raises(UserError, match=message):
        simulate(compiled, graphs.samples(3).arrays, labels=labels)


def test_whole_numbers_stored_as_floats_are_classes(compiled: Compiled) -> None:
    data = graphs.samples(3)
    assert simulate(compiled, (data.arrays, data.labels.astype(np.float32))).accuracy is not None


def test_a_missing_samples_axis_is_said(compiled: Compiled, caplog: pytest.LogCaptureFixture) -> None:
    one = graphs.samples(1).arrays["image"][0]
    run = simulate(compiled, one)
    assert run.activity.samples == 1
    assert f"is taken for one sample of {graphs.STEPS} time steps" in caplog.text


def test_inputs_are_checked_before_the_output(compiled: Compiled, tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("in the way")
    with pytest.raises(UserError, match="no such file; give an"):
        simulate(compiled, tmp_path / "none.npz", output=tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_text() == "in the way"


def test_a_readout_is_chosen_by_name_and_a_silent_choice_is_said(
    compiled: Compiled, caplog: pytest.LogCaptureFixture
) -> None:
    net = replace(compiled.net, outputs=("head", "stem"))
    first, other = simulate(net, graphs.samples(2)), simulate(net, graphs.samples(2).arrays, readout="stem")
    assert "predictions are read from the output 'head', of head, stem" in caplog.text
    assert (first.readout, other.readout) == ("head", "stem")
    spikes = other.spikes["stem"].sum(axis=1).reshape(2, -1)
    np.testing.assert_array_equal(other.logits, spikes)
    with pytest.raises(UserError, match="readout 'tail': is no output; the network has head, stem"):
        simulate(net, graphs.samples(2), readout="tail")


def test_spikes_are_looked_up_by_name(compiled: Compiled) -> None:
    run = simulate(compiled, graphs.samples(2))
    assert set(run.spikes) == {"image", *(p.name for p in compiled.net.populations if p.spiking)}
    assert set(run.v) == {"head"}
    with pytest.raises(UserError, match="no node 'nowhere'"):
        run.spikes["nowhere"]
    with pytest.raises(UserError, match="values of 'head' was not recorded"):
        run.spikes["head"]
    rows = {row["node"]: row for row in run.rows()}
    assert rows["stem"]["spikes"] == int(run.spikes["stem"].sum())
    assert rows["head"]["rate"] is None
    assert "<td>stem</td>" in run._repr_html_()


def test_unwritable_place_leaves_nothing(compiled: Compiled, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        simulate(compiled, graphs.samples(2), output=tmp_path / "file" / "activity.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
