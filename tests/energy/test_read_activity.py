"""The reader takes what the format allows and reports everything else at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
        if path in file:
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


def _unwritten(path: str, missing: int = 0) -> Callable[[h5py.File], None]:
    """A dataset as large as before, of which nothing is stored, or all chunks but the first."""

    def change(file: h5py.File) -> None:
        stored = file[path][()]
        del file[path]
        chunks = (1, *stored.shape[1:]) if missing else None
        made = file.create_dataset(path, stored.shape, stored.dtype, chunks=chunks)
        if missing:
            made[0] = stored[0]

    return change


def _emptied(file: h5py.File) -> None:
    for name in ("nodes", "edges"):
        del file[name]
        file.create_group(name)


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
    "an operator of unknown kind": (_attribute("edges/0", "kind", "ragged"), "kind: 'ragged'"),
    "an edge that does not say whether it is learned": (_without("edges/0", "learned"), "learned: missing"),
    "more nonzero weights than weights": (_attribute("edges/0", "nonzero_parameters", 999), "999 exceeds"),
    "no fan-out": (_without("edges/0/fan_out"), "fan_out: no such dataset"),
    "a negative fan-out": (_dataset("edges/3/fan_out", np.full((4, 3, 3), -1)), "negative"),
    "nonzero fan-out above all": (_dataset("edges/3/fan_out_nonzero", np.full((4, 3, 3), 99)), "exceeds fan_out"),
    "half a count": (_without("edges/3/delivered"), "delivered: no such dataset"),
    "a group that is none": (_dataset("nodes/head", 1), "/nodes/head: no such group"),
    "a format that is no text": (_attribute("/", "format", [1, 2]), "format: not a text"),
    "a version that is a list": (_attribute("/", "version", [1, 1]), "version: shape (2,)"),
    "a scale of nothing": (_attribute("nodes/head", "scale", 0.0), "scale: 0; must be other than 0"),
    "a scale without end": (_attribute("nodes/head", "scale", float("inf")), "scale: 1 values are NaN or infinite"),
    "more neurons than are counted": (_attribute("nodes/head", "shape", (2**30, 2**30)), "/nodes/head/shape: "),
    "an origin that is no list of names": (_attribute("edges/0", "origin", "[[1], {}]"), "origin: not a list"),
    "an edge numbered twice": (lambda file: file.move("edges/5", "edges/00"), "/edges/00: is not numbered"),
    "an edge numbered in other digits": (lambda file: file.move("edges/5", "edges/٥"), "/edges/٥: is not numbered"),
    "values that were never written": (_unwritten("nodes/stage1.q/values"), "values: 1 of its 1 chunks were never"),
    "chunks that were never written": (_unwritten("nodes/stage1.q/values", 4), "values: 4 of its 5 chunks were"),
    "more synapses than targets": (_dataset("edges/3/fan_out", np.full((4, 3, 3), 37)), "37 synapses of one neuron"),
    "more synapses than weights make": (_attribute("edges/5", "parameters", 0), "0 weights cannot make the 144"),
    "a fan-out beyond 64 bits": (
        _dataset("edges/3/fan_out", np.full((4, 3, 3), 2**64 - 1, np.uint64)),
        "fan_out: holds 18446744073709551615",
    ),
    "a negative count": (_dataset("edges/3/delivered", np.full((5, 3), -1)), "delivered: holds the negative number -1"),
    "a negative class": (_dataset("label", [0, 1, 2, -3, 0]), "label: holds the negative number -3"),
    "logits of other samples": (_dataset("logits", np.zeros((2, 4))), "logits: shape (2, 4), must be (5, classes)"),
    "logits that are complex": (_dataset("logits", np.zeros((5, 4), complex)), "logits: is no dataset of numbers"),
    "a membrane of another shape": (_dataset("nodes/head/v", np.zeros((5, 3, 1), int)), "v: shape (5, 3, 1)"),
    "provenance without a number": (
        _attribute("/", "provenance", '{"a": [NaN]}'),
        "provenance: holds a number that",
    ),
    "provenance beyond all floats": (_attribute("/", "provenance", '{"a": 1e999}'), "provenance: holds a number that"),
    "deep provenance": (_attribute("/", "provenance", '{"a": ' + "[" * 99 + "]" * 99 + "}"), "provenance: nested"),
    "nothing recorded": (_emptied, "/nodes: holds no node"),
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
            _attribute("edges/0", "kind", "ragged"),
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


@pytest.mark.parametrize(
    ("node", "stored", "line"),
    [
        ("stage2.sum", -1, "value -1 in a node of class 'integer'"),
        ("stage2.sum", 2**31, "value 2147483648 in a node of class 'integer'"),
        ("image", -(2**63), "value -9223372036854775808 in a node of class 'real'"),
        ("image", 2**31, "value 2147483648 in a node of class 'real'"),
    ],
)
def test_values_that_their_class_rules_out(recorded: Path, node: str, stored: int, line: str) -> None:
    with h5py.File(recorded, "a") as file:
        values = file[f"nodes/{node}/values"][()].astype(np.int64)
        values[4, 2, 0, 0, 0] = stored
        _dataset(f"nodes/{node}/values", values)(file)
    with pytest.raises(UserError) as caught:
        count(read_activity(recorded))
    assert f"/nodes/{node}: {line}" in str(caught.value)


def test_more_operations_than_can_be_counted_are_refused(recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        size = 2**31 - 1
        file["nodes/head"].attrs["shape"] = (size,)
        file["edges/5"].attrs["parameters"] = size
        del file["edges/5/delivered"], file["edges/5/delivered_nonzero"]
        _dataset("edges/5/fan_out", np.full((4, 3, 3), size))(file)
        _dataset("nodes/stage2.sum/values", np.full((5, 3, 4, 3, 3), size))(file)
    with pytest.raises(UserError, match=r"stage2\.sum: more operations in one step than"):
        count(read_activity(recorded))


def test_a_run_too_long_to_be_counted_is_refused_before_it_is_read(recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        file.attrs["time_steps"] = file.attrs["samples"] = 2**31 - 1
    with pytest.raises(UserError, match=r"to count 2147483647 samples of 2147483647 time steps: needs") as caught:
        read_activity(recorded)
    assert len(caught.value.lines) == 1


def test_a_chunk_beyond_the_budget_is_refused(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNERGY_MEMORY", "1MiB")
    run = read_activity(recorded)
    with h5py.File(recorded, "a") as file:
        values = file["nodes/stage1.q/values"]
        shape = (300, *values.shape[1:])
        del file["nodes/stage1.q/values"]
        file.create_dataset("nodes/stage1.q/values", shape, "i8", chunks=shape, fillvalue=0)
    with pytest.raises(UserError, match=r"stage1\.q/values: to read 5 samples at once: needs"):
        list(replace(run, time_steps=10_000).stream(run.node("stage1.q")))


def test_files_that_are_no_activity(tmp_path: Path, recorded: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no HDF5")
    with pytest.raises(UserError, match="not a readable HDF5 file"):
        read_activity(text)
    with pytest.raises(UserError, match="no such file"):
        read_activity(tmp_path / "absent.h5")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(recorded.read_bytes()[: recorded.stat().st_size // 2])
    with pytest.raises(UserError, match="truncated"):
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
