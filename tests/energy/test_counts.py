"""A run that keeps counts alone: the same report, number for number, no spike trains, and memory of a few layers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnergy.artefacts.activity import Recorded
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.records import Records
from snnergy.artefacts.types import IntArray
from snnergy.energy import LedgerMismatch, energy, read_activity
from snnergy.energy.report.tables import write_energy_csv, write_json, write_rates_csv
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.counting import counted, counted_only
from snnergy.neuromorphic.emulator import needed
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.loops import last_used
from snnergy.neuromorphic.simulation.backends import Emulator
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic import nets

SAMPLES, STEPS = 5, 6


def chain(side: int = 6, maps: int = 4, depth: int = 4, output: str = "last") -> QuantNet:
    """Convolutions of one width, one behind the other, and a readout; `output` predicts."""
    rng = np.random.default_rng(3)
    populations, synapses, source, channels = [], [], "x", 2
    for index in range(depth):
        name, shape = f"c{index}", (maps, side, side)
        populations.append(QuantPopulation(name, shape, 4096, 1000, 90, np.zeros(1, np.int32), True, 1.0, index + 1))
        weight = rng.integers(-99, 127, (maps, channels, 3, 3)).astype(np.int32)
        synapses.append(QuantSynapse(source, name, Conv2d(weight, (channels, side, side), padding=(1, 1))))
        source, channels = name, maps
    weight = rng.integers(-9, 9, (3, maps * side * side)).astype(np.int32)
    last = QuantPopulation("last", (3,), 4096, 0, 131071, np.zeros(1, np.int32), False, 1.0, depth + 1)
    return QuantNet(
        (InputPort("x", (2, side, side), "binary"),), (*populations, last),
        (*synapses, QuantSynapse(source, "last", Dense(weight))), (output,),
    )  # fmt: skip


def recurrent(seed: int) -> QuantNet:
    """A loop of two populations, and one that feeds itself, of which nothing leads on."""
    net, rng = chain(), np.random.default_rng(seed)
    size = net.population("c1").size

    def back(source: str, target: str, delay: int) -> QuantSynapse:
        weight = (rng.integers(-9, 9, (size, size)) * (rng.random((size, size)) < 0.1)).astype(np.int32)
        return QuantSynapse(source, target, Dense(weight), delay=delay, balance=-1)

    aside = replace(net.population("c1"), name="aside")
    loops = (back("c2", "c1", 2), back("c0", "aside", 1), back("aside", "aside", 1))
    return replace(net, populations=(*net.populations, aside), synapses=(*net.synapses, *loops))


NETWORKS: dict[str, Callable[[], QuantNet]] = {
    "chain of convolutions": chain,
    "spikes that predict": lambda: chain(output="c2"),
    "recurrent": lambda: recurrent(0),
    "several inputs, graded, delays": lambda: nets.random_net(1),
    "several spikes a step": lambda: nets.programmed_net(2),
    "sparse": lambda: nets.sparse_net(0),
    "one stream": lambda: replace(nets.random_net(3), reset=False),
}


def data(net: QuantNet, samples: int = SAMPLES, *, static: bool = False) -> dict[str, Any]:
    inputs = nets.random_inputs(net, samples, STEPS)
    if static:
        inputs = {name: np.repeat(array[:, :1], STEPS, axis=1) for name, array in inputs.items()}
    return {port.name: inputs[port.name] * port.scale for port in net.inputs}


@dataclass(frozen=True)
class Full(Emulator):
    """A simulator that records everything, whatever is wanted."""

    def run(self, net: QuantNet, inputs: Mapping[str, IntArray], **options: Any) -> Records:
        return super().run(net, inputs, **{**options, "record": "full"})


def report_files(run: Recorded | Path, folder: Path) -> dict[str, bytes]:
    """The numbers of a report."""
    folder.mkdir()
    report = energy(run)
    write_json(report, folder / "energy.json")
    write_energy_csv(report, folder / "energy.csv")
    write_rates_csv(report, folder / "firing_rates.csv")
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_report_is_that_of_all_spikes_number_for_number(tmp_path: Path, name: str) -> None:
    net = NETWORKS[name]()
    x, labels = data(net, static=name == "sparse"), np.arange(SAMPLES) % 3
    full = simulate(net, x, labels=labels)
    expected = report_files(full, tmp_path / "full")
    assert any(row["spikes"] for row in full.rows() if row["kind"] == "neuron")
    for backend in (Emulator(), Emulator(engine="torch"), Full()):
        run = simulate(net, x, labels=labels, record="counts", backend=backend)
        np.testing.assert_array_equal(run.logits, full.logits)
        assert (run.rows(), run.overflows, run.accuracy) == (full.rows(), full.overflows, full.accuracy)
        assert report_files(run, tmp_path / repr(backend)) == expected


def test_no_spike_train_is_in_the_file(tmp_path: Path) -> None:
    net = NETWORKS["several spikes a step"]()
    run = simulate(net, data(net), record="counts", output=tmp_path / "a.h5")
    activity = run.activity
    with h5py.File(run.path) as file:
        assert file.attrs["recording"] == "counts"
        names: list[str] = []
        file["nodes"].visit(names.append)
        assert {name.split("/")[1] for name in names if "/" in name} == {"events"}
    assert list(run.spikes) == list(run.u) == []
    refusal = r"recorded with record = 'counts', so it holds no spike trains; record it again with 'full'"
    for look in (lambda: run.spikes["p0"], lambda: run.v["out"], lambda: list(activity.stream(activity.nodes[0]))):
        with pytest.raises(UserError, match=refusal):
            look()
    with pytest.raises(UserError, match="no node 'nowhere'"):
        run.spikes["nowhere"]


def test_states_and_counts_are_not_asked_for_together() -> None:
    net = chain()
    with pytest.raises(UserError, match="record 'counts': keeps neither u nor v, which record_state asks for"):
        simulate(net, data(net), record="counts", record_state=True)
    with pytest.raises(UserError, match="record 'some': is not known; there are full, counts"):
        simulate(net, data(net), record="some")  # type: ignore[arg-type]


def test_what_the_class_of_a_node_rules_out_is_refused_before_it_is_counted() -> None:
    class Loud(Full):
        def run(self, net: QuantNet, inputs: Mapping[str, IntArray], **options: Any) -> Records:
            records = super().run(net, inputs, **options)
            return replace(records, values={**records.values, "c1": 2 * records.values["c1"]})

    net = chain()
    with pytest.raises(UserError, match=r"/nodes/c1: value 2 in a node of class 'binary'"):
        simulate(net, data(net), record="counts", backend=Loud())


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    net = NETWORKS["several inputs, graded, delays"]()
    simulate(net, data(net), record="counts", output=tmp_path / "activity.h5")
    return tmp_path / "activity.h5"


def test_counts_that_the_simulator_did_not_deliver_are_found(recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        file["edges/0/events"][1, 2] -= 1
    with pytest.raises(LedgerMismatch, match="sample 1, step 2"):
        energy(recorded)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("nodes/graded/events", 41, "holds 41; must be at most 40"),
        ("nodes/p0/events", -1, "holds the negative number -1"),
        ("edges/0/events", 1 << 40, "must be at most"),
        ("edges/0/events_nonzero", 1 << 40, "must be at most"),
        ("edges/0/delivered", 1 << 60, "must be below 2⁵³"),
    ],
)
def test_impossible_counts_are_refused(recorded: Path, place: str, value: int, message: str) -> None:
    with h5py.File(recorded, "a") as file:
        file[place][0, 0] = value
    with pytest.raises(UserError, match=message):
        read_activity(recorded)


@pytest.mark.parametrize("place", ["nodes/p0/events", "edges/0/events", "edges/0/events_nonzero"])
def test_missing_counts_are_refused(recorded: Path, place: str) -> None:
    with h5py.File(recorded, "a") as file:
        del file[place]
    with pytest.raises(UserError, match=f"{place.rpartition('/')[2]}"):
        read_activity(recorded)


def test_what_is_recorded_is_one_of_two(recorded: Path) -> None:
    with h5py.File(recorded, "a") as file:
        file.attrs["recording"] = "most"
    with pytest.raises(UserError, match="recording: 'most'; must be one of full, counts"):
        read_activity(recorded)


def test_spikes_are_dropped_behind_their_last_target() -> None:
    preds = {"a": ["x"], "b": ["a"], "c": ["b", "x"], "d": ["c", "d"]}
    assert last_used([("a",), ("b",), ("c",), ("d",)], preds) == [
        frozenset(), frozenset("a"), frozenset("bx"), frozenset("cd"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_dropped_or_counted_afterwards_the_records_are_the_same(name: str) -> None:
    net = NETWORKS[name]()
    inputs = nets.random_inputs(net, SAMPLES, STEPS)
    found, expected = emulator.run(net, inputs, record="counts"), counted(net, emulator.run(net, inputs))
    assert found.values.keys() == expected.values.keys()
    assert set(found.sent) == set(expected.sent) == counted_only(net) != set()
    for node, sent in expected.sent.items():
        np.testing.assert_array_equal(found.sent[node].events, sent.events)
        np.testing.assert_array_equal(found.sent[node].weighted, sent.weighted)


def test_counts_take_memory_of_the_widest_layers_not_of_all() -> None:
    shallow, deep = (chain(32, 16, depth) for depth in (4, 40))
    for samples in (1, 64):
        full, counts = (
            [needed(net, samples, 50, record=record) for net in (shallow, deep)] for record in ("full", "counts")
        )
        assert full[1] - full[0] > 0.9 * samples * 36 * 50 * 16 * 32 * 32
        assert counts[1] - counts[0] < 0.1 * (full[1] - full[0]) + (36 << 20)


MEASURE = """
import sys
from pathlib import Path
from snnergy.neuromorphic.emulator import needed, run
from tests.energy.test_counts import chain
from tests.neuromorphic.nets import random_inputs
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
warm = chain(48, 32, 2)
run(warm, random_inputs(warm, 1, 40), record=sys.argv[1], jobs=1)
net, base = chain(48, 32, 24), peak()
run(net, random_inputs(net, 4, 40), record=sys.argv[1], jobs=1)
print(peak() - base, needed(net, 4, 40, record=sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_takes_what_was_told() -> None:
    peaks = {}
    for record in ("full", "counts"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, record], capture_output=True, text=True, check=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        peaks[record], told = map(int, done.stdout.split())
        assert told / 4 < peaks[record] < told
    assert peaks["counts"] < peaks["full"] / 2  # the rest is the network itself, packed
