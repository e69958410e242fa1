"""The ANNs of the same shape, the break-even rate and the formula of papers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnergy.energy import count, energy, read_activity
from snnergy.energy.bill import charge_ledger
from snnergy.energy.counterparts import break_even_rate, counterparts, learned_layers, spike_rate
from snnergy.energy.paper_formula import paper_formula
from snnergy.energy.prices import FP32, INT8, technology_named
from tests.energy import networks
from tests.energy.activity_files import Edge, Node, write_activity


def test_branches_of_one_layer_are_one_layer(tmp_path: Path) -> None:
    run = read_activity(networks.mixed(tmp_path / "activity.h5"))
    layers = [[edge.index for edge in layer] for layer in learned_layers(run)]
    assert layers == [[0], [1], [3, 4], [5]]  # 2 is a gate; 3 and 4 enter mlp1 through the same convolution


def test_dense_multiplications_by_hand(tmp_path: Path) -> None:
    run = read_activity(networks.mixed(tmp_path / "activity.h5"))
    fp32, quantized = counterparts(run, static_input=False)
    inside = 16  # taps of a 3×3 kernel inside a padded 6×6 map, per axis: 2 + 4·3 + 2
    stem = 2 * 4 * inside**2
    q = 4 * 4 * 8**2  # stride 2: output rows reach 2, 3 and 3 rows
    mlp1, head = 4 * 4 * 9, 36 * 4
    assert fp32.macs_per_pass == quantized.macs_per_pass == stem + q + mlp1 + head
    assert fp32.activations_per_pass == 144 + 36 + 36  # a readout has no activation
    assert fp32.biases_per_pass == 144 + 4
    expected = fp32.macs_per_pass * 4.6 + (144 + 36 + 36 + 144 + 4) * 0.9
    assert fp32.one_pass_pj == pytest.approx(expected)
    assert fp32.energy_pj == pytest.approx(networks.STEPS * expected)


@pytest.mark.parametrize(("steps", "bits", "arithmetic"), [(1, 1, INT8), (3, 2, INT8), (4, 3, INT8), (255, 8, INT8)])
def test_bits_hold_the_spike_count(tmp_path: Path, steps: int, bits: int, arithmetic: object) -> None:
    nodes = [
        Node("source", np.zeros((1, steps, 2), np.uint8), kind="input"),
        Node("target", kind="readout", value_class="integer", shape=(3,)),
    ]
    run = read_activity(write_activity(tmp_path / "activity.h5", nodes, [Edge("source", "target", np.ones((3, 2)))]))
    quantized = counterparts(run, static_input=False)[1]
    assert (quantized.bits, quantized.technology) == (bits, arithmetic)


def test_a_static_input_needs_one_pass(tmp_path: Path) -> None:
    run = read_activity(networks.mixed(tmp_path / "activity.h5"))
    assert [network.passes for network in counterparts(run, static_input=True)] == [1, 1]
    assert [network.passes for network in counterparts(run, static_input=False)] == [3, 3]


def test_spike_rate_is_events_per_synapse(tmp_path: Path) -> None:
    nodes = [
        Node("source", np.array([[[1, 0], [1, 1]]], np.uint8), kind="input"),
        Node("target", kind="readout", value_class="integer", shape=(3,)),
    ]
    run = read_activity(write_activity(tmp_path / "activity.h5", nodes, [Edge("source", "target", np.ones((3, 2)))]))
    assert spike_rate(run, count(run)) == 0.75


def test_the_recorded_rate_breaks_even_with_the_recorded_energy(tmp_path: Path) -> None:
    run = read_activity(networks.mixed(tmp_path / "activity.h5"))
    ledger = count(run)
    rate, own = spike_rate(run, ledger), charge_ledger(ledger, FP32).total_pj
    assert own is not None
    assert break_even_rate(run, ledger, FP32, float(own.mean())) == pytest.approx(rate, rel=1e-12)


def test_break_even_follows_the_line_between_silence_and_every_spike(tmp_path: Path) -> None:
    def energy_of(values: np.ndarray) -> float:
        nodes = [
            Node("source", values, kind="input"),
            Node("target", kind="readout", value_class="integer", shape=(3,)),
        ]
        path = write_activity(tmp_path / "line.h5", nodes, [Edge("source", "target", np.ones((3, 8)))])
        total = energy(path).energy_snn_pj
        path.unlink()
        assert total is not None
        return total

    silent, dense = (energy_of(fill((1, 2, 8), np.uint8)) for fill in (np.zeros, np.ones))
    run = read_activity(networks_line(tmp_path))
    for against in (silent - 5.0, silent, 0.3 * silent + 0.7 * dense, dense, dense + 5.0):
        expected = (against - silent) / (dense - silent)
        assert break_even_rate(run, count(run), FP32, against) == pytest.approx(expected, abs=1e-12)


def networks_line(folder: Path) -> Path:
    nodes = [
        Node("source", np.array([[[1, 0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]]], np.uint8), kind="input"),
        Node("target", kind="readout", value_class="integer", shape=(3,)),
    ]
    return write_activity(folder / "recorded.h5", nodes, [Edge("source", "target", np.ones((3, 8)))])


def test_no_break_even_without_spikes_or_prices(tmp_path: Path) -> None:
    run = read_activity(networks.mixed(tmp_path / "activity.h5"))
    assert break_even_rate(run, count(run), technology_named("loihi2"), 1e6) is None
    silent = write_activity(
        tmp_path / "silent.h5",
        [
            Node("source", np.zeros((1, 2, 8), np.uint8), kind="input"),
            Node("target", kind="readout", value_class="integer", shape=(3,)),
        ],
        [Edge("source", "target", np.ones((3, 8)))],
    )
    assert energy(silent).break_even[0].rate is None


def padded(folder: Path, values: np.ndarray, padding: int) -> Path:
    size = values.shape[-1] + 2 * padding - 2
    nodes = [Node("source", values, kind="input"), Node("target", np.zeros((1, 1, 2, size, size), np.uint8))]
    edges = [Edge("source", "target", np.ones((2, 1, 3, 3)), padding=padding)]
    return write_activity(folder / "activity.h5", nodes, edges)


def test_the_formula_is_exact_where_every_neuron_reaches_as_many(tmp_path: Path) -> None:
    nodes = [
        Node("source", np.eye(6, dtype=np.uint8)[None], kind="input"),
        Node("target", kind="readout", value_class="integer", shape=(3,)),
    ]
    run = read_activity(write_activity(tmp_path / "activity.h5", nodes, [Edge("source", "target", np.ones((3, 6)))]))
    assert paper_formula(run, count(run)).accumulates_error_percent == pytest.approx(0.0, abs=1e-12)


def test_the_formula_is_wrong_at_borders(tmp_path: Path) -> None:
    corner = np.zeros((1, 1, 1, 3, 3), np.uint8)
    corner[..., 0, 0] = 1
    run = read_activity(padded(tmp_path, corner, padding=1))
    paper = paper_formula(run, count(run))
    assert paper.exact_accumulates_pj == pytest.approx(8 * 0.9)
    assert paper.formula_accumulates_pj == pytest.approx(18 * 9 / 9 * 0.9)  # 1/9 of 162 dense multiplications
    assert paper.accumulates_error_percent == pytest.approx(125.0)
    assert paper.worst_edge == ("source → target", pytest.approx(125.0))


def test_the_formula_charges_the_encoder_one_step(tmp_path: Path) -> None:
    nodes = [
        Node("image", np.ones((1, 4, 5), int), kind="input", value_class="real"),
        Node("target", kind="readout", value_class="integer", shape=(3,)),
    ]
    run = read_activity(write_activity(tmp_path / "activity.h5", nodes, [Edge("image", "target", np.ones((3, 5)))]))
    paper = paper_formula(run, count(run))
    assert paper.formula_pj == pytest.approx(15 * 4.6)
    assert paper.exact_pj == pytest.approx(4 * 15 * 4.6)
    assert paper.accumulates_error_percent is None
