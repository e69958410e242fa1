"""The benchmark of fine-tuning: which rows are run, kept and replaced, and what is said of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import finetune
from snnergy.training import checkpoint
from snnergy.training.config.experiment import to_dict
from snnergy.training.loop.result import TrainResult
from snnergy.training.model.network import SNNergy

CONFIG = Path(__file__).parents[2] / "configs/digits.yaml"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call the benchmark with stand-ins for training and fine-tuning; returns what it did, and the file."""
    output = tmp_path / "rows.json"

    def call(*arguments: str) -> tuple[list[tuple[str, int, int]], dict]:
        measured = []

        def train(config, **_):
            path = tmp_path / config.name / "checkpoint.pt"
            path.parent.mkdir(exist_ok=True)
            checkpoint.save(path, SNNergy(config.model).eval(), config, {}, force=True)
            return TrainResult(path, {})

        def measure(trained, tuned, modality, start, runs, tuning):
            bits = tuned.finetune.bits
            measured.append((modality, trained.seed, bits))
            return finetune.Row(
                experiment=trained.name.rsplit("-", 2)[0], modality=modality, seed=trained.seed, bits=bits,
                accuracy_float=0.9 + trained.seed / 100, accuracy_rounded=0.8, accuracy_finetuned=0.89,
                accuracy_finetuned_training=0.89, best_epoch=0, seconds=0.0, config=to_dict(tuned), git_revision="",
                versions={},
            )  # fmt: skip

        monkeypatch.setattr(finetune, "finished", lambda *_: None)
        monkeypatch.setattr(finetune, "train", train)
        monkeypatch.setattr(finetune, "measure", measure)
        monkeypatch.setattr(sys, "argv", ["finetune", str(CONFIG), *arguments, "-o", str(output)])
        finetune.main()
        return measured, json.loads(output.read_text())

    return call


def test_rows_of_the_same_settings_are_kept_and_others_replaced(run, monkeypatch):
    # The stand-in trains other weights each time, whose checkpoint is another one to start from.
    monkeypatch.setattr("snnergy.finetuning.finetune.sha256_of", lambda _: 64 * "0")
    arguments = ("model.base_dim=4", "--modalities", "both")
    assert run(*arguments, "--seeds", "0", "--bits", "8", "4")[0] == [("both", 0, 8), ("both", 0, 4)]
    measured, file = run(*arguments, "--seeds", "0", "1", "--bits", "8")
    assert measured == [("both", 1, 8)]
    assert [(row["bits"], row["seed"]) for row in file["rows"]] == [(8, 0), (8, 1), (4, 0)]
    wide = file["summary"][1]
    assert (wide["experiment"], wide["modality"], wide["bits"], wide["seeds"]) == ("digits", "both", 8, 2)
    assert (wide["points_lost_rounded"], wide["points_lost_finetuned"]) == (10.5, 1.5)
    measured, file = run(*arguments, "--seeds", "0", "--bits", "8", "--tuning", "train.epochs=5")
    assert measured == [("both", 0, 8)] and len(file["rows"]) == 3
