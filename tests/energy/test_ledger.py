"""The ledger's counts, against tables of synapses unrolled one by one and against the rules they must keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.artefacts import hdf5
from snnergy.artefacts.errors import CheckFailed
from snnergy.energy import Ledger, LedgerMismatch, count, read_activity
from tests.energy import networks
from tests.energy.activity_files import Edge, Node, taps, write_activity

MANY = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.fixture(autouse=True, scope="module")
def _files_of_our_own() -> Iterator[None]:
    """No child tries out first whether HDF5 survives a file that was written just now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "deadly", lambda path: "")
        yield


def ledger_of(nodes: list[Node], edges: list[Edge]) -> Ledger:
    with TemporaryDirectory() as folder:
        return count(read_activity(write_activity(Path(folder) / "activity.h5", nodes, edges)))


def conv(values: np.ndarray, kernel: int, stride: int, padding: int, value_class: str = "binary") -> Ledger:
    """A population of maps with `values`, convolved into one of two channels."""
    return convs([(values, value_class)], kernel, stride, padding)[0]


def convs(sent: list[tuple[np.ndarray, str]], kernel: int, stride: int, padding: int) -> list[Ledger]:
    """Populations of maps of one shape in one network, each with its values and their class, convolved on its own."""
    shape = sent[0][0].shape
    weight = np.random.default_rng(1).integers(-2, 3, (2, shape[2], kernel, kernel))
    size = (shape[3] + 2 * padding - kernel) // stride + 1
    nodes, edges = [], []
    for index, (values, value_class) in enumerate(sent):
        source, target = f"source{index}", f"target{index}"
        nodes += [
            Node(source, values, kind="input", value_class=value_class),
            Node(target, kind="readout", value_class="integer", shape=(2, size, size)),
        ]
        edges.append(Edge(source, target, weight, stride, padding))
    parts = ledger_of(nodes, edges).split(lambda place: place.source)
    return [parts[edge.source] for edge in edges]


@st.composite
def recordings(draw: st.DrawFn, largest: int = 1) -> tuple[np.ndarray, int, int, int]:
    samples, steps, channels = (draw(st.integers(1, 3)) for _ in range(3))
    side = draw(st.integers(3, 6))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    values = rng.integers(0, largest + 1, (samples, steps, channels, side, side))
    return values, draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 2))


@MANY
@given(recordings())
def test_additive_over_time(recording: tuple[np.ndarray, int, int, int]) -> None:
    values, *operator = recording
    cut = values.shape[1] // 2
    whole = conv(values, *operator).per_sample("ac")
    parts = [conv(part, *operator).per_sample("ac") for part in (values[:, :cut], values[:, cut:]) if part.shape[1]]
    np.testing.assert_array_equal(whole, sum(parts))


@MANY
@given(recordings(), st.randoms(use_true_random=False))
def test_a_sample_costs_the_same_in_any_order(recording: tuple[np.ndarray, int, int, int], random: object) -> None:
    values, *operator = recording
    order = np.arange(len(values))
    random.shuffle(order)  # type: ignore[attr-defined]
    counts, in_order = convs([(values, "binary"), (values[order], "binary")], *operator)
    np.testing.assert_array_equal(in_order.per_sample("ac"), counts.per_sample("ac")[order])


@MANY
@given(recordings())
def test_all_ones_is_dense(recording: tuple[np.ndarray, int, int, int]) -> None:
    values, *operator = recording
    ones, dense = convs([(np.ones_like(values), "binary"), (values, "real")], *operator)
    np.testing.assert_array_equal(ones.per_sample("ac"), dense.per_sample("mac_dense"))
    np.testing.assert_array_equal(
        ones.per_sample("ac", skip_zero_weights=True), dense.per_sample("mac_dense", skip_zero_weights=True)
    )


@MANY
@given(recordings(largest=3))
def test_integers_count_once_as_events_and_by_value_as_additions(recording: tuple[np.ndarray, int, int, int]) -> None:
    values, *operator = recording
    levels = [((values >= level).astype(np.uint8), "binary") for level in range(1, 4)]
    integer, *by_level = convs([(values, "integer"), *levels], *operator)
    np.testing.assert_array_equal(integer.per_sample("graded_events"), by_level[0].per_sample("ac"))
    np.testing.assert_array_equal(integer.per_sample("ac_weighted"), sum(level.per_sample("ac") for level in by_level))


def test_nothing_sent_costs_no_synaptic_operation() -> None:
    silent = Node("source", np.zeros((2, 3, 2, 4, 4), np.uint8), kind="input")
    target = Node("target", np.zeros((2, 3, 2, 4, 4), np.uint8), attrs={"biased": 5})
    ledger = ledger_of([silent, target], [Edge("source", "target", np.ones((2, 2, 1, 1)))])
    assert ledger.per_sample("ac").tolist() == [0, 0]
    assert ledger.per_sample("neuron_update").tolist() == [96, 96]  # 32 neurons, 3 steps: they run all the same
    assert ledger.per_sample("bias_add").tolist() == [15, 15]


def test_borders_and_strides_are_exact() -> None:
    corner, centre = np.zeros((2, 1, 1, 1, 3, 3), np.uint8)
    corner[0, 0, 0, 0, 0] = centre[0, 0, 0, 1, 1] = 1
    assert conv(corner, 3, 1, 1).per_sample("ac") == 8  # 4 positions, 2 channels
    assert conv(centre, 3, 1, 1).per_sample("ac") == 18
    assert conv(centre, 3, 2, 1).per_sample("ac") == 8  # a stride of 2 leaves 4 positions
    assert conv(corner, 3, 2, 1).per_sample("ac") == 2


def test_counts_of_every_edge_and_both_conventions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes, edges = networks.mixed_nodes(rng), networks.mixed_edges(rng)
    ledger = count(read_activity(write_activity(tmp_path / "activity.h5", nodes, edges)))
    by_name = {node.name: node for node in nodes}
    columns = {(e.place.index, e.operation): (e.all, e.nonzero) for e in ledger.entries if e.place.kind == "edge"}
    expected = {}
    for index, edge in enumerate(edges):
        source = by_name[edge.source]
        values = source.values.reshape(5, 3, -1).astype(int)
        tables = taps(edge, source.shape, by_name[edge.target].shape)
        sent = {
            "binary": {"ac": values},
            "integer": {"ac_weighted": np.abs(values), "graded_events": values != 0},
            "real": {"mac_dense": np.ones_like(values), "mac_effective": values != 0},
        }[source.value_class]
        for operation, sources in sent.items():
            expected[index, operation] = [(sources @ table.T).sum(axis=-1) for table in tables]
    assert columns.keys() == expected.keys()
    for key, counts in expected.items():
        np.testing.assert_array_equal(columns[key], counts)


def test_neurons_gates_and_readouts(tmp_path: Path) -> None:
    ledger = count(read_activity(networks.mixed(tmp_path / "activity.h5")))
    found = {(e.operation, e.place.name): int(e.all[0].sum()) for e in ledger.entries if e.place.kind == "node"}
    steps = networks.STEPS
    assert found["neuron_update", "stage2.gate"] == 36 * steps
    assert ("leak", "stage2.gate") not in found  # memoryless
    assert found["leak", "stage2.sum"] == 36 * steps
    assert found["leak", "head"] == 4 * steps
    assert ("spike", "head") not in found  # a readout sends nothing
    assert ("neuron_update", "image") not in found
    assert found["bias_add", "stage1.stem"] == 144 * steps
    gates = ledger.where(lambda entry: entry.place.kind == "edge").split(lambda place: place.role)["gate"]
    assert gates.operations() == ("ac",)  # a row of its own, an ordinary accumulate


def test_every_entry_is_in_one_part(tmp_path: Path) -> None:
    ledger = count(read_activity(networks.mixed(tmp_path / "activity.h5")))
    parts = ledger.split(lambda place: place.stage)
    for operation in ledger.operations():
        np.testing.assert_array_equal(
            ledger.per_sample(operation), sum(part.per_sample(operation) for part in parts.values())
        )


@pytest.mark.parametrize("dataset", ["delivered", "delivered_nonzero"])
def test_a_mismatch_with_the_simulator_raises(tmp_path: Path, dataset: str) -> None:
    path = networks.mixed(tmp_path / "activity.h5")
    with h5py.File(path, "a") as file:
        file["edges/3"][dataset][4, 2] += 1
    with pytest.raises(LedgerMismatch, match=r"edges/3 .*sample 4, step 2") as caught:
        count(read_activity(path))
    assert isinstance(caught.value, CheckFailed)
    assert f"{dataset} is" in str(caught.value)


def test_events_at_the_wrong_step_are_a_mismatch(tmp_path: Path) -> None:
    path = networks.mixed(tmp_path / "activity.h5")
    with h5py.File(path, "a") as file:
        for name in ("delivered", "delivered_nonzero"):
            file["edges/3"][name][...] = np.roll(file["edges/3"][name], 1, axis=1)
    with pytest.raises(LedgerMismatch):
        count(read_activity(path))


def test_a_simulator_without_a_count_is_not_checked(tmp_path: Path) -> None:
    path = networks.mixed(tmp_path / "activity.h5")
    checked = count(read_activity(path))
    with h5py.File(path, "a") as file:
        for edge in file["edges"].values():
            del edge["delivered"], edge["delivered_nonzero"]
    unchecked = count(read_activity(path))
    np.testing.assert_array_equal(unchecked.per_sample("ac"), checked.per_sample("ac"))


def test_counts_do_not_depend_on_how_much_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_activity(networks.mixed(tmp_path / "activity.h5"))
    whole = count(run)
    monkeypatch.setattr("snnergy.artefacts.activity._VALUES_AT_ONCE", 1)
    streamed = count(run)
    for operation in whole.operations():
        np.testing.assert_array_equal(streamed.per_sample(operation), whole.per_sample(operation))
    assert streamed.static_input == whole.static_input


def test_a_static_input_is_recognised() -> None:
    moving = np.random.default_rng(0).integers(0, 9, (2, 3, 1, 3, 3))
    assert not conv(moving, 3, 1, 1, "real").static_input
    still = np.repeat(moving[:, :1], 3, axis=1)
    assert conv(still, 3, 1, 1, "real").static_input
    still[1, 2, 0, 0, 0] += 1
    assert not conv(still, 3, 1, 1, "real").static_input
