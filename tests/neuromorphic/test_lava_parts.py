"""What the Lava backend is made of, without Lava: timing, matrices, process groups, and what it refuses."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from snnergy.artefacts.errors import BackendFailed, UserError
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Conv2d, Dense, QuantSynapse
from snnergy.neuromorphic.lava import runner, stretch
from snnergy.neuromorphic.lava.guard import PREFIX, end_group, members, remove, remove_stale
from snnergy.neuromorphic.lava.guarded import Lost
from snnergy.neuromorphic.lava.held_signals import HeldSignals
from snnergy.neuromorphic.lava.job import Job, input_columns
from snnergy.neuromorphic.lava.schedule import Schedule, schedule_of
from snnergy.neuromorphic.lava.synapses import Form, Tap, held_form, matrix_of, taps_of, unrolled_nonzeros
from snnergy.neuromorphic.netx.stock_weights import as_lava_holds
from tests.neuromorphic.nets import random_inputs, random_net
from tests.neuromorphic.reference import weight_matrix

GEOMETRIES = [
    Conv2d(np.ones((4, 2, 3, 3)), (2, 6, 5), padding=(1, 1)),
    Conv2d(np.ones((4, 1, 2, 3)), (4, 7, 5), stride=(2, 1), padding=(0, 2), groups=4),
    Conv2d(np.ones((6, 2, 3, 2)), (4, 8, 8), stride=(3, 2), dilation=(2, 3), groups=2),
    Conv2d(np.ones((3, 1, 4, 4)), (3, 1, 1), padding=(3, 3), groups=3),
    Conv2d(np.ones((12, 1, 1, 1)), (12, 1, 1), groups=12),
    Conv2d(np.ones((1, 1, 1, 1)), (1, 1, 12), groups=1),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("doublings", [0, 1])
def test_a_convolution_unrolls_to_its_matrix(geometry, doublings):
    rng = np.random.default_rng(1)
    operator = replace(geometry, weight=rng.integers(-4, 5, geometry.weight.shape).astype(np.int32))
    matrix = matrix_of(operator, Form(doublings, 8))
    assert matrix.dtype == np.int32
    assert (matrix.toarray() == weight_matrix(QuantSynapse("a", "b", operator)) << doublings).all()
    assert matrix.nnz <= unrolled_nonzeros(operator)


def test_a_delayed_matrix_has_columns_for_each_tap():
    operator = Dense(np.array([[1, 2], [3, 4]], np.int32), np.array([[0, 3], [3, 1]]))
    assert taps_of(QuantSynapse("a", "b", operator, delay=1, balance=2)) == (Tap(3, 1), Tap(4, 2), Tap(6, 4))
    assert matrix_of(operator, Form(0, 8)).toarray().tolist() == [[1, 0, 0, 0, 0, 2], [0, 0, 0, 4, 3, 0]]


@pytest.mark.parametrize(
    ("weights", "form"),
    [
        ([127, -127], Form(1, 8)),
        ([126, -126], Form(0, 8)),
        ([255, 0], Form(0, 8)),
        ([-255, -1], Form(0, 8)),
        ([-256, 254], Form(0, 8)),
        ([-256, 255], Form(0, 9)),
    ],
)
def test_the_form_of_a_weight_holds_it_exactly(weights, form):
    synapse = QuantSynapse("a", "b", Dense(np.array([weights], np.int32)))
    assert held_form(synapse) == form
    held = np.array(weights) << form.doublings
    assert (as_lava_holds(held, 8 - form.bits) == held).all()


@pytest.mark.parametrize("weights", [[256, 0], [-256, 0], [-300, 5]])
def test_a_weight_that_lava_would_change_is_refused(weights):
    with pytest.raises(UserError, match="a → b: weights"):
        held_form(QuantSynapse("a", "b", Dense(np.array([weights], np.int32))))


def test_every_step_of_every_sample_is_handled_within_the_run():
    plan = Schedule(samples=3, steps=4, depth=5, reset=True)
    assert plan.lava_steps == 17
    for depth in range(6):
        starts = [1 + n * 4 + depth for n in range(3)]
        assert all(start % plan.reset_interval == plan.reset_offset(depth) for start in starts)
        assert max(starts) + 3 <= plan.lava_steps
    once = Schedule(samples=1, steps=4, depth=5, reset=False)
    clears = [t for t in range(1, once.lava_steps + 1) if t % once.reset_interval == once.reset_offset(5)]
    assert clears == [6]


def test_a_schedule_refuses_what_cannot_be_streamed():
    net = random_net(0)
    inputs = random_inputs(net, 2, 3)
    assert schedule_of(net, inputs).samples == 2
    with pytest.raises(UserError, match="balance the network"):
        early = replace(net.synapses[-1], balance=net.synapses[-1].balance + 1)
        schedule_of(replace(net, synapses=(*net.synapses[:-1], early)), inputs)
    with pytest.raises(UserError, match="differ"):
        schedule_of(net, {**inputs, "spikes": inputs["spikes"][:, :2]})
    with pytest.raises(UserError, match="0 samples"):
        schedule_of(net, {name: array[:0] for name, array in inputs.items()})


def test_a_job_survives_its_folder(tmp_path):
    job = Job(tmp_path, Schedule(3, 4, 5, True), True, "s01_")
    job.save()
    assert Job.load(tmp_path) == job
    assert input_columns(random_net(0)) == {"graded": slice(0, 40), "spikes": slice(40, 47)}


def test_another_python_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(runner.sys, "version_info", (3, 12, 1))
    net = random_net(0)
    with pytest.raises(UserError, match=r"Python 3\.10 .* this is Python 3\.12; run `uv sync"):
        runner.run(net, random_inputs(net, 1, 2))


def test_a_matrix_larger_than_memory_is_refused(monkeypatch):
    monkeypatch.setattr(runner, "_require_lava", lambda: None)
    monkeypatch.setattr(runner, "_available_bytes", lambda: 1000)
    net = random_net(0)
    with pytest.raises(UserError, match="use the emulator"):
        runner.run(net, random_inputs(net, 1, 2))


class Children:
    """Stands for children whose n-th is lost on sample `lost[n]` of its own, None where it is not."""

    def __init__(self, net, lost):
        self.net, self.lost, self.sizes = net, list(lost), []

    def execute(self, job, guarded, signals, *, timeout_s, report):
        samples, steps, depth = job.schedule.samples, job.schedule.steps, job.schedule.depth
        frames, columns = np.load(job.inputs), input_columns(self.net)
        shapes = {port.name: (samples, steps, *port.shape) for port in self.net.inputs}
        inputs = {name: frames[:, columns[name]].reshape(shape) for name, shape in shapes.items()}
        run = emulator.run(self.net, inputs, record_state=True)
        for index, population in enumerate(self.net.populations):
            for quantity in job.quantities(population):
                table = {"s": run.values, "u": run.u, "v": run.v}[quantity]
                np.load(job.record(index, quantity), "r+")[:] = table[population.name].reshape(samples, steps, -1)
        self.sizes.append(samples)
        on = self.lost.pop(0) if self.lost else None
        if on is None:
            return
        np.load(job.clock, "r+")[0] = (on + 1) * steps + depth  # its last step has begun and may not be over
        for path in job.root.glob("*.[suv].npy"):
            np.load(path, "r+")[on:] = 1
        raise Lost("it died")


@pytest.mark.parametrize(
    ("at_most", "lost", "sizes"),
    [
        (2, [], [2, 2, 1]),
        (256, [2], [5, 1, 2]),
        (2, [1, None, 1], [2, 1, 2, 1, 1]),
        (256, [0], [5, 1, 4]),
        (256, [5], [5]),  # it had finished all that it was to do
    ],
)
def test_however_samples_are_cut_into_children_the_bits_are_the_same(at_most, lost, sizes, monkeypatch):
    net, finished = random_net(3), []
    inputs, children = random_inputs(net, 5, 4), Children(net, lost)
    monkeypatch.setattr(runner, "_require_lava", lambda: None)
    monkeypatch.setattr(runner, "SAMPLES_MAX", at_most)
    monkeypatch.setattr(runner, "execute", children.execute)
    found, expected = runner.run(net, inputs, progress=finished.append), emulator.run(net, inputs, record_state=True)
    assert children.sizes == sizes
    assert sum(finished) == 5 and min(finished) > 0
    for ours, theirs in ((expected.values, found.values), (expected.u, found.u), (expected.v, found.v)):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(array, theirs[name]) for name, array in ours.items())


@pytest.mark.parametrize(
    ("reset", "lost", "said"),
    [
        (True, [1, 0], r"Lava was lost twice on sample 1 \(of 7, from 0\): it died"),
        (False, [0, 0], "of 7 samples: it died"),
    ],
)
def test_a_sample_on_which_two_children_are_lost_is_named(reset, lost, said, monkeypatch):
    net, finished = replace(random_net(3), reset=reset), []
    monkeypatch.setattr(runner, "_require_lava", lambda: None)
    monkeypatch.setattr(runner, "execute", Children(net, lost).execute)
    with pytest.raises(BackendFailed, match=said):
        runner.run(net, random_inputs(net, 7, 4), progress=finished.append)
    assert sum(finished) == lost[0]


@pytest.mark.parametrize(
    ("timeout_s", "steps_at", "allowed"),
    [
        (None, [], 600),
        (None, [(1, 30)], 600),
        (None, [(1, 30), (11, 80)], 100),  # 5 s a step
        (None, [(1, 30), (1001, 31)], 60),
        (9, [], 9),
        (9, [(1, 5), (2, 10)], 9),
    ],
)
def test_silence_is_judged_by_the_speed_so_far(timeout_s, steps_at, allowed, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stretch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    silence, played, since = stretch.Silence(timeout_s), 0, 0.0
    for played, since in steps_at:
        now[0] = since
        silence.heard(played)
    now[0] = since + allowed
    silence.heard(played)
    now[0] += 1
    with pytest.raises(Lost, match=f"no step for {allowed + 1} s, {f'after step {played}' if played else 'before'}"):
        silence.heard(played)


def test_ending_a_group_spares_every_other_process():
    command = [sys.executable, "-c", "import os, time; os.fork(); time.sleep(600)"]
    doomed, spared = (subprocess.Popen(command, start_new_session=True) for _ in range(2))
    try:
        while len(members(doomed.pid)) < 2 or len(members(spared.pid)) < 2:
            time.sleep(0.01)
        end_group(doomed.pid)
        assert members(doomed.pid) == []
        assert len(members(spared.pid)) == 2
    finally:
        for child in (doomed, spared):
            end_group(child.pid)
            child.wait()


def test_removing_a_run_spares_every_other_segment(tmp_path):
    names = [Path("/dev/shm") / name for name in ("stest1_a", "sem.stest1_b", "stest2_a")]
    (tmp_path / "run").mkdir()
    try:
        for name in names:
            name.touch()
        remove(tmp_path / "run", "stest1_")
        assert [name.exists() for name in names] == [False, False, True]
        assert list(tmp_path.iterdir()) == []
    finally:
        names[-1].unlink()


def test_what_a_killed_run_has_left_is_removed_by_the_next_and_a_living_one_is_not(tmp_path):
    dead, living, other = (tmp_path / f"{PREFIX}{token}" for token in ("00dead", "00beef", "notes"))
    segment = Path("/dev/shm/s00dead_x")
    for folder in (dead, living, other):
        folder.mkdir()
        (folder / "file").touch()
    segment.touch()
    held = os.open(living, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        remove_stale(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([living, other])
        assert not segment.exists()
        (dead).mkdir()  # one that another run has made just now, and will lock
        remove_stale(tmp_path)
        assert dead.exists()
    finally:
        os.close(held)


def test_signals_are_held_until_the_block_ends():
    reached = []
    with pytest.raises(KeyboardInterrupt), HeldSignals():
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        reached.append("the end")
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), HeldSignals() as signals:
        signal.raise_signal(signal.SIGINT)
        signals.check()
        pytest.fail("not reached")
