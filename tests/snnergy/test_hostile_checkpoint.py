"""A file in the place of a checkpoint ends in one line, runs nothing, writes nothing and fills no memory."""

from __future__ import annotations

import resource

import pytest

from snnergy.training import torch_archive
from snnergy.training.config.data import CACHE, CremaDConfig
from snnergy.training.source import experiment_of
from tests.training import hostile


def listing(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize("make", hostile.ALL, ids=lambda make: make.__name__)
def test_nothing_of_it_is_run(make, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, trace = tmp_path / "checkpoint.pt", tmp_path / "trace"
    make(path, trace)
    before, memory = listing(tmp_path), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = cli("export" if make is not hostile.tar else "samples", path)
    assert outcome.code == 2, outcome.err
    assert outcome.err.count("\n") == 1
    assert str(path) in outcome.err
    assert listing(tmp_path) == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 500_000  # KiB


@pytest.mark.parametrize("make", [hostile.pickled_command, hostile.torchscript], ids=["command", "script"])
def test_nor_of_the_state_that_a_run_would_go_on_from(make, cli, tiny, tmp_path):
    state, trace = tmp_path / "tiny/resume/last.ckpt", tmp_path / "trace"
    state.parent.mkdir(parents=True)
    make(state, trace)
    (tmp_path / "tiny/config.yaml").write_bytes(b"\xff")
    before = state.read_bytes()
    outcome = cli("train", tiny.config_file, "-o", tmp_path)
    assert outcome.code == 2
    assert f"{state}: the unfinished run cannot go on from it" in outcome.err
    assert "--force" in outcome.err
    assert outcome.err.count("\n") == 1
    assert (state.read_bytes(), trace.exists()) == (before, False)


def test_nothing_is_written_where_a_checkpoint_says(cli, tiny, tmp_path, monkeypatch):
    """A data set whose cache lies elsewhere: what is decoded stays under the working directory."""
    content = torch_archive.read(tiny.checkpoint)
    content["config"]["data"] = {"name": "crema_d", "root": str(tmp_path), "cache": "/elsewhere"}
    content["config"]["model"] |= {"classes": CremaDConfig.CLASSES, "video_channels": 3}
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(hostile.saved(content))
    assert experiment_of(path).data.cache == CACHE
