"""Every writing command on a disk that fails, and killed as its output takes its place: the old or the new, whole."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import snnergy as sn
from snnergy.artefacts import files, scratch
from snnergy.artefacts.samples import read_samples, write_samples
from snnergy.export import write as export_module

LIMITS = 3  # sizes of a file at which the disk is full, for each command; more make the tests longer, not sharper
COMMANDS = ("samples", "export", "compile", "simulate", "run.save", "energy")
each_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture(scope="module")
def writers(tiny):
    """For each command what writes its output as the command does, what it computes having been computed before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # children that are forked have no others
    compiled, recorded, report = sn.compile(tiny.nir), sn.simulate(tiny.net, tiny.samples), sn.energy(tiny.activity)
    samples = read_samples(tiny.samples, {port.name: port.shape for port in compiled.net.inputs})
    yield {
        "samples": lambda folder: write_samples(folder / "s.npz", samples.arrays, force=True),
        "export": lambda folder: export_module.write_graph(tiny.checkpoint, folder / "m.nir", None, True),
        "compile": lambda folder: compiled.save(folder / "m.net", force=True),
        "simulate": lambda folder: sn.simulate(tiny.net, tiny.samples, output=folder / "a.h5", force=True),
        "run.save": lambda folder: recorded.save(folder / "r.h5", force=True),
        "energy": lambda folder: report.save(folder / "report", force=True),
    }
    torch.set_num_threads(threads)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def in_child(step: Callable[[], object]) -> int:
    """How a process of its own ends that takes `step`: 0, 99 after an exception, −signal if one ended it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            step()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def a_disk_of(limit: int) -> Iterator[None]:
    """No file of this process can be longer than `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@each_command
def test_on_a_full_disk_the_old_stays_and_one_line_says_why(writers, tmp_path, command):
    for _ in range(2):  # a run in memory is smaller on disk from the second time on
        writers[command](tmp_path)
    before = contents(tmp_path)
    largest = max(map(len, before.values()))
    for limit in (0, *(largest * number // LIMITS for number in range(1, LIMITS)), largest - 1):
        with pytest.raises(sn.UserError) as caught, a_disk_of(limit):
            writers[command](tmp_path)
        (line,) = caught.value.lines
        assert str(tmp_path) in line and "cannot be written (File too large)" in line
        assert contents(tmp_path) == before
        assert not list(tmp_path.glob(".*.snnergy"))
    with a_disk_of(1 << 30):
        writers[command](tmp_path)


@pytest.mark.parametrize("name", ["m.nir", "m.net", "a.h5", "report"])
def test_the_command_line_ends_with_code_2(cli, tiny, tmp_path, name):
    arguments = {
        "m.nir": ("export", tiny.checkpoint, "--samples", 1),
        "m.net": ("compile", tiny.nir),
        "a.h5": ("simulate", tiny.net, "--input", tiny.samples, "--count", 1),
        "report": ("energy", tiny.activity),
    }[name]
    target = tmp_path / "new" / name
    with a_disk_of(1000):
        outcome = cli(*arguments, "-o", target)
    assert outcome.code == 2, outcome
    assert outcome.err == f"snnergy: {target}: cannot be written (File too large); pass -o with another path\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "simulate"])  # which is slow to fork
def test_a_kill_around_each_rename_leaves_old_or_new_and_the_next_run_cleans_up(writers, tmp_path, command):
    writers[command](tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    put = scratch.put

    def killed(at: int) -> Callable[[], None]:
        def step() -> None:
            passed = 0

            def watched(*arguments) -> None:
                nonlocal passed
                for act in (lambda: None, lambda: put(*arguments)):
                    act()
                    passed += 1
                    if passed == at:
                        os.kill(os.getpid(), signal.SIGKILL)

            files.put = watched
            writers[command](tmp_path)

        return step

    for at in range(1, 2 * len(names) + 1):
        mark(tmp_path)
        before = contents(tmp_path)
        assert in_child(killed(at)) == -signal.SIGKILL
        now = contents(tmp_path)
        changed = [name for name in names if any(now[key] != before[key] for key in before if key.startswith(name))]
        # The report of `compile` takes its place first, then the network.
        order = ["m.fidelity.json", "m.net"] if command == "compile" else names
        assert changed == sorted(order[: at // 2])
        assert len(list(tmp_path.glob(".*.snnergy"))) > 0
        writers[command](tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == names


def mark(folder: Path) -> None:
    """Make every output differ from what the next run writes, without taking it away."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".snnergy":
            path.write_bytes(b"old")
