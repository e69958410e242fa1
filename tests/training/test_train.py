"""The loop: schedule, one small run from end to end, and going on after an interruption."""

from __future__ import annotations

import itertools
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from snnergy.artefacts.errors import UserError
from snnergy.training import checkpoint
from snnergy.training.config.experiment import from_dict
from snnergy.training.data import arrays
from snnergy.training.data.module import AudioVisualModule
from snnergy.training.loop.evaluation import evaluate
from snnergy.training.loop.learner import Learner, learning_rate_factor
from snnergy.training.loop.train import train
from snnergy.training.model.network import SNNergy
from tests.training.helpers import Killed, grid, kill_in_epoch, randomise, tiny_config

pytestmark = pytest.mark.usefixtures("few_digits")


def run(config, root, **options):
    return train(config, output=root, threads=1, **options)


def test_learning_rate():
    factors = [learning_rate_factor(step, 4, 20) for step in range(20)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[12] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(factors[4:]))
    assert learning_rate_factor(20, 4, 20) == pytest.approx(0)


def test_only_weights_decay():
    learner = Learner(tiny_config())
    learner.trainer = type("Trainer", (), {"estimated_stepping_batches": 10})()
    decayed, free = learner.configure_optimizers()["optimizer"].param_groups
    assert all(p.ndim > 1 for p in decayed["params"])
    assert sum(p.numel() for g in (decayed, free) for p in g["params"]) == sum(p.numel() for p in learner.parameters())


def test_evaluate_does_not_depend_on_the_batch():
    config = tiny_config()
    torch.manual_seed(0)
    network = randomise(SNNergy(config.model)).train()
    samples = arrays(config, "val", limit=7)
    accuracy, loss, logits = evaluate(network, samples, batch_size=3)
    assert network.training
    np.testing.assert_allclose(evaluate(network, samples, batch_size=7)[2], logits, atol=1e-5)
    assert logits.shape == (7, 10)
    assert accuracy == np.mean(logits.argmax(axis=1) == samples["label"])
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    assert loss == pytest.approx(-log_probability[np.arange(7), samples["label"]].mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["cat", "dog"], "store the number"), ([0.5, 1.0], "are no classes"), ([0, 99], "99 is none of the")],
)
def test_labels_that_are_no_classes_are_refused_before_the_network_runs(labels, message, monkeypatch):
    network = SNNergy(tiny_config().model)
    monkeypatch.setattr(network, "forward", lambda *_: pytest.fail("it ran"))
    pixels = np.zeros((2, 1, 1, 16, 16), np.uint8)
    with pytest.raises(UserError, match=message):
        evaluate(network, {"video": pixels, "audio": pixels, "label": np.array(labels)}, batch_size=2)


def test_a_run_is_quiet_and_leaves_its_artefacts(tmp_path, capfd):
    config = tiny_config()
    settings = torch.get_num_threads(), logging.getLogger("lightning.pytorch").level
    result = run(config, tmp_path)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert (torch.get_num_threads(), logging.getLogger("lightning.pytorch").level) == settings
    folder = tmp_path / "tiny"
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.pt", "config.yaml", "logs", "metrics.json"]
    assert json.loads((folder / "metrics.json").read_text()) == result.metrics
    assert from_dict(yaml.safe_load((folder / "config.yaml").read_text()), "config.yaml") == config
    assert "val_accuracy" in (folder / "logs/csv/version_0/metrics.csv").read_text()
    assert list(folder.glob("logs/tensorboard/events.out.tfevents.*"))
    loaded = checkpoint.load(result.checkpoint)
    accuracy, loss, _ = evaluate(loaded.network, arrays(config, "test"), 64)
    assert accuracy == pytest.approx(result.metrics["test_accuracy"])
    assert loss == pytest.approx(result.metrics["test_loss"], rel=1e-4)
    with pytest.raises(UserError, match="exists already"):
        run(config, tmp_path)


def test_a_missing_data_set_leaves_nothing_behind(tmp_path):
    config = replace(tiny_config(), data=grid(root=tmp_path))
    with pytest.raises(UserError, match="data set 'grid' is not there"):
        run(config, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_network_that_is_kept_is_the_moving_average(tmp_path, monkeypatch):
    """Five steps: the average follows the recorded weights of each, and starts with those of the first."""
    config, decay, steps = tiny_config(), 0.7, []
    config = replace(config, train=replace(config.train, batch_size=36, ema_decay=decay))
    end = Learner.on_train_batch_end

    def record(learner, *arguments):
        steps.append({name: value.clone() for name, value in learner.network.state_dict().items()})
        end(learner, *arguments)

    monkeypatch.setattr(Learner, "on_train_batch_end", record)
    kept = checkpoint.load(run(config, tmp_path).checkpoint).network.state_dict()
    assert len(steps) > 3
    for name, found in kept.items():
        if found.is_floating_point():
            expected = steps[0][name]
            for step in steps[1:]:
                expected = decay * expected + (1 - decay) * step[name]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(kept[name], steps[-1][name]) for name in kept)


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_a_killed_run_goes_on_where_it_was(ema_decay, tmp_path, monkeypatch):
    config = tiny_config()
    config = replace(config, train=replace(config.train, epochs=2, ema_decay=ema_decay))
    whole = run(config, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_in_epoch(patch, 1)
        run(config, tmp_path / "broken")
    with pytest.raises(UserError, match="unfinished run of another config"):
        run(replace(config, seed=7), tmp_path / "broken")
    last = torch.load(tmp_path / "broken/tiny/resume/last.ckpt", weights_only=True)
    seconds = last["callbacks"]["Timer"]["time_elapsed"]["train"]
    resumed = run(config, tmp_path / "broken")
    assert resumed.metrics["train_seconds"] > seconds > 0
    first, second = (checkpoint.load(result.checkpoint).network.state_dict() for result in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert resumed.metrics["val_loss"] == whole.metrics["val_loss"]


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path, monkeypatch):
    config, refusals, loader = tiny_config(), [], AudioVisualModule.train_dataloader

    def start_another(module):
        with pytest.raises(UserError, match="another process is training this run") as refusal:
            run(config, tmp_path, force=True)
        refusals.append(refusal)
        return loader(module)

    with monkeypatch.context() as patch:
        patch.setattr(AudioVisualModule, "train_dataloader", start_another)
        run(config, tmp_path)
    assert len(refusals) == config.train.epochs
    run(config, tmp_path, force=True)  # and afterwards it is free


def test_every_epoch_can_be_resumed_not_only_the_best(tmp_path, monkeypatch):
    def worse_each_epoch(learner, batch, _):
        learner.log("val_score", -float(learner.current_epoch), batch_size=len(batch["label"]))

    monkeypatch.setattr(Learner, "validation_step", worse_each_epoch)
    kill_in_epoch(monkeypatch, 2)
    config = tiny_config()
    with pytest.raises(Killed):
        run(replace(config, train=replace(config.train, epochs=3)), tmp_path)
    epochs = {
        name: torch.load(tmp_path / f"tiny/resume/{name}.ckpt", weights_only=True)["epoch"] for name in ("best", "last")
    }
    assert epochs == {"best": 0, "last": 1}
