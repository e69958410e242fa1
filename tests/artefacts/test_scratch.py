"""Whenever a writer is stopped, and however many there are, the old or the new output stands whole under its name."""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from snnergy.artefacts import files, scratch
from snnergy.artefacts.errors import OutputRefused
from snnergy.artefacts.files import written_whole
from tests.artefacts.outputs import EXCHANGES, NEW, OLD, texts, write_report, write_text

TOP = Path(__file__).parents[2]
VISITS = 1  # of each line, at which a writer is stopped; more make the tests longer, not sharper

# Replaces the folder `report` in a child that stops itself at its n-th line of files.py and scratch.py, for n = 1, 2, …
# until one gets to the end; a child a line, each with a folder of its own. Prints for each how the folder looks
# afterwards, and how it looks once a second writer came, who was refused because there is a report.
KILLED_AT_EACH_LINE = """
import collections, json, os, signal, sys
from pathlib import Path
from snnergy.artefacts import files, scratch
from snnergy.artefacts.errors import OutputRefused

root, exchange, most = Path(sys.argv[1]), sys.argv[2] == "True", int(sys.argv[3])
os.fsync = lambda handle: None  # its time is not of interest here
if not exchange:
    scratch._exchange = lambda one, other: False

def write(folder, text, force):
    with files.written_whole(folder / "report", force=force, folder=files.FolderOf("write reports")) as new:
        for name in "ab":
            (new / name).write_text(text)

def replace(folder, die_at):
    lines, visits = 0, collections.Counter()
    def trace(frame, event, argument):
        nonlocal lines
        if frame.f_code.co_filename not in (files.__file__, scratch.__file__):
            return None
        if event == "line":
            here = frame.f_code.co_filename, frame.f_lineno
            visits[here] += 1
            lines += visits[here] <= most
            if lines == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    write(folder, "new", True)

def look(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}

found, code, line = [], None, 0
while code != 0:
    line += 1
    folder = root / str(line)
    write(folder, "old", False)
    child = os.fork()
    if child == 0:
        replace(folder, line)
        os._exit(0)
    code = os.waitpid(child, 0)[1]
    killed = look(folder)
    try:
        write(folder, "second", False)
    except OutputRefused:
        found.append([killed, look(folder), os.listdir(folder)])
print(json.dumps([line, found]))
"""


def whole(found: dict[str, str], folder: str) -> bool:
    """Whether the old or the new report lies in `folder`, and all of it."""
    return {found.get(f"{folder}/a"), found.get(f"{folder}/b")} in ({"old"}, {"new"})


@pytest.fixture
def no_exchange(monkeypatch):
    """A system that cannot exchange two folders in one step."""
    monkeypatch.setattr(scratch, "_exchange", lambda one, other: False)


@EXCHANGES
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new_folder(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(scratch, "_exchange", lambda one, other: False)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # its time is not of interest here
    outcomes = []
    while True:
        folder = tmp_path / str(len(outcomes)) / "report"
        write_report(folder, "old")
        with suppress(KeyboardInterrupt):
            interrupted_at(len(outcomes) + 1, folder)
            break
        outcomes.append(texts(folder))
        write_report(folder, "second", force=True)
        assert [p.name for p in folder.parent.iterdir()] == ["report"]
    assert all(outcome in (OLD, NEW) for outcome in outcomes)
    assert len(outcomes) > 100 and NEW in outcomes


def interrupted_at(line: int, folder: Path) -> None:
    """Replace `folder`, with a KeyboardInterrupt before the `line`-th line of files.py and scratch.py."""
    lines, visits = 0, Counter()

    def trace(frame, event, _argument):
        nonlocal lines
        if frame.f_code.co_filename not in (files.__file__, scratch.__file__) or frame.f_code.co_name == "__del__":
            return None
        if event == "line":
            here = frame.f_code.co_filename, frame.f_lineno
            visits[here] += 1
            lines += visits[here] <= VISITS
            if lines == line and visits[here] <= VISITS:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        write_report(folder, "new", force=True)
    finally:
        sys.settrace(before)


@EXCHANGES
def test_a_kill_at_any_line_leaves_the_old_or_the_new_folder(tmp_path, exchange):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_LINE, str(tmp_path), str(exchange), str(VISITS)],
        capture_output=True, text=True, check=True, cwd=TOP,
    )  # fmt: skip
    lines, outcomes = json.loads(done.stdout)
    assert lines == len(outcomes) > 100  # a report is there whenever the second writer comes
    for _, second, names in outcomes:
        assert whole(second, "report") and names == ["report"]
    killed = [killed for killed, _, _ in outcomes]
    assert killed[-1]["report/a"] == "new"
    homeless = [found for found in killed if not whole(found, "report")]
    assert len(homeless) == (0 if exchange else 1)  # between the two steps; both lie beside it
    for found in homeless:
        (hidden,) = {path.split("/")[0] for path in found}
        assert whole(found, f"{hidden}/report") and whole(found, f"{hidden}/.snnergy-scratch.old")


@pytest.mark.parametrize("failing", [1, 2])
def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch, no_exchange, failing):
    write_report(tmp_path / "report", "old")
    calls, rename = [], os.rename

    def fail_once(source, target):
        calls.append(source)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(scratch.os, "rename", fail_once)
    with pytest.raises(OutputRefused, match="cannot be written"):
        write_report(tmp_path / "report", "new", force=True)
    assert texts(tmp_path / "report") == OLD
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_folder_that_cannot_be_put_back_is_put_back_by_the_next_writer(tmp_path, monkeypatch, no_exchange):
    write_report(tmp_path / "report", "old")
    rename = os.rename

    def fail_after_the_first(source, target):
        if (tmp_path / "report").exists():
            rename(source, target)
        else:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(scratch.os, "rename", fail_after_the_first)
        with pytest.raises(OutputRefused, match="cannot be written"):
            write_report(tmp_path / "report", "new", force=True)
    (hidden,) = tmp_path.iterdir()
    assert texts(hidden / ".snnergy-scratch.old") == OLD
    with pytest.raises(OutputRefused, match="exists already"):
        write_report(tmp_path / "report", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["report"] and texts(tmp_path / "report") == OLD


def test_scratch_of_a_writer_at_work_and_of_somebody_else_stays(tmp_path):
    path = tmp_path / "a.txt"
    foreign = [tmp_path / f".a.txt.{number}.snnergy" for number in (0, 1)]
    foreign[0].mkdir()
    (foreign[0] / "mine").write_text("mine")
    foreign[1].symlink_to(foreign[0])
    with written_whole(path, force=True) as first:
        first.write_text("first")
        write_text(path, "second", force=True)
        assert path.read_text() == "second" and first.read_text() == "first"
    assert path.read_text() == "first"  # the last one to end
    assert (foreign[0] / "mine").read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == [*foreign, path]


def test_writers_at_once_do_not_mix(tmp_path):
    """Many processes write one folder, one after the other and at once, and every look finds one of them, whole."""
    report, rounds = tmp_path / "report", 25
    write_report(report, "0")
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            try:
                for _ in range(rounds):
                    write_report(report, str(number), force=True)
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(child)
    while children:
        assert report.is_dir()
        handle = os.open(report, os.O_RDONLY)  # of one folder, whatever takes its name meanwhile
        try:
            seen = {Path(f"/proc/self/fd/{handle}/{name}").read_text() for name in "ab"}
        except FileNotFoundError:  # replaced and deleted since
            seen = {""}
        os.close(handle)
        assert len(seen) == 1
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended:
            assert status == 0
            children.remove(ended)
    assert [p.name for p in tmp_path.iterdir()] == ["report"] and len(set(texts(report))) == 1
