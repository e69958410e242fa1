"""The experiments of the paper's tables: what is run, and what is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import tables
from snnergy.training.config.experiment import load_config

ROOT = Path(__file__).parents[2]


def test_every_cell_is_one_valid_experiment():
    cells = list(tables.cells(list(tables.CONDITIONS), [0, 1, 2]))
    configs = [load_config(ROOT / "configs/grid.yaml", cell.overrides) for cell in cells]
    assert len({config.name for config in configs}) == len(cells) == 2 * 3 * len(tables.ROWS) * 2
    settings = {(c.model, c.data, c.seed) for c in configs}
    assert len(settings) == len(cells)
    named = {row for rows in tables.TABLES.values() for row in rows.values()}
    assert named == set(tables.ROWS)
    by_row = {cell.row: config.model for cell, config in zip(cells, configs, strict=True)}
    assert (by_row["T = 2"].time_steps, by_row[tables.WHOLE].time_steps) == (2, 6)
    assert (by_row["all CMQKA"].stage3, by_row[tables.WHOLE].stage3, by_row["spatial"].variant) == (
        "cmqka", "ssa", "spatial",
    )  # fmt: skip
    # At one step, either path alone is the same network, and a row of the table would say nothing.
    assert by_row["temporal"].variant == "temporal" and by_row["temporal"].temporal_kernel > 1


@pytest.mark.usefixtures("few_digits")
def test_a_finished_row_is_kept(tmp_path, monkeypatch):
    """The first call runs one row of the quick set, the second one leaves it, and of other settings it is run again."""
    output = tmp_path / "tables.json"
    one = tables.Cell("-12 dB", "T = 1", "paper", 0)
    monkeypatch.setattr(tables, "cells", lambda *_: [one])
    arguments = ["tables", "--quick", "--runs", str(tmp_path / "runs"), "-o", str(output)]
    monkeypatch.setattr(sys, "argv", arguments)
    tables.main()
    first = output.read_text()
    (found,) = json.loads(first)["rows"]
    assert (found["row"], found["profile"], found["config"]["model"]["time_steps"]) == ("T = 1", "paper", 1)
    assert found["multiply_accumulates"] > 0 and found["accumulates"] > 0
    assert 0 < found["firing_rates"]["1 stem"] < 1
    assert found["git_revision"] and found["versions"]["torch"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["quick"]  # not where the long runs are
    measure = tables.measure
    monkeypatch.setattr(tables, "measure", lambda *_: pytest.fail("the row is there"))
    tables.main()
    assert output.read_text() == first
    monkeypatch.setattr(tables, "measure", measure)
    monkeypatch.setitem(tables.ROWS, "T = 1", ["model.time_steps=1", "model.mlp_ratio=1"])
    tables.main()
    (replaced,) = json.loads(output.read_text())["rows"]
    assert replaced["config"]["model"]["mlp_ratio"] == 1
    assert replaced["parameters"] < found["parameters"]
