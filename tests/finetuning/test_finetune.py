"""From a checkpoint to a fine-tuned one, and from that to the integers that it was tuned with."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.export.artefact import export
from snnergy.finetuning import learner
from snnergy.finetuning.finetune import finetune
from snnergy.finetuning.lowered import Lowered
from snnergy.finetuning.rounded import Rounded
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.training import checkpoint
from snnergy.training.config.experiment import from_dict, to_dict
from snnergy.training.data import model_inputs
from snnergy.training.loop.result import TrainResult
from snnergy.training.loop.seeds import finished
from snnergy.training.loop.train import train
from snnergy.training.model.network import SNNergy
from tests.training.helpers import Killed, kill_in_epoch, randomise, tiny_config

CONFIG = tiny_config(variant="spatial", time_steps=2)


def trained(folder, **model):
    """A checkpoint of a tiny network, in the folder of its run."""
    config = replace(CONFIG, model=replace(CONFIG.model, **model))
    torch.manual_seed(0)
    path = folder / "tiny/checkpoint.pt"
    path.parent.mkdir(parents=True)
    network = SNNergy(config.model)
    if config.model.profile == "loihi":
        randomise(network)
    checkpoint.save(path, network.eval(), config, {"test_accuracy": 0.1})
    return path


@pytest.fixture(autouse=True)
def few_samples(few_digits, monkeypatch):
    """Scales are searched on a few samples: which they are does not matter."""
    monkeypatch.setattr(learner, "_CALIBRATION_SAMPLES", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture
def tuned(folder):
    """A network, and the result of fine-tuning it to 4 bits for an epoch; kept for all tests."""
    path = folder / "tiny/checkpoint.pt"
    if not path.is_file():
        finetune(trained(folder), 4, "train.epochs=1", "train.batch_size=128", output=folder, threads=1)
    done = folder / "tiny-4bit/checkpoint.pt"
    return path, TrainResult(done, checkpoint.load(done).metrics)


def test_it_leaves_a_checkpoint_that_says_what_it_was_tuned_from_and_for(tuned):
    start, result = tuned
    assert result.checkpoint == start.parents[1] / "tiny-4bit/checkpoint.pt"
    before, after = checkpoint.load(start), checkpoint.load(result.checkpoint)
    assert (after.config.finetune.bits, after.config.finetune.source) == (4, "tiny")
    assert after.config.model == before.config.model and after.config.train.epochs == 1
    assert after.config.train.learning_rate == pytest.approx(before.config.train.learning_rate / 10)
    assert json.loads(result.checkpoint.with_name("metrics.json").read_text())["finetuned_bits"] == 4
    weights = [loaded.network.state_dict() for loaded in (before, after)]
    moved = {name for name, tensor in weights[0].items() if not torch.equal(tensor, weights[1][name])}
    assert "stage1.video.spds.conv0.conv.weight" in moved
    assert not any("running" in name for name in moved)
    assert finished(after.config, start.parents[1]) is not None
    assert from_dict(to_dict(after.config), "again") == after.config
    assert "finetune" not in to_dict(before.config)


def test_what_is_exported_from_it_compiles_to_the_integers_that_it_was_tuned_with(tuned, tmp_path):
    _, result = tuned
    loaded = checkpoint.load(result.checkpoint)
    graph = export(result.checkpoint, tmp_path / "model.nir", samples=None).path
    lowered = Lowered(loaded.network, 4)
    mine = Rounded(loaded.network, lowered, loaded.scales).integers(loaded.network)
    others = compile(graph, calibration=model_inputs(loaded.config, "val", 1))  # on samples that it was not tuned on
    assert others.fidelity.bits == 4 and others.net.provenance["weight bits"] == "4"
    for name, quantized in mine.items():
        population, incoming = others.net.population(name), others.net.incoming(name)
        assert replace(quantized.population, depth=population.depth) == population
        for one, other in zip(quantized.synapses, incoming, strict=True):
            np.testing.assert_array_equal(one.operator.weight, other.operator.weight)
            assert one.exponent == other.exponent
            assert not (other.operator.weight % 16).any() and np.abs(other.operator.weight).max(initial=0) <= 112


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    path = trained(tmp_path)
    fields = ("train.epochs=2", "train.batch_size=128")
    whole = finetune(path, 8, *fields, "name=whole", output=tmp_path, threads=1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_in_epoch(patch, 1)
        finetune(path, 8, *fields, "name=parts", output=tmp_path, threads=1)
    parts = finetune(path, 8, *fields, "name=parts", output=tmp_path, threads=1)
    weights = [checkpoint.load(result.checkpoint).network.state_dict() for result in (whole, parts)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_it_starts_from_an_experiment_whose_checkpoint_is_there(tmp_path):
    with pytest.raises(UserError, match=r"digits/checkpoint\.pt: is not there, and fine-tuning starts from a trained"):
        finetune("digits", 8, output=tmp_path)


@pytest.mark.parametrize(
    ("bits", "changes", "message"),
    [
        (5, (), "bits = 5: weights have 8, 6, 4 bits"),
        (8, ("model.tau=3.0", "data.noise=0"), "change 'data.noise=0': fine-tuning keeps the data and the model"),
        (8, ("train.epochs=0",), "train.epochs = 0"),
        (8, ("name=tiny",), "is the input itself"),
    ],
)
def test_what_it_refuses(bits, changes, message, tmp_path):
    path = trained(tmp_path)
    with pytest.raises(UserError, match=message):
        finetune(path, bits, *changes, output=tmp_path, force=True)
    assert checkpoint.load(path).config == CONFIG
    assert [found.name for found in tmp_path.iterdir()] == ["tiny"]


def test_a_network_that_no_chip_has_is_refused(tmp_path):
    path = trained(tmp_path, profile="paper", variant="spatiotemporal")
    with pytest.raises(UserError, match="MeanFusion has no form in NIR"):
        finetune(path, 8, output=tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["tiny"]


def test_the_experiment_of_a_fine_tuned_network_is_not_trained_from_the_start(tuned, tmp_path):
    config = checkpoint.load(tuned[1].checkpoint).config
    with pytest.raises(UserError, match="started from a checkpoint of tiny; fine-tune that, with --finetune BITS"):
        train(config, output=tmp_path)


@pytest.mark.parametrize(
    "scales",
    [
        4,
        {"bits": 5, "populations": {}},
        {"bits": 4, "populations": {"head": (float("nan"), 1, [1])}},
        {"bits": 4, "populations": {"head": (1.0, 1.5, [1])}},
        {"bits": 4, "populations": {"head": (1.0, 1, ["1"])}},
    ],
)
def test_scales_of_a_damaged_checkpoint_are_refused(tuned, scales, tmp_path):
    content = torch.load(tuned[1].checkpoint, weights_only=True)
    torch.save(content | {"scales": scales}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match=r"scales = .*: must be bits, and scale, threshold and exponents"):
        checkpoint.load(tmp_path / "checkpoint.pt")


def test_scales_of_populations_that_the_network_has_not_are_refused(tuned, tmp_path):
    content = torch.load(tuned[1].checkpoint, weights_only=True)
    content["scales"]["populations"]["stranger"] = (1.0, 1, [1])
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="scales of stranger, which the network has not"):
        export(tmp_path / "checkpoint.pt", samples=None)
