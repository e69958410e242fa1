"""The Lava backend against the emulator, bit for bit, and its end when something goes wrong."""

import os
import re
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

from snnergy.artefacts.errors import BackendFailed
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.lava import run, runner
from snnergy.neuromorphic.lava.group import members
from snnergy.neuromorphic.lava.job import Job
from snnergy.neuromorphic.lava.schedule import schedule_of
from snnergy.neuromorphic.netx.files import read_netx
from tests.neuromorphic.nets import diagonal_net, random_inputs, random_net
from tests.neuromorphic.stock_files import chain_file

pytestmark = pytest.mark.skipif(find_spec("lava") is None, reason="Lava runs on Python 3.10 only")
TIMEOUT_S = 600  # which only a hang meets, however busy the machine is


def assert_equal_records(net, inputs, **options):
    """Both backends, every population, every step; returns the emulator's records."""
    expected = emulator.run(net, inputs, record_state=True)
    found = run(net, inputs, timeout_s=TIMEOUT_S, **options)
    for field in ("values", "u", "v"):
        ours, theirs = getattr(expected, field), getattr(found, field)
        assert set(ours) == set(theirs)
        for name, array in ours.items():
            assert theirs[name].shape == array.shape
            assert (theirs[name] == array).all(), f"{field} of {name}: {np.count_nonzero(theirs[name] != array)} differ"
    return expected


@pytest.mark.parametrize(("make", "seed"), [(random_net, 0), (random_net, 3), (diagonal_net, 0)])
def test_random_networks_agree_in_every_bit(make, seed):
    net = make(seed)
    finished = []
    expected = assert_equal_records(net, random_inputs(net, samples=5, steps=6), progress=finished.append)
    assert any(expected.values[p.name].any() for p in net.populations if p.spiking)
    assert sum(finished) == 5 and min(finished) > 0


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


class Watch:
    """The process group and the segments of a job, seen while it runs."""

    def __init__(self, monkeypatch):
        self.group = 0
        started = runner.subprocess.Popen

        def remember(*args, **kwargs):
            child = started(*args, **kwargs)
            self.group = child.pid
            return child

        monkeypatch.setattr(runner.subprocess, "Popen", remember)

    def assert_nothing_left(self, segments):
        assert self.group
        assert members(self.group) == []
        assert list(Path("/dev/shm").glob(f"{segments}*")) == []


def prepared(tmp_path, steps):
    net = gates()
    inputs = signed_inputs(net, samples=1, steps=steps)
    job = Job(tmp_path, schedule_of(net, inputs), False, f"t{os.getpid():x}"[-7:] + "_")
    runner.prepare(job, net, inputs)
    return job


def test_an_exception_inside_a_process_comes_back_with_its_traceback(tmp_path, monkeypatch):
    watch, job = Watch(monkeypatch), prepared(tmp_path, steps=20)
    np.save(job.inputs, np.zeros((20, 2), np.int32))  # rows too short for the port that they are sent from
    with pytest.raises(BackendFailed, match=r"Traceback[\s\S]*player\.py[\s\S]*AssertionError"):
        runner.execute(job, timeout_s=TIMEOUT_S)
    watch.assert_nothing_left(job.segments)


def test_an_exception_while_building_comes_back_with_its_traceback(tmp_path, monkeypatch):
    watch, job = Watch(monkeypatch), prepared(tmp_path, steps=20)
    job.net.write_text("not a network")
    with pytest.raises(BackendFailed, match=r"Traceback[\s\S]*not a readable HDF5 file"):
        runner.execute(job, timeout_s=TIMEOUT_S)
    watch.assert_nothing_left(job.segments)


def test_a_run_ends_at_its_time_out(tmp_path, monkeypatch):
    watch, job = Watch(monkeypatch), prepared(tmp_path, steps=100_000)
    begun = time.monotonic()
    with pytest.raises(BackendFailed, match=re.escape("did not finish 100003 steps within 4 s")):
        runner.execute(job, timeout_s=4)
    assert time.monotonic() - begun < 60  # the steps would take minutes
    watch.assert_nothing_left(job.segments)


@pytest.mark.parametrize("victim", ["child", "simulation process"])
def test_a_killed_process_ends_the_run(victim, tmp_path, monkeypatch):
    watch, job = Watch(monkeypatch), prepared(tmp_path, steps=100_000)

    def kill():
        while runner._played(job) < 10:
            time.sleep(0.05)
        others = [pid for pid in members(watch.group) if pid != watch.group]
        os.kill(watch.group if victim == "child" else max(others), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(BackendFailed, match="exit code -9" if victim == "child" else "was killed by signal 9"):
        runner.execute(job, timeout_s=TIMEOUT_S)
    killer.join(10)
    watch.assert_nothing_left(job.segments)


PARENT = """
import sys
from pathlib import Path
from snnergy.neuromorphic.lava.job import Job
from snnergy.neuromorphic.lava.runner import execute
execute(Job.load(Path(sys.argv[1])), timeout_s=600)
"""


def test_a_killed_parent_leaves_nothing_behind(tmp_path):
    job = prepared(tmp_path, steps=100_000)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=Path(__file__).parents[2])
    while runner._played(job) < 10:
        assert parent.poll() is None
        time.sleep(0.05)
    group = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text())
    assert len(members(group)) > 10
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + TIMEOUT_S
    while (members(group) or tmp_path.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(group) == []
    assert list(Path("/dev/shm").glob(f"{job.segments}*")) == []
    assert not tmp_path.exists()
