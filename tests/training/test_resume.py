"""What an unfinished run goes on from: anyone could have changed it, and the disk may be full."""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace

import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.training import torch_archive
from snnergy.training.loop.train import train
from tests.training.helpers import Killed, kill_in_epoch, tiny_config
from tests.training.hostile import saved

pytestmark = pytest.mark.usefixtures("few_digits")

CONFIG = tiny_config()
CONFIG = replace(CONFIG, train=replace(CONFIG.train, epochs=2, batch_size=128))


def run(folder, **options):
    return train(CONFIG, output=folder, threads=1, **options)


@pytest.fixture
def unfinished(tmp_path, few_digits, monkeypatch):
    """A run of two epochs that was killed after the first; its resume file."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_in_epoch(patch, 1)
        run(tmp_path)
    return tmp_path / "tiny/resume/last.ckpt"


def test_a_state_that_is_none_of_this_run_is_refused_and_kept_until_asked(unfinished, tmp_path):
    content = torch_archive.read(unfinished)
    moments = content["optimizer_states"][0]["state"][0]
    damages = [saved(content | {"loops": {}}), saved({}), unfinished.read_bytes()[:-50]]
    for name, value in (
        ("exp_avg", torch.zeros(3)),
        ("step", torch.tensor(-2.0)),
        ("exp_avg_sq", -moments["exp_avg_sq"]),
    ):
        state = content["optimizer_states"][0]["state"] | {0: moments | {name: value}}
        damages.append(saved(content | {"optimizer_states": [content["optimizer_states"][0] | {"state": state}]}))
    for damage in damages:
        unfinished.write_bytes(damage)
        with pytest.raises(UserError, match=r"last\.ckpt: the unfinished run cannot go on from it"):
            run(tmp_path)
        assert unfinished.read_bytes() == damage
    assert run(tmp_path, force=True).metrics["epochs"] == 2
    assert not unfinished.exists()


def test_no_file_is_deleted_because_a_state_names_it(unfinished, tmp_path):
    stranger = tmp_path / "tiny/stranger"
    stranger.write_text("kept")
    content = torch_archive.read(unfinished)
    for state in content["callbacks"].values():
        if "best_k_models" in state:
            named = f"{tmp_path}/tiny/resume/../stranger"
            state |= {"best_k_models": {named: torch.tensor(-9.0)}, "kth_best_model_path": named}
            state |= {"best_model_path": named, "last_model_path": named, "kth_value": torch.tensor(-9.0)}
    unfinished.write_bytes(saved(content))
    run(tmp_path)
    assert stranger.read_text() == "kept"


def test_a_full_disk_is_one_line_and_leaves_the_last_state_whole(unfinished, tmp_path):
    before = unfinished.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(UserError) as refused:
            run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written (File too large)" in str(refused.value)
    assert len(refused.value.lines) == 1
    assert unfinished.read_bytes() == before
    assert sorted(path.name for path in unfinished.parent.glob("*")) == [".lock", "best.ckpt", "last.ckpt"]
    assert run(tmp_path).metrics["epochs"] == 2


def test_a_run_that_was_moved_goes_on(unfinished, tmp_path):
    shutil.move(tmp_path / "tiny", tmp_path / "elsewhere/tiny")
    assert run(tmp_path / "elsewhere").metrics["epochs"] == 2
