"""The Lava backend against the emulator, bit for bit, and its end when something goes wrong."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.errors import BackendFailed, UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.lava import run, runner, stretch
from snnergy.neuromorphic.lava.guard import members, segments_of
from snnergy.neuromorphic.lava.guarded import Guarded
from snnergy.neuromorphic.lava.held_signals import HeldSignals
from snnergy.neuromorphic.lava.job import Job
from snnergy.neuromorphic.lava.schedule import schedule_of
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.netx.files import read_netx, write_netx
from tests.neuromorphic import recurrent
from tests.neuromorphic.nets import diagonal_net, programmed_net, random_inputs, random_net, sparse_net
from tests.neuromorphic.stock_files import chain_file

pytestmark = pytest.mark.skipif(find_spec("lava") is None, reason="Lava runs on Python 3.10 only")
TIMEOUT_S = 600  # which only a hang meets, however busy the machine is


def assert_equal_records(net, inputs, **options):
    """Both backends, every population, every step; returns the emulator's records."""
    expected = emulator.run(net, inputs, record_state=True)
    found = run(net, inputs, **{"timeout_s": TIMEOUT_S, **options})
    for field in ("values", "u", "v"):
        ours, theirs = getattr(expected, field), getattr(found, field)
        assert set(ours) == set(theirs)
        for name, array in ours.items():
            assert theirs[name].shape == array.shape
            assert (theirs[name] == array).all(), f"{field} of {name}: {np.count_nonzero(theirs[name] != array)} differ"
    return expected


@pytest.mark.parametrize(
    ("make", "seed"),
    [(random_net, 0), (random_net, 3), (diagonal_net, 0), (programmed_net, 0), (programmed_net, 1), (sparse_net, 0)],
)
def test_random_networks_agree_in_every_bit(make, seed):
    net = make(seed)
    finished = []
    expected = assert_equal_records(net, random_inputs(net, samples=5, steps=6), progress=finished.append)
    assert any(expected.values[p.name].any() for p in net.populations if p.spiking)
    assert sum(finished) == 5 and min(finished) > 0


@pytest.mark.parametrize(("seed", "reset"), [(1, True), (5, True), (8, True), (5, False)])
def test_random_loops_agree_in_every_bit_and_leave_nothing_to_the_next_sample(seed, reset):
    net = replace(recurrent.random_net(seed), reset=reset)
    inputs = {"input": np.random.default_rng(seed).integers(0, 16, (4, 7, 2, 3, 2)).astype(np.int32)}
    expected = assert_equal_records(net, inputs)
    assert any(expected.values[p.name].any() for p in net.populations if p.spiking)
    assert all(s.balance < 0 for s in net.synapses if s.delay)


@pytest.mark.parametrize("seed", [0, 4])
def test_random_graphs_of_loops_agree_in_every_bit(seed):
    x = recurrent.samples(seed, count=4)
    net = compile(recurrent.random_graph(seed), calibration=Samples({"input": x})).net
    expected = assert_equal_records(net, {"input": x.astype(np.int32)})
    assert any(expected.values[p.name].any() for p in net.populations if p.spiking)


def population(name, size, depth, **overrides):
    fields = {"du": 4096, "dv": 4096, "vth": 96, "bias": np.zeros(1, np.int32), "spiking": True, "scale": 1.0}
    return QuantPopulation(name, (size,), depth=depth, **{**fields, **overrides})


def gates():
    """a AND b of spikes that come by paths of different length, biased neurons that fire unasked, one pre-delay."""
    rng = np.random.default_rng(5)
    one = np.eye(6, dtype=np.int32) * 64
    wide = np.array([[-256, 255, 3], [7, -129, 201], [0, 1, -1], [99, 0, -250], [-5, 131, 2]], np.int32)
    return QuantNet(
        (*(InputPort(name, (6,), "binary") for name in "ab"), InputPort("g", (3,), "integer", 1.0, 12, True)),
        (
            population("first", 6, 1, vth=32),
            population("and", 6, 2),
            population("free", 4, 1, bias=np.array([3, 40, -7, 25], np.int32), dv=100, vth=60),
            population("late", 5, 3, du=700, dv=300, vth=500),
        ),
        (
            QuantSynapse("a", "first", Dense(one)),
            QuantSynapse("first", "and", Dense(one)),
            QuantSynapse("b", "and", Dense(one), balance=1),
            QuantSynapse("g", "free", Dense(rng.integers(-2, 3, (4, 3)).astype(np.int32)), exponent=-3),
            QuantSynapse("and", "late", Dense(rng.integers(-127, 128, (5, 6)).astype(np.int32)), delay=2),
            QuantSynapse("free", "late", Dense(rng.integers(0, 128, (5, 4)).astype(np.int32)), delay=3, balance=1),
            QuantSynapse("g", "late", Dense(wide, rng.integers(0, 4, (5, 3))), balance=2),
        ),
        ("late",),
    )


def signed_inputs(net, samples, steps):
    inputs = random_inputs(net, samples, steps)
    inputs["g"] = np.random.default_rng(9).integers(-2048, 2048, inputs["g"].shape).astype(np.int32)
    return inputs


def test_gates_delays_and_biases_do_not_leak_between_samples():
    net = gates()
    inputs = signed_inputs(net, samples=6, steps=5)
    expected = assert_equal_records(net, inputs)
    both = inputs["a"] & inputs["b"]
    assert (expected.values["and"] == both).all() and both.any()
    assert expected.values["free"].any() and expected.values["late"].any()


def test_samples_of_one_step():
    net = gates()
    assert_equal_records(net, signed_inputs(net, samples=7, steps=1))


def test_three_samples_of_a_stock_network_are_one_stream(tmp_path):
    chain_file(tmp_path / "m.net").close()
    net, finished = read_netx(tmp_path / "m.net"), []
    assert not net.reset
    inputs = random_inputs(net, samples=3, steps=25)  # the longest delay spans two of them
    expected = assert_equal_records(net, inputs, progress=finished.append)
    cleared = emulator.run(replace(net, reset=True), inputs)
    assert np.array_equal(expected.values["layer3"][0], cleared.values["layer3"][0])
    assert not np.array_equal(expected.values["layer3"], cleared.values["layer3"])
    assert sum(finished) == 3


def test_only_readouts_are_recorded_in_full_unless_asked():
    net = random_net(1)
    records = run(net, random_inputs(net, 2, 3), record_state=False, timeout_s=TIMEOUT_S)
    assert set(records.u) == set(records.v) == {"out"}
    assert "out" not in records.values and "p0" in records.values


def test_an_unrolled_convolution_of_every_kind_agrees():
    rng = np.random.default_rng(2)
    conv = Conv2d(rng.integers(-127, 128, (6, 2, 3, 2)).astype(np.int32), (4, 8, 8), (3, 2), (1, 0), (2, 3), 2)
    wide = QuantPopulation("c", conv.output_shape, 2048, 1000, 400, rng.integers(-9, 30, 6 * 2 * 3), True, 1.0, 1)
    net = QuantNet((InputPort("x", (4, 8, 8), "real", 1.0, 8),), (wide,), (QuantSynapse("x", "c", conv, 2),), ("c",))
    assert_equal_records(net, random_inputs(net, 4, 4))


class Begun:
    """A run of `gates` in a guard's folder, and what is left of it."""

    def __init__(self, steps, temporary):
        net = gates()
        self.net, self.inputs = net, signed_inputs(net, samples=1, steps=steps)
        self.signals, self.guarded = HeldSignals(), Guarded()
        self.guarded.folder = temporary / self.guarded.folder.name
        self.job = Job(self.guarded.folder, schedule_of(net, self.inputs), False, self.guarded.segments)

    def prepare(self):
        stretch.prepare(self.job, self.net, self.inputs)

    def execute(self, timeout_s=TIMEOUT_S):
        stretch.execute(self.job, self.guarded, self.signals, timeout_s=timeout_s)

    def assert_nothing_left(self):
        assert self.guarded.group
        assert members(self.guarded.group) == []
        assert left(self.guarded.segments) == []
        assert list(self.guarded.folder.parent.iterdir()) == []


def left(segments):
    return [path.name for path in Path("/dev/shm").iterdir() if path.name.startswith((segments, f"sem.{segments}"))]


def test_an_exception_inside_a_process_comes_back_with_its_traceback(tmp_path):
    begun = Begun(20, tmp_path)
    with begun.signals, pytest.raises(BackendFailed, match=r"Traceback[\s\S]*player\.py[\s\S]*Error"), begun.guarded:
        begun.prepare()
        np.save(begun.job.inputs, np.zeros((20, 2), np.int32))  # rows too short for the port that they are sent from
        begun.execute()
    begun.assert_nothing_left()


def test_an_exception_while_building_comes_back_with_its_traceback(tmp_path):
    begun = Begun(20, tmp_path)
    with pytest.raises(BackendFailed, match=r"Traceback[\s\S]*not a readable HDF5 file"), begun.guarded:
        begun.prepare()
        begun.job.net.write_text("not a network")
        begun.execute()
    begun.assert_nothing_left()


def test_an_exception_while_processes_start_comes_back_with_its_traceback(tmp_path):
    begun = Begun(20, tmp_path)
    with pytest.raises(BackendFailed, match=r"Traceback[\s\S]*FileNotFoundError.*0\.s\.npy"), begun.guarded:
        begun.prepare()
        begun.job.record(0, "s").unlink()
        begun.execute()
    begun.assert_nothing_left()


def test_a_child_that_never_begins_ends_at_the_time_out(tmp_path):
    begun = Begun(100_000, tmp_path)
    with pytest.raises(BackendFailed, match=r"it made no step for [01] s, before its first"), begun.guarded:
        begun.prepare()
        begun.execute(timeout_s=0.3)
    begun.assert_nothing_left()


def test_a_child_that_stands_still_is_replaced_and_what_it_finished_is_kept(monkeypatch):
    """Also that what three children made gives the bits of one run."""
    net, begun, finished = gates(), [], []
    inputs = signed_inputs(net, samples=4, steps=150)

    def execute(job, guarded, *rest, **options):
        begun.append((job, guarded))
        stretch.execute(job, guarded, *rest, **options)

    def stop():
        while not begun or stretch.finished_of(begun[0][0]) < 1:
            time.sleep(0.005)
        os.kill(max(members(begun[0][1].group)), signal.SIGSTOP)

    monkeypatch.setattr(runner, "execute", execute)
    monkeypatch.setattr(stretch.Silence, "STEPPING_S", 4.0)
    threading.Thread(target=stop, daemon=True).start()
    assert_equal_records(net, inputs, timeout_s=None, progress=finished.append)
    assert [job.schedule.samples for job, _ in begun[:2]] == [4, 1] and len(begun) in (2, 3)
    assert sum(finished) == 4 and min(finished) > 0
    assert all(members(guarded.group) == left(guarded.segments) == [] for _, guarded in begun)


@pytest.mark.parametrize(
    ("victim", "said"),
    [
        ("child", "ended with exit code -9"),
        ("guard", "watches over the Lava simulation was killed"),
        ("simulation process", "was killed by signal 9"),
    ],
)
def test_a_killed_process_ends_the_run(victim, said, tmp_path):
    begun = Begun(100_000, tmp_path)

    def kill():
        while stretch.played_of(begun.job) < 10:
            time.sleep(0.05)
        group = begun.guarded.group
        others = [pid for pid in members(group) if pid != group]
        os.kill({"child": group, "guard": begun.guarded._process.pid}.get(victim, max(others)), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(BackendFailed, match=said), begun.guarded:
        begun.prepare()
        begun.execute()
    killer.join(10)
    begun.assert_nothing_left()


def test_a_process_that_is_killed_while_others_start_ends_the_run(tmp_path):
    begun = Begun(20, tmp_path)

    def kill():
        while not begun.guarded.group or len(members(begun.guarded.group)) < 4:
            time.sleep(0.002)
        os.kill(max(members(begun.guarded.group)), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(BackendFailed, match="was killed by signal 9"), begun.guarded:
        begun.prepare()
        begun.execute()
    killer.join(10)
    begun.assert_nothing_left()


def test_what_the_user_has_lying_about_is_not_imported(tmp_path, monkeypatch):
    here = tmp_path / "here"
    (here / "lava").mkdir(parents=True)
    for name in ("numpy.py", "sitecustomize.py", "usercustomize.py", "lava/__init__.py", "h5py.py", "snnergy.py"):
        (here / name).write_text("open(__file__ + '.ran', 'w')\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(here))
    net = random_net(1)
    assert_equal_records(net, random_inputs(net, 1, 2))
    assert list(here.rglob("*.ran")) == [] and list(here.rglob("*.pyc")) == []


def test_a_full_disk_is_one_line(tmp_path):
    begun = Begun(200_000, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(UserError, match=f"{tmp_path}: Lava's files cannot be written .*set TMPDIR"), begun.guarded:
            begun.prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import sys
from snnergy import entry
sys.exit(entry.main())
"""


@pytest.fixture(scope="module")
def simulation(tmp_path_factory):
    """Arguments of a simulation that would take minutes."""
    folder, net = tmp_path_factory.mktemp("simulation"), random_net(0)
    write_netx(net, folder / "m.net")
    integers = random_inputs(net, 1, 100_000)
    np.savez(folder / "x.npz", **{p.name: (integers[p.name] * p.scale).astype(np.float32) for p in net.inputs})
    return ["simulate", folder / "m.net", "--input", folder / "x.npz", "--backend", "lava", "-o", folder / "a.h5"]


def started(arguments, temporary):
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def played_in(folder):
    return stretch.played_of(Job(folder, None, False, ""))


@pytest.mark.parametrize(
    ("numbers", "played", "code"),
    [
        ((signal.SIGINT, signal.SIGINT), 10, 130),
        ((signal.SIGINT, signal.SIGINT), 0, 130),
        ((signal.SIGTERM,), 10, 143),
        ((signal.SIGKILL,), 10, -9),
    ],
)
def test_a_program_that_is_ended_leaves_nothing_behind(numbers, played, code, simulation, tmp_path):
    with started(simulation, tmp_path) as program:
        try:
            while not (folders := list(tmp_path.iterdir())) or played_in(folders[0]) < played:
                assert program.poll() is None
                time.sleep(0.02)
            for number in numbers:
                os.killpg(program.pid, number)
                time.sleep(0.1)
            said = program.communicate(timeout=TIMEOUT_S)[1]
        finally:
            program.kill()
    (folder,) = folders
    assert program.returncode == code
    assert code < 0 or (said.splitlines()[-1] == "snnergy: interrupted" and "Traceback" not in said)
    deadline = time.monotonic() + TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline:  # the guard outlives a killed program
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []
    assert left(segments_of(folder.name[-6:])) == []
    assert not simulation[-1].exists()
