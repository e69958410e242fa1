"""Artefacts appear whole or not at all, and nothing of the user's is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snnergy.artefacts import files
from snnergy.artefacts.errors import OutputRefused, UserError
from snnergy.artefacts.files import refuse_overwrite, written_whole

EXCHANGES = pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-steps"])

# Replaces the folder `report` in a child that stops itself at its n-th line of files.py, for n = 1, 2, …, until one
# gets to the end; a child a line, each with a folder of its own. Prints how each folder looks afterwards.
KILLED_AT_EACH_LINE = """
import json, os, shutil, signal, sys
from pathlib import Path
from snnergy.artefacts import files

root, exchange = Path(sys.argv[1]), sys.argv[2] == "True"
if not exchange:
    files._exchange = lambda one, other: False

def replace(folder, die_at):
    lines = 0
    def trace(frame, event, argument):
        nonlocal lines
        if frame.f_code.co_filename != files.__file__:
            return None
        if event == "line":
            lines += 1
            if lines == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    with files.written_whole(folder / "report", force=True) as scratch:
        scratch.mkdir()
        (scratch / "a").write_text("new")
        (scratch / "b").write_text("new")

found, code, line = [], None, 0
while code != 0:
    line += 1
    folder = root / str(line)
    (folder / "report").mkdir(parents=True)
    for name in "ab":
        (folder / "report" / name).write_text("old")
    child = os.fork()
    if child == 0:
        replace(folder, line)
        os._exit(0)
    code = os.waitpid(child, 0)[1]
    found.append({str(p.relative_to(folder)): p.read_text() for p in folder.rglob("?")})
print(json.dumps(found))
"""


def whole(found: dict[str, str], folder: str) -> bool:
    """Whether the old or the new report lies in `folder`, and all of it."""
    return {found.get(f"{folder}/a"), found.get(f"{folder}/b")} in ({"old"}, {"new"})


def write_report(folder: Path, text: str) -> None:
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(text)


def texts(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.iterdir())]


@pytest.fixture
def no_exchange(monkeypatch):
    """A system that cannot exchange two folders in one step."""
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with written_whole(path) as scratch:
        scratch.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_nothing_and_keeps_the_old(tmp_path):
    with pytest.raises(RuntimeError), written_whole(tmp_path / "new" / "a.txt") as scratch:
        scratch.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / "a.txt"
    old.write_text("old")
    with pytest.raises(RuntimeError), written_whole(old, force=True) as scratch:
        scratch.write_text("half")
        raise RuntimeError
    assert old.read_text() == "old"


def test_the_first_error_is_told_where_cleaning_up_fails_too(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with pytest.raises(RuntimeError, match="the first"), written_whole(path):
        (path.parent / "of somebody else").touch()
        raise RuntimeError("the first")
    assert [p.name for p in path.parent.iterdir()] == ["of somebody else"]


def test_a_folder_is_replaced_by_a_folder_only(tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "stale").write_text("")
    with pytest.raises(OutputRefused, match="exists already"), written_whole(folder):
        pass
    with pytest.raises(OutputRefused, match="is a folder"), written_whole(folder, force=True) as scratch:
        scratch.write_text("a file")
    assert (folder / "stale").exists()
    with written_whole(folder, force=True) as scratch:
        scratch.mkdir()
        (scratch / "fresh").write_text("")
    assert [p.name for p in folder.iterdir()] == ["fresh"]
    file = folder / "fresh"
    with pytest.raises(OutputRefused, match="is a file"), written_whole(file, force=True) as scratch:
        scratch.mkdir()
    assert file.read_text() == ""


@EXCHANGES
@pytest.mark.parametrize("name", ["report", "replaced", "report.old", "old"])
def test_a_folder_of_any_name_is_replaced_and_nothing_else_is_left(tmp_path, monkeypatch, exchange, name):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    write_report(tmp_path / name, "old")
    with written_whole(tmp_path / name, force=True) as scratch:
        write_report(scratch, "new")
    assert texts(tmp_path / name) == ["new", "new"]
    assert [p.name for p in tmp_path.iterdir()] == [name]


@EXCHANGES
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new_folder(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    outcomes = []
    while True:
        folder = tmp_path / str(len(outcomes)) / "report"
        folder.parent.mkdir()
        write_report(folder, "old")
        try:
            interrupted_at(len(outcomes) + 1, folder)
        except KeyboardInterrupt:
            outcomes.append(texts(folder))
        else:
            break
    assert all(outcome in (["old", "old"], ["new", "new"]) for outcome in outcomes)
    assert len(outcomes) > 20 and ["new", "new"] in outcomes


def interrupted_at(line: int, folder: Path) -> None:
    """Replace `folder`, with a KeyboardInterrupt before the `line`-th line of files.py."""
    lines = 0

    def trace(frame, event, _argument):
        nonlocal lines
        if frame.f_code.co_filename != files.__file__:
            return None
        lines += event == "line"
        if lines == line and event == "line":
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with written_whole(folder, force=True) as scratch:
            write_report(scratch, "new")
    finally:
        sys.settrace(before)


@EXCHANGES
def test_a_kill_at_any_line_leaves_the_old_or_the_new_folder(tmp_path, exchange):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_LINE, str(tmp_path), str(exchange)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    outcomes = json.loads(done.stdout)
    assert len(outcomes) > 20
    assert outcomes[-1] == {"report/a": "new", "report/b": "new"}
    if exchange:
        assert all(whole(found, "report") for found in outcomes)
        return
    homeless = [found for found in outcomes if not whole(found, "report")]
    assert len(homeless) == 1  # between the two steps; both lie beside it
    (hidden,) = {path.split("/")[0] for path in homeless[0]}
    assert whole(homeless[0], f"{hidden}/report") and whole(homeless[0], f"{hidden}/report.old")


@pytest.mark.parametrize("failing", [1, 2])
def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch, no_exchange, failing):
    write_report(tmp_path / "report", "old")
    calls, rename = [], os.rename

    def fail_once(source, target):
        calls.append(source)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(files.os, "rename", fail_once)
    with pytest.raises(OutputRefused, match="cannot be written"), written_whole(tmp_path / "report", force=True) as new:
        write_report(new, "new")
    assert texts(tmp_path / "report") == ["old", "old"]
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_folder_that_cannot_be_put_back_is_not_deleted(tmp_path, monkeypatch, no_exchange):
    write_report(tmp_path / "report", "old")
    rename = os.rename

    def fail_after_the_first(source, target):
        if (tmp_path / "report").exists():
            rename(source, target)
        else:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "rename", fail_after_the_first)
    with pytest.raises(OutputRefused, match="cannot be written"), written_whole(tmp_path / "report", force=True) as new:
        write_report(new, "new")
    (hidden,) = tmp_path.iterdir()
    assert texts(hidden / "report.old") == ["old", "old"]


def test_the_working_directory_is_never_replaced(tmp_path, monkeypatch):
    inside = tmp_path / "work" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for path in (inside, tmp_path / "work"):
        with pytest.raises(OutputRefused, match="working directory") as caught:
            refuse_overwrite(path, force=True)
        assert not caught.value.replaceable


def test_a_refusal_tells_python_what_the_command_line_says_in_options(tmp_path):
    path = tmp_path / "a.txt"
    path.touch()
    with pytest.raises(UserError) as caught:
        refuse_overwrite(path, force=False)
    assert caught.value.violations == (f"{path}: exists already; force=True replaces it, or write to another path",)
    assert caught.value.fact == f"{path}: exists already" and caught.value.replaceable
    assert str(OutputRefused("m.nir: is the input")) == "m.nir: is the input; write to another path"
