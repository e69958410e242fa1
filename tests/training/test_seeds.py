"""Several seeds of one experiment: what is kept, and what is run again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snnergy.artefacts.errors import UserError
from snnergy.training.config.experiment import to_yaml
from snnergy.training.loop import seeds
from snnergy.training.loop.train import train
from tests.training.helpers import Killed, kill_in_epoch, tiny_config


@pytest.mark.usefixtures("few_digits")
def test_a_run_is_finished_when_its_checkpoint_is_of_these_settings(tmp_path, monkeypatch):
    config = tiny_config()
    assert seeds.finished(config, tmp_path) is None
    result = train(config, output=tmp_path, threads=1)
    assert seeds.finished(config, tmp_path) == result
    other = tiny_config(mlp_ratio=1)
    assert seeds.finished(other, tmp_path) is None

    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_in_epoch(patch, 0)
        train(other, output=tmp_path, force=True, threads=1)
    assert (tmp_path / "tiny/config.yaml").read_text() == to_yaml(other)
    assert seeds.finished(other, tmp_path) is None
    assert seeds.finished(config, tmp_path) == result
    (tmp_path / "tiny/checkpoint.pt").write_bytes(b"cut off")
    assert seeds.finished(config, tmp_path) is None


def test_seeds_are_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "train", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(UserError, match=r"tiny: seed = -1: Input should be greater than or equal to 0"):
        seeds.train_seeds(tiny_config(), [0, -1], output=tmp_path)


def test_finished_seeds_are_kept(tmp_path, monkeypatch):
    trained = []

    def fake(config, *, output, **_):
        trained.append(config.seed)
        return seeds.TrainResult(output / config.name / "checkpoint.pt", {})

    kept = seeds.TrainResult(tmp_path / "kept", {})
    monkeypatch.setattr(seeds, "train", fake)
    monkeypatch.setattr(seeds, "finished", lambda config, _: kept if config.seed == 1 else None)
    results = seeds.train_seeds(replace(tiny_config(), seed=9), [0, 1, 2], output=tmp_path)
    assert trained == [0, 2] and results[1] is kept
    assert results[2].checkpoint == tmp_path / "tiny-seed2" / "checkpoint.pt"
    seeds.train_seeds(tiny_config(), [1], output=tmp_path, force=True)
    assert trained == [0, 2, 1]
