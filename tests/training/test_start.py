"""Training that begins with a trained network, of another task or another form."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, from_dict, to_dict
from snnergy.training.loop.seeds import finished, train_seeds
from snnergy.training.loop.start import start_from
from snnergy.training.loop.train import train
from snnergy.training.systems.build import build
from tests.training.helpers import Killed, kill_in_epoch, randomise, tiny_config
from tests.training.small_systems import network

CONFIG = tiny_config("trained", time_steps=2)
QUICK = ("train.epochs=1", "train.batch_size=128")
HEAD = ["head.linear.weight", "head.linear.bias"]
# Nothing is learned: the network at the end is the one at the beginning.
STILL = ("train.learning_rate=1.0e-12", "train.weight_decay=0", *QUICK)


@pytest.fixture(autouse=True)
def few_samples(few_digits):
    """Which samples a network is trained on does not matter."""


def save(path, config: Config = CONFIG):
    """A checkpoint of a network that no initialisation makes."""
    torch.manual_seed(7)
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(path, randomise(build(config.model)), config, {"test_accuracy": 0.1})
    return path


@pytest.fixture
def start(tmp_path):
    return save(tmp_path / "trained/checkpoint.pt")


def test_all_but_the_head_of_other_classes_is_taken_over(start):
    learned = checkpoint.load(start).network.state_dict()
    model = build(replace(CONFIG.model, classes=2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    about = start_from(model, start)
    after = model.state_dict()
    assert [name for name in after if not torch.equal(after[name], learned.get(name, after[name]))] == HEAD
    assert all(torch.equal(after[name], before[name]) for name in HEAD)
    parameters = sum(p.numel() for name, p in model.named_parameters() if name not in HEAD)
    assert about == {"started_from": "trained", "parameters_taken_over": parameters}


@pytest.mark.parametrize("held", ["source", "target"])
def test_a_constant_of_either_experiment_stays(held, tmp_path):
    fixed, free = (replace(CONFIG.model, alpha_init=0.25, alpha_learnable=learns) for learns in (False, True))
    model, of_start = (free, fixed) if held == "source" else (fixed, free)
    start = save(tmp_path / "start.pt", replace(CONFIG, model=replace(of_start, alpha_init=0.75)))
    target = build(model)
    start_from(target, start)
    alphas = [float(parameter) for name, parameter in target.named_parameters() if name.endswith("alpha")]
    assert alphas == [0.25] * len(alphas) and alphas


def test_the_run_begins_with_it_and_says_so(start, tmp_path):
    fields = ("data.task=correspondence", "model.classes=2", "name=next", *STILL)
    result = train(CONFIG, *fields, start=start, output=tmp_path, threads=1)
    before, after = checkpoint.load(start), checkpoint.load(result.checkpoint)
    learned = dict(before.network.named_parameters())
    for name, parameter in after.network.named_parameters():
        if name not in HEAD:
            torch.testing.assert_close(parameter, learned[name], rtol=0, atol=1e-9)
    assert (after.config.start.source, after.config.finetune) == ("trained", None)
    assert from_dict(to_dict(after.config), "again") == after.config
    assert "start" not in to_dict(before.config)
    assert finished(after.config, tmp_path) is not None
    metrics = json.loads(result.checkpoint.with_name("metrics.json").read_text())
    assert metrics["started_from"] == "trained" and 0 < metrics["parameters_taken_over"] < metrics["parameters"]


def test_a_killed_run_goes_on_where_it_was(start, tmp_path, monkeypatch):
    fields = ("train.epochs=2", "train.batch_size=128")
    whole = train(CONFIG, *fields, "name=whole", start=start, output=tmp_path, threads=1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_in_epoch(patch, 1)
        train(CONFIG, *fields, "name=parts", start=start, output=tmp_path, threads=1)
    parts = train(CONFIG, *fields, "name=parts", start=start, output=tmp_path, threads=1)
    weights = [checkpoint.load(result.checkpoint).network.state_dict() for result in (whole, parts)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_seeds_start_from_one_network_and_a_finished_one_is_kept(start, tmp_path):
    fields = ("name=seeds", *QUICK)
    results = [train_seeds(CONFIG, [0, 1], *fields, start=start, output=tmp_path) for _ in range(2)]
    assert [result.checkpoint.parent.name for result in results[0]] == ["seeds-seed0", "seeds-seed1"]
    assert results[0] == results[1]
    assert all(result.metrics["started_from"] == "trained" for result in results[0])


def test_what_is_refused(start, tmp_path):
    with pytest.raises(UserError, match=r"digits/checkpoint\.pt: is not there, and this training starts from a train"):
        train(CONFIG, start="digits", output=tmp_path)
    with pytest.raises(UserError, match="is the input itself"):
        train(CONFIG, start=start, output=tmp_path, force=True)
    assert checkpoint.load(start).config == CONFIG
    assert [found.name for found in tmp_path.iterdir()] == ["trained"]


def test_a_network_in_which_nothing_fits_is_refused(start, tmp_path):
    with pytest.raises(UserError, match=r"none of its weights fits .* 'snnergy' there"):
        start_from(network("joint-concat"), start)
    with pytest.raises(UserError, match="none of its weights fits"):
        train(CONFIG, "name=wider", "model.base_dim=8", start=start, output=tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["trained"]


def test_its_experiment_is_not_trained_without_the_start(start, tmp_path):
    result = train(CONFIG, "name=next", *QUICK, start=start, output=tmp_path, threads=1)
    config = checkpoint.load(result.checkpoint).config
    with pytest.raises(UserError, match="next: start: its network started from a checkpoint of trained; pass that"):
        train(config, output=tmp_path, force=True)
