"""The emulator's benchmark: how simulators are asked, what becomes of one that fails, fits, figures and the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.emulator.asked import NoAnswer, Simulator
from benchmarks.emulator.beside_simulators import overlap
from benchmarks.emulator.cost import line
from benchmarks.emulator.keys import top
from benchmarks.emulator.networks import as_task, chain, conv, spikes
from benchmarks.emulator.page import write_page
from benchmarks.emulator.turns import in_turns
from benchmarks.simulators.serving import Layer, Task
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Conv2d, Dense

# A simulator in floating point, as plain as can be.
PLAIN = """
import numpy as np
from benchmarks.simulators.serving import Peer, one_dense_sample, serve

def build(task):
    matrices = one_dense_sample(task)
    def run():
        print("what a simulator says is no answer")
        sent = task.input[0].reshape(task.input.shape[1], -1).astype(float)
        for layer, matrix in zip(task.layers, matrices):
            v, out = np.zeros(len(matrix)), []
            for now in sent:
                v = layer.kept * v + matrix @ now
                fired = v > layer.threshold
                v[fired] = 0
                out.append(fired)
            sent = np.array(out, float)
        return sent
    return Peer(run, lambda sent: sent[None])

serve(build, "numpy", "nothing is rounded")
"""


def chained(operator, shape, threshold=100):
    return chain(shape, [(operator, threshold)], np.random.default_rng(0))


def test_a_simulator_is_asked_in_lines_and_gives_what_the_emulator_gives():
    net = chained(Dense(np.zeros((8, 6), np.int32)), (6,))
    inputs = spikes(net, 1, 20, 0.3)
    with Simulator([sys.executable, "-c", PLAIN]) as simulator:
        simulator.introduced()
        sent, seconds = simulator.given(as_task(net, inputs))
        assert seconds > 0 and simulator.run() > 0
    assert (simulator.version, simulator.differs) == (np.__version__, "nothing is rounded")
    ours = emulator.run(net, inputs).values[net.outputs[0]]
    assert ours.any() and overlap(ours, sent) > 0.9


def test_a_simulator_that_refuses_a_network_goes_on_with_the_next():
    kernel = Conv2d(np.zeros((2, 1, 3, 3), np.int32), (1, 4, 4), padding=(1, 1))
    maps, flat = chained(kernel, (1, 4, 4)), chained(Dense(np.zeros((8, 6), np.int32)), (6,))
    with Simulator([sys.executable, "-c", PLAIN]) as simulator:
        simulator.introduced()
        with pytest.raises(NoAnswer, match="convolutions would be written out"):
            simulator.given(as_task(maps, spikes(maps, 1, 4, 0.3)))
        with pytest.raises(NoAnswer, match="one sample at a time"):
            simulator.given(as_task(flat, spikes(flat, 2, 4, 0.3)))
        assert simulator.given(as_task(flat, spikes(flat, 1, 4, 0.3)))[0].shape == (1, 4, 8)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import no_such_simulator", "ModuleNotFoundError: No module named 'no_such_simulator'"),
        ("raise SystemExit(3)", "it ended with exit code 3"),
    ],
)
def test_one_that_cannot_start_says_why(program, said):
    with Simulator([sys.executable, "-c", program]) as simulator, pytest.raises(NoAnswer, match=said):
        simulator.introduced()


def test_one_that_dies_of_a_network_says_so():
    dying = PLAIN.replace("matrices = one_dense_sample(task)", "import os; os._exit(7)")
    task = Task([Layer(np.ones((2, 3)), (0, 0), 1024, 5)], np.zeros((1, 2, 3), np.uint8))
    with Simulator([sys.executable, "-c", dying]) as simulator:
        simulator.introduced()
        with pytest.raises(NoAnswer, match="exit code 7"):
            simulator.given(task)


def test_a_network_survives_its_file(tmp_path):
    net = conv(8)
    task = as_task(net, spikes(net, 2, 3, 0.2))
    task.save(tmp_path / "n.npz")
    read = Task.load(str(tmp_path / "n.npz"))
    assert (read.input == task.input).all() and read.input.any()
    for ours, theirs in zip(task.layers, read.layers, strict=True):
        assert (ours.weight == theirs.weight).all()
        assert (ours.padding, ours.decay, ours.threshold) == (theirs.padding, theirs.decay, theirs.threshold)
    assert [layer.padding for layer in read.layers] == [(1, 1), (1, 1), (0, 0)]


def test_contestants_take_turns_and_the_first_round_is_no_figure():
    order = []

    def contestant(name):
        return lambda: order.append(name) or float(len(order))

    found = in_turns({name: contestant(name) for name in "ab"}, 2)
    assert order == ["a", "b"] * 3 and found == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_a_line_is_fitted_and_its_fit_said():
    assert line([1, 2, 3], [5, 7, 9]) == pytest.approx((2, 3, 1))
    slope, _, r2 = line([0, 1, 2, 3], [0, 1, 0, 1])
    assert (slope, r2) == pytest.approx((0.2, 0.2))
    assert overlap(np.array([1, 1, 0]), np.array([1, 0, 0])) == 0.5


ROWS = [
    {
        "kind": "simulator", "network": "dense", "batch": 1, "steps": 100, "events": 2_000_000, "rates": {"x": 0.05},
        "simulator": "spikingjelly", "version": "1", "differs": "floating point", "output_spikes": 3, "overlap": 0.9,
        "seconds": 0.02, "seconds_emulator": 0.002, "ratio": 10.0, "runs": 5,
    },
    {
        "kind": "simulator", "network": "dense", "batch": 1, "steps": 100, "events": 2_000_000, "rates": {"x": 0.05},
        "simulator": "absent", "version": "", "differs": "", "refused": "no a|b",
    },
    {
        "kind": "lava", "network": "conv", "graph": "stock", "steps": 100, "runs": 5, "ratio_whole_run": 1500.0,
        "seconds_whole_run": {"emulator": 0.01, "lava": 15.0}, "seconds_a_step": {"emulator": 1e-4, "lava": 0.12},
        "ratio_by_step": 1200.0, "values_equal_to_lava": 1000,
    },
    {
        "kind": "cost", "network": "dense", "axis": "batch", "against": "batch", "runs": 5, "seconds_per_unit": 1.0,
        "seconds_at_0": 0.0, "r2": 1.0, "points": [{"batch": n, "events": n, "seconds": float(n)} for n in (1, 2, 4)],
    },
]  # fmt: skip


def test_the_top_of_the_results_holds_the_figures_of_rows_that_are_there():
    assert top(ROWS) == {
        "ratio_lava_conv": 1500.0,
        "ratio_spikingjelly_dense": 10.0,
        "identity_checks": [{"network": "conv", "graph": "stock", "values_equal_to_lava": 1000}],
    }


def test_the_page_has_each_row_and_the_plots(tmp_path):
    results, page = tmp_path / "r.json", tmp_path / "speed.md"
    results.write_text(json.dumps({"machine": "m", "git_revision": "g", "rows": ROWS}))
    write_page(results, page)
    text = page.read_text()
    assert "| spikingjelly 1 | 20.0 | 2.00 | 10.0 | 0.900 | floating point |" in text
    assert "| absent | – | – | – | – | not run: no a/b |" in text
    assert "| conv, 100 steps | stock | 1,000 | 15.0 | 10.0 | 1,500 | 120.00 | 1,200 |" in text
    assert "(speed.svg)" in text and Path(tmp_path, "speed.svg").read_text().startswith("<?xml")
