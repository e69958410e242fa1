"""Artefacts appear whole or not at all, and nothing of the user's is lost."""

import errno
import os
import resource
import socket
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnergy.artefacts import scratch
from snnergy.artefacts.errors import OutputRefused, UserError
from snnergy.artefacts.files import FolderOf, refuse_overwrite, written_whole
from snnergy.artefacts.late_errors import LateErrors
from tests.artefacts.outputs import EXCHANGES, NEW, OLD, REPORT, texts, write_report, write_text


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with written_whole(path) as new:
        new.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_nothing_and_keeps_the_old(tmp_path):
    with pytest.raises(RuntimeError), written_whole(tmp_path / "new" / "a.txt") as new:
        new.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / "a.txt"
    old.write_text("old")
    with pytest.raises(RuntimeError), written_whole(old, force=True) as new:
        new.write_text("half")
        raise RuntimeError
    assert old.read_text() == "old"


def test_the_first_error_is_told_where_cleaning_up_fails_too(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with pytest.raises(RuntimeError, match="the first"), written_whole(path):
        (path.parent / "of somebody else").touch()
        raise RuntimeError("the first")
    assert [p.name for p in path.parent.iterdir()] == ["of somebody else"]


def test_a_folder_is_replaced_by_a_folder_only(tmp_path):
    report, file = tmp_path / "report", tmp_path / "file"
    write_report(report, "old")
    write_text(file, "old")
    with pytest.raises(OutputRefused, match="exists already"):
        write_report(report, "new")
    with pytest.raises(OutputRefused, match="is a folder, and a file"):
        write_text(report, "new", force=True)
    with pytest.raises(OutputRefused, match="is a file, and a folder"):
        write_report(file, "new", force=True)
    assert texts(report) == OLD and file.read_text() == "old"
    with written_whole(report, force=True, folder=REPORT) as new:
        (new / "fresh").write_text("")
    assert sorted(path.name for path in report.iterdir()) == [".snnergy", "fresh"]


@EXCHANGES
@pytest.mark.parametrize("name", ["report", "new", "old", "report.old", ".snnergy", "n" * 255, "ü" * 127, "-f", "a b"])
def test_a_folder_of_any_name_is_replaced_and_nothing_else_is_left(tmp_path, monkeypatch, exchange, name):
    if not exchange:
        monkeypatch.setattr(scratch, "_exchange", lambda one, other: False)
    write_report(tmp_path / name, "old")
    write_report(tmp_path / name, "new", force=True)
    assert texts(tmp_path / name) == NEW
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "name", ["nul\0byte", "\ud800", "n" * 256, "deep/" + "n" * 256, "..", "new/..", ".snnergy-scratch"]
)
@pytest.mark.parametrize("folder", [None, REPORT])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name, folder):
    with pytest.raises(OutputRefused) as caught, written_whole(tmp_path / name, force=True, folder=folder):
        pass
    assert caught.value.fact.isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_several_lines_is_shown_in_one(tmp_path):
    path = tmp_path / "a\nb\udcff"
    write_text(path, "old")
    with pytest.raises(OutputRefused, match=r"a\\nb\\udcff': exists already"):
        refuse_overwrite(path, force=False)


@pytest.mark.parametrize("folder", [None, REPORT], ids=["file", "folder"])
@pytest.mark.parametrize("kind", ["device", "pipe", "socket", "folder", "empty folder", "link", "dangling link"])
def test_nothing_but_files_and_own_folders_is_replaced(tmp_path, kind, folder):
    path = tmp_path / "out"
    if kind == "device":
        path = Path("/dev/null")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))
    elif kind.endswith("folder"):
        path.mkdir()
        if kind == "folder":
            (path / "thesis.tex").write_text("years")
    else:
        write_report(tmp_path / "target", "old")
        path.symlink_to("target" if kind == "link" else "nowhere")
    before = sorted(os.walk(tmp_path)), os.lstat(path).st_ino
    with pytest.raises(OutputRefused) as caught, written_whole(path, force=True, folder=folder):
        pytest.fail("nothing is written to be thrown away")
    assert not caught.value.replaceable and str(path) in caught.value.fact
    assert ("link to" in caught.value.fact) == kind.endswith("link")
    assert (sorted(os.walk(tmp_path)), os.lstat(path).st_ino) == before


MARKS = {
    "none": None,
    "empty": "",
    "cut": "[",
    "no fields": "{}",
    "another's": '{"command": "write books", "entries": ["a", "b"]}',
    "deep": "[" * 100000,
}


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_a_folder_without_the_mark_of_its_command_is_kept(tmp_path, mark):
    write_report(tmp_path / "report", "old")
    (tmp_path / "report" / ".snnergy").unlink()
    if mark is not None:
        (tmp_path / "report" / ".snnergy").write_text(mark)
    with pytest.raises(OutputRefused, match="write reports did not write"):
        write_report(tmp_path / "report", "new", force=True)
    assert texts(tmp_path / "report") == OLD


@pytest.mark.parametrize("when", ["before", "while it is written"])
def test_a_folder_that_somebody_put_a_file_into_is_kept(tmp_path, when):
    report = tmp_path / "report"
    with written_whole(report, folder=FolderOf("write reports", ("later",))) as new:
        (new / "plots").mkdir()
        (new / "plots" / "a.svg").write_text("old")
    (report / "later").mkdir()
    (report / "later" / "any").write_text("of the command itself")
    with pytest.raises(OutputRefused, match=r"holds plots/notes.txt, which"):
        if when == "before":
            (report / "plots" / "notes.txt").write_text("mine")
        with written_whole(report, force=True, folder=REPORT):
            assert when != "before"
            (report / "plots" / "notes.txt").write_text("mine")
    assert (report / "plots" / "notes.txt").read_text() == "mine" and (report / "plots" / "a.svg").exists()
    (report / "plots" / "notes.txt").unlink()
    write_report(report, "new", force=True)
    assert texts(report) == NEW


def test_a_file_that_appears_while_another_is_written_is_kept(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OutputRefused, match="exists already"), written_whole(path) as new:
        new.write_text("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_input_is_not_replaced_under_any_name(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("data")
    (tmp_path / "soft").symlink_to(source)
    os.link(source, tmp_path / "hard")
    for name in ("in.txt", "soft", "hard", f"../{tmp_path.name}/in.txt"):
        with pytest.raises(OutputRefused, match="is the input itself"):
            write_text(tmp_path / name, "new", force=True, inputs=[tmp_path / "other", source])
    report = tmp_path / "report"
    with written_whole(report, folder=REPORT) as new:
        (new / "in.txt").write_text("data")
    (tmp_path / "deep").symlink_to(report / "in.txt")
    for given in (report / "in.txt", tmp_path / "deep"):
        with pytest.raises(OutputRefused, match="holds the input"):
            refuse_overwrite(report, True, inputs=[given], folder=REPORT)
    assert source.read_text() == (report / "in.txt").read_text() == "data"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS])
def test_a_disk_that_takes_no_more_is_told_by_the_name_of_the_output(tmp_path, code):
    write_text(tmp_path / "a.txt", "old")
    told = rf"a\.txt: cannot be written \({os.strerror(code)}\)"
    with pytest.raises(OutputRefused, match=told), written_whole(tmp_path / "a.txt", force=True) as new:
        new.write_text("half")
        raise OSError(code, os.strerror(code))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_errors_that_are_not_of_the_output_pass(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "a.txt"):
        (tmp_path / "input").read_text()
    with pytest.raises(OSError, match="input") as caught, written_whole(tmp_path / "a.txt"):
        raise OSError(errno.EIO, "Input/output error", str(tmp_path / "input"))
    assert not isinstance(caught.value, UserError)
    assert list(tmp_path.iterdir()) == []


def test_hdf5_comes_through_a_disk_that_fails_at_any_byte(tmp_path):
    """Unlike with HDF5's own driver, no child dies of a signal, and each says what the first error was."""

    def write(path: Path) -> None:
        with LateErrors(path) as disk, h5py.File(disk, "w") as file:
            grows = file.create_dataset(
                "g/x", (0, 64), maxshape=(None, 64), chunks=(8, 64), compression="gzip", dtype="f8"
            )
            for _ in range(4):
                grows.resize(len(grows) + 16, axis=0)
                grows[-16:] = np.random.default_rng(0).random((16, 64))
            file.attrs["name"] = "n" * 500
            grows[:4] += 1  # reads back what may never have reached the disk

    write(tmp_path / "whole")
    with h5py.File(tmp_path / "whole") as file:
        assert file["g/x"].shape == (64, 64)
    size = (tmp_path / "whole").stat().st_size
    for limit in range(0, size, 1999):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            try:
                write(tmp_path / "cut")
            except OSError as error:
                os._exit(0 if error.errno == errno.EFBIG else 3)
            except BaseException:
                os._exit(4)
            os._exit(5)
        assert os.waitpid(child, 0)[1] == 0, limit


def test_an_interrupt_amid_a_write_is_raised_after_it(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), LateErrors(tmp_path / "a.h5") as disk, h5py.File(disk, "w") as file:
        monkeypatch.setattr(os, "pwrite", interrupt)
        file["x"] = np.zeros(10)
        file.flush()
        with pytest.raises(KeyboardInterrupt):
            disk.check()


def test_the_working_directory_is_never_replaced(tmp_path, monkeypatch):
    inside = tmp_path / "work" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for path in (inside, tmp_path / "work"):
        with pytest.raises(OutputRefused, match="working directory") as caught:
            refuse_overwrite(path, force=True, folder=REPORT)
        assert not caught.value.replaceable


def test_a_refusal_tells_python_what_the_command_line_says_in_options(tmp_path):
    path = tmp_path / "a.txt"
    path.touch()
    with pytest.raises(UserError) as caught:
        refuse_overwrite(path, force=False)
    assert caught.value.violations == (f"{path}: exists already; force=True replaces it, or write to another path",)
    assert caught.value.fact == f"{path}: exists already" and caught.value.replaceable
    assert str(OutputRefused("m.nir: is the input")) == "m.nir: is the input; write to another path"
