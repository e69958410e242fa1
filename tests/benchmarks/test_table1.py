"""The set of runs behind table 1: what each network is, which learning rate is chosen, and what is kept."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from benchmarks import table1
from benchmarks.table1 import GRID, LEARNING_RATES, SYSTEMS, TASKS, Results, Run, Tuning
from snnergy.training.config.experiment import load_config, to_dict
from snnergy.training.systems.build import build

CONFIGS = Path(__file__).parents[2] / "configs"


def tuning(run: Run, accuracy: float, loss: float) -> dict:
    return asdict(Tuning(run.system, run.task, run.learning_rate, accuracy, loss, table1.settings(run)))


def test_every_system_has_the_same_budget_on_every_task():
    wanted = table1.runs(tasks=TASKS)
    configs = {run: run.config for run in wanted}
    assert len({config.name for config in configs.values()}) == len(wanted)
    one_modality = [system for system in SYSTEMS if system.startswith(("qkformer", "spikformer"))]
    assert len(SYSTEMS) == 31 and len(one_modality) == 6
    for task, file in TASKS.items():
        of_task = [run for run in wanted if run.task == task]
        systems = [s for s in SYSTEMS if task in (GRID, table1.QUICK) or s not in one_modality]
        assert [(run.system, run.learning_rate) for run in of_task] == list(itertools.product(systems, LEARNING_RATES))
        asked = load_config(CONFIGS / f"{file}.yaml")
        for config in (configs[run] for run in of_task):
            assert config.data == asked.data
            assert replace(config.train, learning_rate=asked.train.learning_rate) == asked.train
            assert (config.model.image_size, config.model.time_steps, config.model.classes) == (
                asked.model.image_size, asked.model.time_steps, asked.model.classes,
            )  # fmt: skip
    sca = Run("sca", "binding", 1e-3, 0).config.model
    assert (sca.system, sca.base_dim, sca.heads, sca.patch) == ("sca", 64, 2, 8)
    binding = load_config(CONFIGS / "digits-binding.yaml").model
    assert Run("snnergy-ssa", "binding", 1e-3, 0).config.model == replace(binding, stage3="ssa")
    assert Run("snnergy-paper", GRID, 1e-3, 0).config.model.profile == "paper"


@pytest.mark.parametrize("system", ["snnergy-paper", "s-cmrl", "misnet-xl", "taaf-sum", "ogm-ge-film", "sca", "cmci"])
def test_a_system_takes_the_images_of_a_fusion_task(system):
    model = Run(system, "correspondence", 1e-3, 0).config.model
    images = torch.rand(model.time_steps, 1, 1, model.image_size, model.image_size)
    with torch.inference_mode():
        assert build(model).eval()(images, images).shape == (1, 2)


def test_the_learning_rate_is_the_best_on_validation():
    wanted = table1.runs(["snnergy", "sca"], [GRID])
    slow, middle, fast = wanted[:3]
    figures = [(0.5, 1.2), (0.7, 0.9), (0.7, 0.8), (0.2, 2.0), (0.2, 2.0), (0.1, 1.0)]
    found = [tuning(run, *figure) for run, figure in zip(wanted, figures, strict=True)]
    assert table1.chosen(wanted, found) == [fast, wanted[3]]  # accuracy, loss, the slower
    assert table1.chosen(wanted[:2], found) == [middle]
    assert slow.learning_rate < middle.learning_rate < fast.learning_rate


def in_this_process(function, todo, folder, jobs):
    return (function(run, folder, 1) for run in todo)


def test_what_is_trained_and_what_is_kept(tmp_path, monkeypatch):
    """With the training replaced: the test split decides nothing, and a second sitting goes on where the first was."""
    done: list[tuple[str, Run]] = []
    validation = dict(zip(LEARNING_RATES, (0.5, 0.9, 0.6), strict=True))

    def tune(run, *_):
        done.append(("tune", run))
        return Tuning(run.system, run.task, run.learning_rate, validation[run.learning_rate], 1.0, table1.settings(run))

    def measure(run, *_):
        done.append(("measure", run))
        if len(done) == 6:
            raise KeyboardInterrupt
        fields = dict.fromkeys(table1.Row.__dataclass_fields__, 0.0)
        given = {"system": run.system, "task": run.task, "seed": run.seed, "learning_rate": run.learning_rate}
        return table1.Row(
            **fields | given | {"milliseconds": None, "peak_memory_bytes": None, "config": to_dict(run.config)}
        )

    monkeypatch.setattr(table1, "tune", tune)
    monkeypatch.setattr(table1, "measure", measure)
    monkeypatch.setattr(table1, "each", in_this_process)
    output = tmp_path / "table1.json"
    arguments = ["table1", "--systems", "sca", "--tasks", GRID, "--runs", str(tmp_path / "runs"), "-o", str(output)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(KeyboardInterrupt):
        table1.main()
    best = Run("sca", GRID, LEARNING_RATES[1], 0)
    measured = [replace(best, seed=seed) for seed in (0, 1, 2)]
    assert done == [*(("tune", replace(best, learning_rate=rate)) for rate in LEARNING_RATES)] + [
        ("measure", run) for run in measured
    ]
    written = json.loads(output.read_text())
    assert [row["seed"] for row in written["rows"]] == [0, 1]
    assert not [name for each in written["tuning"] for name in each if "test" in name or name in ("accuracy", "loss")]
    table1.main()
    assert done[6:] == [("measure", measured[2])]
    before = output.read_text()
    table1.main()
    assert len(done) == 7 and output.read_text() == before
    # Of other settings, all is run again.
    fields = table1._fields
    monkeypatch.setattr(table1, "_fields", lambda *of: {**fields(*of), "train": {"epochs": 2, "batch_size": 8}})
    table1.main()
    assert [what for what, _ in done[7:]] == ["tune"] * 3 + ["measure"] * 3
    assert {row["config"]["train"]["epochs"] for row in json.loads(output.read_text())["rows"]} == {2}


@pytest.mark.usefixtures("few_digits")
def test_a_row_is_trained_measured_and_timed(tmp_path, monkeypatch):
    output = tmp_path / "table1.json"
    arguments = ["table1", "--quick", "--systems", "joint-sum", "--runs", str(tmp_path / "runs"), "-o", str(output)]
    monkeypatch.setattr(table1, "each", in_this_process)
    monkeypatch.setattr(sys, "argv", arguments)
    table1.main()
    written = json.loads(output.read_text())
    (tuned,), (row,) = written["tuning"], written["rows"]
    assert (row["system"], row["task"], row["seed"]) == ("joint-sum", "digits", 0)
    assert tuned["accuracy_validation"] == row["accuracy_validation"]
    assert 0 < row["multiply_accumulates"] < row["dense_macs"] and row["accumulates"] == 0
    assert row["energy_pj"] == pytest.approx(4.6 * row["multiply_accumulates"], rel=1e-6)
    assert row["device"] and row["git_revision"]
    Results(output).fill_in_costs(rounds=1)
    (timed,) = json.loads(output.read_text())["rows"]
    assert timed["milliseconds"] > 0
    # Weights, gradients and two moments of each, in four bytes; and the entries of some layers beside them.
    assert 16 * row["parameters"] < timed["peak_memory_bytes"] < 1 << 30
    assert timed | {"milliseconds": None, "peak_memory_bytes": None} == row
    table1.main()  # the row is there, and keeps its costs
    assert json.loads(output.read_text())["rows"] == [timed]
