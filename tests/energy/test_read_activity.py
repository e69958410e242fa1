"""The reader takes what the format allows and reports everything else at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Labels
from snnergy.energy import count, read_activity
from tests.energy import networks


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return networks.mixed(tmp_path / "activity.h5")


def test_reads_what_was_written(recorded: Path) -> None:
    run = read_activity(recorded)
    assert (run.samples, run.time_steps, run.backend, run.model) == (5, 3, "emulator", "small.net")
    assert run.provenance == {"seed": 0}
    assert run.accuracy == pytest.approx(0.8)
    gate = run.node("stage2.gate")
    assert gate.labels == Labels("gate", 2, 0, "video") and gate.memoryless
    assert run.node("image").labels.stage is None
    assert [edge.index for edge in run.edges] == list(range(6))
    assert run.edges[4].origin == ("alpha", "mlp1.conv")
    assert [edge.learned for edge in run.edges] == [True, True, False, True, True, True]


def test_what_a_third_party_may_leave_out(recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        del file["label"], file["prediction"], file.attrs["provenance"]
        for node in file["nodes"].values():
            for name in ("role", "stage", "block", "modality", "memoryless", "biased", "scale"):
                del node.attrs[name]
        for edge in file["edges"].values():
            del edge.attrs["origin"], edge["delivered"], edge["delivered_nonzero"]
    run = read_activity(recorded)
    assert run.accuracy is None
    assert all(node.labels.stage is None and node.biased is None and not node.memoryless for node in run.nodes)
    assert not any(edge.counted for edge in run.edges)


def _attribute(group: str, name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[group].attrs[name] = value

    return change


def _dataset(path: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]
        file[path] = value

    return change


def _without(path: str, attribute: str = "") -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if attribute:
            del file[path].attrs[attribute]
        else:
            del file[path]

    return change


BROKEN = {
    "another format": (_attribute("/", "format", "nir"), "format is 'nir'"),
    "a later version": (_attribute("/", "version", 2), "version 2 is not known"),
    "no steps": (_attribute("/", "time_steps", 0), "time_steps: 0; must be at least 1"),
    "provenance that is no JSON": (_attribute("/", "provenance", "{"), "provenance: not JSON"),
    "no nodes": (_without("nodes"), "/nodes: no such group"),
    "an unknown kind": (_attribute("nodes/head", "kind", "axon"), "kind: 'axon'; must be one of"),
    "an unknown class": (_attribute("nodes/image", "value_class", "analog"), "value_class: 'analog'"),
    "no class": (_without("nodes/image", "value_class"), "value_class: missing"),
    "a class that is a number": (_attribute("nodes/image", "value_class", 3), "value_class: not a text"),
    "an empty shape": (
        _attribute("nodes/head", "shape", np.array([], dtype=int)),
        "shape: (); expected positive",
    ),
    "a stage that is a string": (_attribute("nodes/head", "stage", "one"), "stage: type <U3; store numbers"),
    "more biases than neurons": (_attribute("nodes/head", "biased", 9), "biased: 9, but the population has"),
    "no values": (_without("nodes/stage1.q/values"), "values: no such dataset"),
    "values of another shape": (
        _dataset("nodes/stage1.q/values", np.zeros((5, 3, 4), int)),
        "values: shape (5, 3, 4)",
    ),
    "values that are floats": (_dataset("nodes/stage1.q/values", np.zeros((5, 3, 4, 3, 3))), "holds float64"),
    "a dangling edge": (_attribute("edges/0", "target", "nowhere"), "target: 'nowhere' is no node"),
    "an edge into an input": (_attribute("edges/0", "target", "image"), "kind 'input'"),
    "an edge out of a readout": (_attribute("edges/5", "source", "head"), "kind 'readout'"),
    "an edge without a number": (lambda file: file.move("edges/5", "edges/last"), "/edges/last: is not numbered"),
    "an operator of unknown kind": (_attribute("edges/0", "kind", "sparse"), "kind: 'sparse'"),
    "an edge that does not say whether it is learned": (_without("edges/0", "learned"), "learned: missing"),
    "more nonzero weights than weights": (_attribute("edges/0", "nonzero_parameters", 999), "999 exceeds"),
    "no fan-out": (_without("edges/0/fan_out"), "fan_out: no such dataset"),
    "a negative fan-out": (_dataset("edges/3/fan_out", np.full((4, 3, 3), -1)), "negative"),
    "nonzero fan-out above all": (_dataset("edges/3/fan_out_nonzero", np.full((4, 3, 3), 99)), "exceeds fan_out"),
    "half a count": (_without("edges/3/delivered"), "delivered: no such dataset"),
    "a group that is none": (_dataset("nodes/head", 1), "/nodes/head: no such group"),
    "labels of other samples": (_dataset("label", [1, 2]), "label: shape (2,)"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_refuses(recorded: Path, change: Callable[[h5py.File], None], message: str) -> None:
    with h5py.File(recorded, "a") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        read_activity(recorded)
    assert message in str(caught.value)
    assert str(recorded) in str(caught.value)


def test_reports_all_violations_at_once(recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        for change in (
            _attribute("nodes/head", "kind", "axon"),
            _attribute("edges/0", "kind", "sparse"),
            _without("nodes/stage1.q/values"),
        ):
            change(file)
    with pytest.raises(UserError) as caught:
        read_activity(recorded)
    assert len(caught.value.violations) == 3


def test_a_binary_node_sends_no_two(recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        file["nodes/stage1.q/values"][3, 1, 0, 0, 0] = 2
        file["nodes/stage2.gate/values"][0, 0, 0, 0, 0] = 7
    with pytest.raises(UserError) as caught:
        count(read_activity(recorded))
    assert len(caught.value.violations) == 2
    assert "stage1.q: value 2" in str(caught.value)
    assert "stage2.gate: value 7" in str(caught.value)


def test_files_that_are_no_activity(tmp_path: Path, recorded: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no HDF5")
    with pytest.raises(UserError, match="not an HDF5 file"):
        read_activity(text)
    with pytest.raises(UserError, match="no such file"):
        read_activity(tmp_path / "absent.h5")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(recorded.read_bytes()[: recorded.stat().st_size // 2])
    with pytest.raises(UserError, match="truncated or damaged"):
        read_activity(cut)


def test_damage_inside_the_values_is_a_user_error(tmp_path: Path, recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        values = file["nodes/stage1.q/values"][()]
        del file["nodes/stage1.q/values"]
        stored = file.create_dataset("nodes/stage1.q/values", data=values, chunks=True, compression="gzip")
        place = stored.id.get_chunk_info(0)
    content = bytearray(recorded.read_bytes())
    content[place.byte_offset : place.byte_offset + place.size] = bytes(place.size)
    recorded.write_bytes(content)
    with pytest.raises(UserError, match="truncated or damaged"):
        count(read_activity(recorded))
