"""The benchmark of modalities: which rows are run, kept and replaced."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import modalities, threads
from snnergy.training.config.experiment import to_dict

CONFIG = Path(__file__).parents[2] / "configs/digits.yaml"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call the benchmark with a stand-in for training; returns what it measured, and the file."""
    output = tmp_path / "rows.json"

    def call(*arguments: str) -> tuple[list[tuple[str, int]], dict]:
        measured = []

        def measure(config, modality, folder, lava_samples, threads):
            measured.append((modality, config.seed))
            accuracy = config.train.epochs / 100
            return modalities.Row(
                modality=modality, seed=config.seed, accuracy_float=accuracy, accuracy_8bit=accuracy,
                accuracy_validation=1.0, best_epoch=0, parity_values=1, parity_mismatches=0, parity_ties=0,
                lava_samples=None, lava_values_compared=None, lava_mismatches=None, seconds={}, config=to_dict(config),
                git_revision="", versions={},
            )  # fmt: skip

        monkeypatch.setattr(modalities, "measure", measure)
        monkeypatch.setattr(sys, "argv", ["modalities", str(CONFIG), *arguments, "-o", str(output)])
        modalities.main()
        return measured, json.loads(output.read_text())

    return call


@pytest.mark.parametrize(("wished", "found"), [(None, 4), ("", 4), ("1", 1), ("6", 6), ("3,1", 3)])
def test_the_user_may_set_the_threads_of_a_network(monkeypatch, wished, found):
    monkeypatch.setattr(threads, "cpu_count", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", wished or "")
    if wished is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads.threads_a_job(2) == found
    assert threads.threads_a_job(100) == (1 if found == 4 else found)


def test_rows_of_the_same_settings_are_kept_and_others_replaced(run):
    arguments = ("train.epochs=30", "--modalities", "both", "audio")
    assert run(*arguments, "--seeds", "0")[0] == [("both", 0), ("audio", 0)]
    measured, file = run(*arguments, "--seeds", "0", "1")
    assert measured == [("both", 1), ("audio", 1)]
    assert file["summary"]["both"] == {
        "seeds": 2, "accuracy_float_mean": 0.3, "accuracy_float_std": 0.0,
        "accuracy_8bit_mean": 0.3, "accuracy_8bit_std": 0.0,
    }  # fmt: skip
    measured, file = run("train.epochs=60", "--modalities", "both", "--seeds", "0", "1")
    assert measured == [("both", 0), ("both", 1)]
    assert file["summary"]["both"]["accuracy_float_mean"] == 0.6
    assert file["summary"]["audio"]["accuracy_float_mean"] == 0.3
    assert [(row["modality"], row["seed"], row["config"]["train"]["epochs"]) for row in file["rows"]] == [
        ("audio", 0, 30), ("audio", 1, 30), ("both", 0, 60), ("both", 1, 60),
    ]  # fmt: skip
    assert file["rows"][0]["config"]["model"]["blank"] == "video"
