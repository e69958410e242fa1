"""Artefacts appear whole or not at all, and nothing of the user's is lost."""

import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import refuse_overwrite, written_whole


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


def test_a_folder_is_replaced_by_a_folder_only(tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "stale").write_text("")
    with pytest.raises(UserError, match="--force"), written_whole(folder):
        pass
    with pytest.raises(UserError, match="is a folder"), written_whole(folder, force=True) as scratch:
        scratch.write_text("a file")
    assert (folder / "stale").exists()
    with written_whole(folder, force=True) as scratch:
        scratch.mkdir()
        (scratch / "fresh").write_text("")
    assert [p.name for p in folder.iterdir()] == ["fresh"]


def test_the_working_directory_is_never_replaced(tmp_path, monkeypatch):
    inside = tmp_path / "work" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for path in (inside, tmp_path / "work"):
        with pytest.raises(UserError, match="working directory"):
            refuse_overwrite(path, force=True)
