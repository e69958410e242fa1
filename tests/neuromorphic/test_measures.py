"""Measures that see what silence hides, and the lines that say what a network's results rest on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.lowering.measures import TIME_CONSTANT, by_guessing, distance, overlap
from snnergy.neuromorphic.lowering.reference import telling
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic import graphs
from tests.neuromorphic.test_read_nir import chain


def train(*spikes: int, steps: int = 20) -> torch.Tensor:
    """One neuron of one sample that fires in these steps."""
    values = torch.zeros(1, steps, 1)
    values[0, list(spikes), 0] = 1
    return values


def test_overlap_counts_spikes_and_not_silence() -> None:
    assert overlap(train(1, 5), train(1, 6)) == pytest.approx(1 / 3)
    assert overlap(3 * train(1), 2 * train(1)) == pytest.approx(2 / 3)
    assert overlap(train(4), train(4)) == 1.0
    assert overlap(train(), train()) is None


def test_distance_is_van_rossums_over_all_time() -> None:
    keep = math.exp(-1 / TIME_CONSTANT)
    norm = 1 / (1 - keep**2)  # of one spike, wherever it stands: the integral runs on after the last step
    late = 1 + (1 - keep) ** 2 * norm * 1.0
    assert distance(train(3), train(3)) == 0.0
    assert distance(train(), train(19)) == pytest.approx(1.0)
    assert distance(train(4), train(3)) == pytest.approx(math.sqrt(late / norm))
    assert distance(train(3), train()) is None


def test_a_guess_is_told_from_evidence() -> None:
    assert by_guessing(0.25, 4, 10) == pytest.approx(1 - 0.9**4)
    assert by_guessing(1.0, 10, 10) == pytest.approx(1e-10)
    assert by_guessing(0.0, 50, 10) == pytest.approx(1.0)


def single(weight: np.ndarray, neuron: nir.NIRNode, bias: np.ndarray | None = None) -> nir.NIRGraph:
    """One layer behind declared spikes."""
    inputs = nir.Input({"input": np.array([weight.shape[1]])}, metadata={"value_class": "binary"})
    linear = nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
    return chain(inputs, linear, neuron, nir.Output({"output": np.array([weight.shape[0]])}))


def integrator(count: int) -> nir.IF:
    return nir.IF(r=graphs.full((count,), 1), v_threshold=graphs.full((count,), 1), v_reset=graphs.full((count,), 0))


def compiled(graph: nir.NIRGraph, x: np.ndarray, labels: np.ndarray | None = None) -> Compiled:
    return lower(from_graph(graph, 1.0), Samples({"n0": x}, labels))


def test_nothing_is_faithful_without_a_spike() -> None:
    net = compiled(single(graphs.full((2, 3), 0.01), graphs.lif((2,))), graphs.full((2, 8, 3), 1))
    (node,) = net.fidelity.nodes
    assert (node.verdict, node.spikes_float, node.spikes_chip, node.overlap) == ("silent", 0, 0, None)
    assert any("never fires on the calibration samples" in line for line in net.fidelity.warnings)
    assert any("no input can lift the membrane" in line for line in net.fidelity.warnings)


def test_an_exact_node_is_faithful_and_says_how_many_spikes_prove_it() -> None:
    x = np.random.default_rng(0).integers(0, 2, (4, 10, 3)).astype(np.float32)
    net = compiled(single(np.eye(3, dtype=np.float32), graphs.gate((3,), 0.5)), x)
    (node,) = net.fidelity.nodes
    assert (node.verdict, node.overlap, node.distance) == ("faithful", 1.0, 0.0)
    assert node.spikes_float == node.spikes_chip == x.sum()
    assert net.fidelity.warnings == () and net.fidelity.stock_obstacles == ()


@pytest.mark.parametrize(("weight", "steps", "wanted"), [(2e-5, 60, 2), (1e-5, 110, 2), (4e-6, 260, 2)])
def test_weights_far_below_the_threshold_keep_firing_in_a_chain(weight: float, steps: int, wanted: int) -> None:
    net = compiled(single(graphs.full((1, 2000), weight), integrator(1)), graphs.full((1, steps, 2000), 1))
    (node,) = net.fidelity.nodes
    assert node.spikes_chip == node.spikes_float
    assert abs((node.spikes_float or 0) - wanted) <= 1
    assert node.weight_max > 32
    left = [line for line in net.fidelity.stock_obstacles if "exponent" in line]
    assert bool(left) == (net.net.synapses[0].exponent != 0)


def test_what_no_register_holds_is_said() -> None:
    x = graphs.full((1, 8, 4), 1)
    lost = compiled(single(graphs.full((1, 4), 1e-9), integrator(1)), x).fidelity.warnings
    assert any("every weight is 0 on the chip" in line for line in lost)
    mixed = np.array([[1.0, 1e-7, 1e-7, 1e-7]], np.float32)
    lost = compiled(single(mixed, integrator(1)), x).fidelity.warnings
    assert any("most weights round to 0: n2 (3 of 4)" in line for line in lost)
    slow = compiled(single(graphs.full((1, 4), 900.0), graphs.lif((1,), tau=3000.0)), x).fidelity.warnings
    assert any("changes time constants: n2 (of v 3000 steps to 4096)" in line for line in slow)


def test_accuracy_near_chance_is_no_evidence() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, (20, 6, 5)).astype(np.float32)
    net = compiled(single(rng.normal(0, 1, (5, 5)).astype(np.float32), graphs.lif((5,))), x, rng.integers(0, 5, 20))
    said = [line for line in net.fidelity.warnings if "guessing among 5 classes" in line]
    assert len(said) == 2 and "in float" in said[0] and "in 8 bits" in said[1]


def test_overflows_of_a_run_travel_with_its_activity(tmp_path: Path) -> None:
    current = nir.CubaLIF(
        tau_syn=graphs.full((2,), 200), w_in=graphs.full((2,), 200), tau_mem=graphs.full((2,), 2),
        r=graphs.full((2,), 1),
        v_leak=graphs.full((2,), 0), v_reset=graphs.full((2,), 0), v_threshold=graphs.full((2,), 1),
    )  # fmt: skip
    weight = graphs.full((2, 16), 1)
    weak = np.zeros((1, 40, 16), np.float32)
    weak[:, 5, 0] = 1
    net = compiled(single(weight, current), weak)
    run = simulate(net, {"n0": graphs.full((1, 400, 16), 1)}, output=tmp_path / "activity.h5")
    assert run.overflows["n2"][0] > 0
    assert any("u wrapped around at 24 bits in this run" in line for line in run.warnings)
    assert run.activity.warnings[: len(net.fidelity.warnings)] == net.fidelity.warnings


def test_the_framework_shows_what_the_exporter_lost(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2, (6, 12, 4)).astype(np.float32)
    weight = rng.uniform(0.2, 0.9, (3, 4)).astype(np.float32)
    graph = single(weight, graphs.lif((3,), tau=0.004))
    v, emitted = np.zeros((6, 3)), np.zeros((6, 12, 3), np.float32)
    for t in range(12):  # as the framework stepped: dt 1e-3
        v += 0.25 * (x[:, t] @ weight.T - v)
        emitted[:, t] = v > 1
        v[v > 1] = 0
    samples = {"n0": x}
    np.savez(tmp_path / "out.npz", out=emitted)
    same = compile(graph, calibration=samples, reference=tmp_path / "out.npz", dt=1e-3).fidelity.reference
    assert same is not None and same.spikes_reference == emitted.sum() > 0
    assert same.likeness_float > 0.999 and same.lost == ""
    other = compile(graph, calibration=samples, reference={"out": emitted}, dt=1e-4).fidelity
    assert other.reference is not None and other.reference.likeness_float < 0.5
    assert "fits better with --dt 0.001" in other.reference.lost and other.reference.lost in other.warnings


def test_a_reference_names_the_step_the_gain_the_reset_and_how_late_it_is() -> None:
    rng = np.random.default_rng(4)
    x = rng.integers(0, 2, (6, 16, 4)).astype(np.float32)
    weight = rng.uniform(0.1, 0.6, (3, 4)).astype(np.float32)
    graph = single(weight, graphs.lif((3,), tau=5.0))
    v, spikes, emitted = np.zeros((6, 3)), np.zeros((6, 3)), np.zeros((6, 16, 3), np.float32)
    for t in range(16):  # emits what the membrane of the step before decided, and takes it off late
        emitted[:, t] = spikes
        v = np.exp(-1 / 5) * v + x[:, t] @ weight.T - spikes
        spikes = (v > 1).astype(float)
    lost = compile(graph, calibration={"n0": x}, reference=emitted, dt=1.0).fidelity.reference.lost
    wanted = "fits better with --reset late-soft --integration exponential --gain one: spike overlap 1.00"
    assert wanted in lost and lost.endswith("where the reference is taken 1 step earlier")
    found = compile(
        graph,
        calibration={"n0": x},
        reference=emitted,
        dt=1.0,
        reset="late-soft",
        integration="exponential",
        gain="one",
    ).fidelity
    assert "spike overlap 1.00, where the reference is taken 1 step earlier, and no option" in found.reference.lost
    assert "reset late-soft, one spike a step, integration exponential, gain one" in found.conventions


def test_the_more_a_network_takes_the_fewer_samples_conventions_are_tried_on() -> None:
    reference = np.zeros((40, 8, 2))
    reference[[3, 30], 2] = 1
    small = from_graph(single(graphs.full((2, 3), 1), graphs.lif((2,))), 1.0)
    assert small.operations == 2 * 3 + 3 + 3 * 2
    assert telling(reference, small).size == 16 and {3, 30} <= set(telling(reference, small))
    large = replace(small, shapes=small.shapes | {"n0": ((1 << 24) - 64,)})
    assert telling(reference, large).tolist() == [3, 30]
    assert telling(reference, replace(small, shapes=small.shapes | {"n0": (1 << 40,)})).tolist() == [3]


def test_a_reference_of_early_spikes_alone_is_not_later_than_a_silent_network() -> None:
    emitted = np.zeros((2, 8, 2), np.float32)
    emitted[:, 0] = 1
    graph = single(graphs.full((2, 3), 1e-3), graphs.lif((2,)))
    lost = compile(
        graph, calibration={"n0": graphs.full((2, 8, 3), 1)}, reference=emitted, dt=1.0
    ).fidelity.reference.lost
    assert lost.endswith("the exporter lost something, or the samples are others, and no option of ours fits better")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (np.zeros((2, 5, 7)), "must be (2, 5, 2)"),
        ({"other": np.zeros((2, 5, 2))}, "no array"),
        (np.full((2, 5, 2), np.nan), "NaN"),
        (np.full((2, 5, 2), 0.5), "count none"),
        (np.zeros((2, 5, 2), "S1"), "store numbers"),
        (np.float32(3), "must be (2, 5, 2)"),
    ],
)
def test_a_reference_that_cannot_be_one_is_refused(reference: object, message: str) -> None:
    graph = single(graphs.full((2, 3), 1), graphs.lif((2,)))
    with pytest.raises(UserError) as caught:
        compile(graph, calibration={"n0": graphs.full((2, 5, 3), 1)}, reference=reference, dt=1.0)
    assert message in str(caught.value)
    with pytest.raises(UserError, match="give these too"):
        compile(graph, reference=reference, dt=1.0)


@pytest.mark.parametrize("bias", [0.5, 5.0])
def test_a_bias_far_above_the_weights_leaves_them_their_bits(bias: float) -> None:
    rng = np.random.default_rng(3)
    weight = rng.normal(0, 0.3, (8, 40)).astype(np.float32)
    x = (rng.random((4, 100, 40)) < 0.3).astype(np.float32)
    neurons = graphs.lif((8,), tau=10.0, threshold=bias + 1)  # what the bias alone reaches lies one below
    (node,) = compiled(single(weight, neurons, graphs.full((8,), bias)), x).fidelity.nodes
    assert node.weight_max > 64
    assert node.spikes_float and abs((node.spikes_chip or 0) - node.spikes_float) <= 0.15 * node.spikes_float
