"""The experiments of the paper's tables: what is run, what is kept, and the page that is made of it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import tables, tables_page
from snnergy.training.config.experiment import load_config

ROOT = Path(__file__).parents[2]


def row(name: str, profile: str, seed: int, accuracy: float, condition: str = "-12 dB") -> dict:
    rates = {f"{stage} {role}": 0.01 * stage for stage in (1, 2, 3) for role in tables_page.PUBLISHED_RATES}
    stands = [[table, title] for table, rows in tables.TABLES.items() for title, is_ in rows.items() if is_ == name]
    return {
        "tables": stands, "condition": condition, "row": name, "profile": profile, "seed": seed, "accuracy": accuracy,
        "loss": 0.3, "firing_rates": rates, "accumulates": 2e6, "multiply_accumulates": 1e6, "energy_pj": 6.4e6,
        "config": {
            "train": {"epochs": 8 if condition == "clean" else 30},
            "data": {"name": "grid"}, "model": {"image_size": 48, "base_dim": 24},
        },
    }  # fmt: skip


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


def test_the_page_holds_means_deviations_and_what_was_published():
    rows = [row(tables.WHOLE, "loihi", seed, accuracy) for seed, accuracy in enumerate((0.90, 0.92, 0.94))]
    rows += [row("T = 1", "paper", 0, 0.5)]
    page = tables_page.page(rows, "x.json", "x.png")
    assert "Epochs: 30 (-12 dB)." in page
    assert "160 clips of one speaker: the sampling error of an accuracy is 1.9 points near 94 %, 3.2 near 80 %." in page
    assert "Epochs: 30 (-12 dB), 8 (clean)." in tables_page.page(
        [*rows, row("T = 1", "paper", 0, 0.5, "clean")], "", ""
    )
    assert re.search(r"\| 6 \| 92\.0 ± 2\.0 \| – \| – \| – \| 78\.38 \| 72\.14 \|", page)
    assert re.search(r"\| spatiotemporal, 3 steps \|( – \|){6}\n", page)
    assert re.search(r"\| 1 \| – \| 50\.0 \(1 seed\) \| – \| – \| 72\.63 \| 64\.18 \|", page)
    assert "| q | 0.0100 ± 0.0000 | 0.0200 ± 0.0000 | 0.0300 ± 0.0000 | – | – | – | 0.1304 |" in page
    assert "| energy at 45 nm fp32 prices, µJ | 6.40 ± 0.00 | – | – | – |" in page


def test_profiles_are_compared_seed_by_seed():
    rows = [row(tables.WHOLE, "loihi", seed, accuracy) for seed, accuracy in enumerate((0.90, 0.92, 0.94))]
    assert tables_page.comparison(rows, "-12 dB") == ""
    other = row(tables.WHOLE, "paper", 1, 0.95) | {"energy_pj": 12.8e6}
    other["firing_rates"] = {"1 q": 0.02, "1 elsewhere": 0.9}
    assert tables_page.comparison([*rows, other, row("T = 1", "paper", 0, 0.1)], "-12 dB") == (
        "-12 dB (one seed): `loihi` is 3.0 points less accurate than `paper`; populations that both have fire 0.50 "
        "times as often, and the operations cost 0.50 times as much energy."
    )
    assert "(2 seeds, each against the same seed): `loihi` is 1.5 ± 2.1 points less" in tables_page.comparison(
        [*rows, other, row(tables.WHOLE, "paper", 0, 0.9)], "-12 dB"
    )
    equal = [row(tables.WHOLE, profile, 0, 0.9) for profile in tables.PROFILES]
    assert "`loihi` is as accurate as `paper`; populations" in tables_page.comparison(equal, "-12 dB")


def test_rates_are_compared_over_populations_that_both_profiles_have():
    loihi, paper = row(tables.WHOLE, "loihi", 0, 0.9), row(tables.WHOLE, "paper", 0, 0.9)
    loihi["firing_rates"] = {"1 q": 0.1, "2 q": 0.2, "1 gate": 0.9, "3 attn": 0.8}
    paper["firing_rates"] = {"1 q": 0.2, "2 q": 0.4, "3 attn": 0.1, "3 v": 0.7}
    page = tables_page.page([loihi, paper], "", "")
    assert "populations that both have fire 0.50 times as often" in page
    assert "| firing rate, mean of the roles and stages that both have | 0.1500 (1 seed) | 0.3000 (1 seed) |" in page
    assert "| whole | 0.90000 (1 seed) | – |" in page


def test_page_and_plot_are_written(tmp_path, monkeypatch):
    results = tmp_path / "tables.json"
    results.write_text(json.dumps({"rows": [row(tables.WHOLE, "loihi", 0, 0.9), row("T = 1", "loihi", 0, 0.6)]}))
    monkeypatch.setattr(sys, "argv", ["page", str(results), "-o", str(tmp_path / "tables.md")])
    tables_page.main()
    assert (tmp_path / "tables.png").read_bytes().startswith(b"\x89PNG")
    assert "](tables.png)" in (tmp_path / "tables.md").read_text()


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
