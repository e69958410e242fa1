"""The page of all tables: what stands on it, computed from rows of which some are not there."""

from __future__ import annotations

import json
import re
import sys
from math import inf

import pytest

from benchmarks import tables
from benchmarks.attention import page as attention
from benchmarks.tables_page import __main__ as command
from benchmarks.tables_page import ablations, claims, finetune, fusion, published, systems
from benchmarks.tables_page.margins import Margin, margin, verdict
from snnergy.training.config.packaged import packaged_experiments


def table_row(name: str, profile: str, seed: int, accuracy: float, condition: str = "-12 dB") -> dict:
    rates = {f"{stage} {role}": 0.01 * stage for stage in (1, 2, 3) for role in published.RATES}
    stands = [[table, title] for table, rows in tables.TABLES.items() for title, is_ in rows.items() if is_ == name]
    return {
        "tables": stands, "condition": condition, "row": name, "profile": profile, "seed": seed, "accuracy": accuracy,
        "loss": 0.3, "firing_rates": rates, "accumulates": 2e6, "multiply_accumulates": 1e6, "energy_pj": 6.4e6,
        "config": {
            "train": {"epochs": 8 if condition == "clean" else 30},
            "data": {"name": "grid"}, "model": {"image_size": 48, "base_dim": 24, "fusion": "gated_sum"},
        },
    }  # fmt: skip


def table_rows(name: str, profile: str, *accuracies: float) -> list[dict]:
    return [table_row(name, profile, seed, accuracy) for seed, accuracy in enumerate(accuracies)]


def cost(size: int, stage: int, neurons: int, accumulates: float) -> dict:
    tokens = (size // (2 << stage)) ** 2
    return {
        "image_size": size, "stage": stage, "tokens": tokens, "neurons": neurons, "synapses": 3 * tokens,
        "operations": {"ac": accumulates}, "pj": 1e3 * tokens,
    }  # fmt: skip


def fusion_rows(name: str, *accuracies: float, kept: float | None = None, **more: object) -> list[dict]:
    model = {"classes": 2, "image_size": 32, "base_dim": 12, "time_steps": 4, "profile": "loihi", "stage3": "cmqka"}
    model["variant"] = name if name == "spatial" else "spatiotemporal"
    config = {"data": {"name": "digits", "task": "binding"}, "model": model, "train": {"epochs": 20}}
    shares = {"entries": {"stage1": 0.25}} | ({} if kept is None else {"kept": {"stage1": kept}})
    return [
        {
            "row": name, "seed": seed, "accuracy": accuracy, "accuracy_validation": accuracy, "config": config,
            "before": {figure: dict.fromkeys(of, 0.125) for figure, of in shares.items()}, "after": shares,
            "cost": None,
        } | more
        for seed, accuracy in enumerate(accuracies)
    ]  # fmt: skip


def system_rows(system: str, task: str, *accuracies: float, **more: object) -> list[dict]:
    return [
        {
            "system": system, "task": task, "seed": seed, "learning_rate": 2e-3, "accuracy": accuracy,
            "parameters": 1234, "dense_macs": 5e6, "accumulates": 3e6, "multiply_accumulates": 1e6, "energy_pj": 4e6,
            "milliseconds": None, "peak_memory_bytes": 3 << 20, "device": "cpu",
            "config": {"train": {"epochs": 30}, "model": {"image_size": 48, "base_dim": 24}},
        } | more
        for seed, accuracy in enumerate(accuracies)
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def fusions(monkeypatch):
    """Rows of an experiment on fusions, whichever the real one has."""
    rows = {
        "none": ["model.alpha_init=0", "model.alpha_learnable=false"], "open_gate": [],
        "fixed_gate": ["model.fusion=fixed_gate"], "spatial": ["model.variant=spatial"],
        "open_gate, self-attention": ["model.stage3=ssa"],
    }  # fmt: skip
    monkeypatch.setattr(fusion, "ROWS", rows)
    return rows


def test_the_page_holds_means_deviations_and_what_was_published():
    rows = [*table_rows(tables.WHOLE, "loihi", 0.90, 0.92, 0.94), table_row("T = 1", "paper", 0, 0.5)]
    page = command.page(command.Results(tables=rows), ["x.json"], "x.png")
    assert "Epochs: 30 (-12 dB)." in page
    assert "160 clips of one speaker: the sampling error of an accuracy is 1.9 points near 94 %, 3.2 near 80 %." in page
    clean = [*rows, table_row("T = 1", "paper", 0, 0.5, "clean")]
    assert "Epochs: 30 (-12 dB), 8 (clean)." in command.page(command.Results(tables=clean), [], "")
    assert re.search(r"\| 6 \| 92\.0 ± 2\.0 \| – \| – \| – \| 78\.38 \| 72\.14 \|", page)
    assert re.search(r"\| spatiotemporal, 3 steps \|( – \|){6}\n", page)
    assert re.search(r"\| 1 \| – \| 50\.0 \(1 seed\) \| – \| – \| 72\.63 \| 64\.18 \|", page)
    assert "| q | 0.0100 ± 0.0000 | 0.0200 ± 0.0000 | 0.0300 ± 0.0000 | – | – | – | 0.1304 |" in page
    assert "| energy at 45 nm fp32 prices, µJ | 6.40 ± 0.00 | – | – | – |" in page


def test_profiles_are_compared_seed_by_seed():
    rows = table_rows(tables.WHOLE, "loihi", 0.90, 0.92, 0.94)
    assert ablations.comparison(rows, "-12 dB") == ""
    other = table_row(tables.WHOLE, "paper", 1, 0.95) | {"energy_pj": 12.8e6}
    other["firing_rates"] = {"1 q": 0.02, "1 elsewhere": 0.9}
    assert ablations.comparison([*rows, other, table_row("T = 1", "paper", 0, 0.1)], "-12 dB") == (
        "-12 dB (one seed): `loihi` is 3.0 points less accurate than `paper`; populations that both have fire 0.50 "
        "times as often, and the operations cost 0.50 times as much energy."
    )
    assert "(2 seeds, each against the same seed): `loihi` is 1.5 ± 2.1 points less" in ablations.comparison(
        [*rows, other, table_row(tables.WHOLE, "paper", 0, 0.9)], "-12 dB"
    )
    equal = [table_row(tables.WHOLE, profile, 0, 0.9) for profile in tables.PROFILES]
    assert "`loihi` is as accurate as `paper`; populations" in ablations.comparison(equal, "-12 dB")


def test_rates_are_compared_over_populations_that_both_profiles_have():
    loihi, paper = (table_row(tables.WHOLE, profile, 0, 0.9) for profile in ("loihi", "paper"))
    loihi["firing_rates"] = {"1 q": 0.1, "2 q": 0.2, "1 gate": 0.9, "3 attn": 0.8}
    paper["firing_rates"] = {"1 q": 0.2, "2 q": 0.4, "3 attn": 0.1, "3 v": 0.7}
    page = command.page(command.Results(tables=[loihi, paper]), [], "")
    assert "populations that both have fire 0.50 times as often" in page
    assert "| firing rate, mean of the roles and stages that both have | 0.1500 (1 seed) | 0.3000 (1 seed) |" in page
    assert "| whole | 0.90000 (1 seed) | – |" in page


def test_margins_are_in_deviations_of_a_single_run():
    few, many = table_rows("a", "loihi", 0.5, 0.6), table_rows("b", "loihi", 0.8, 0.9, 1.0)
    found = margin(many, few)
    assert (found.points, found.deviation) == (pytest.approx(35), pytest.approx((100 + 50) ** 0.5))
    assert str(found) == "+35.0 points (+2.9 deviations)"
    assert str(margin(many, few[:1])) == "+40.0 points"
    assert margin(many, []) is None
    assert [Margin(x, 0.0).deviations for x in (1, 0, -1)] == [inf, 0, -inf]


@pytest.mark.parametrize(
    ("deviations", "expected"),
    [
        ([3, 2.1], "yes"), ([3, 1.9], "undecided"), ([3, None], "undecided"), ([], "undecided"),
        ([3, -1.9], "undecided"), ([None, -2.1], "no"), ([3, -2.1], "no"),
    ],
)  # fmt: skip
def test_a_claim_holds_where_every_comparison_is_decided(deviations, expected):
    assert verdict([None if each is None else Margin(each, 1.0) for each in deviations]) == expected


def test_what_a_fusion_carries_and_costs(fusions):
    costs = {
        "open_gate": [cost(32, 1, 10, 600.0), cost(64, 1, 40, 2400.0), cost(32, 2, 4, 0.0), cost(64, 2, 16, 0.0)],
        "fixed_gate": [cost(32, 1, 40, 300.0), cost(64, 1, 160, 1200.0)],
    }
    rows = [
        *fusion_rows("none", 0.5, 0.52, 0.48, kept=1.0),
        *fusion_rows("open_gate", 0.9, 0.92, kept=1.0, cost=costs["open_gate"]),
        *fusion_rows("fixed_gate", 0.5, 0.5, 0.5, kept=0.25, cost=costs["fixed_gate"]),
        *fusion_rows("spatial", 0.8),
    ]
    text = "\n\n".join(fusion.section([rows, rows[:3]]))
    assert text.count("### Digits, binding") == 2
    assert "| `none` | `model.alpha_init=0`, `model.alpha_learnable=false` | 50.0 ± 2.0 | 50.0 ± 2.0 | – |" in text
    margins = "91.0 ± 1.4 (2 seeds) | 91.0 ± 1.4 (2 seeds) | +41.0 points (+16.7 deviations) |"
    assert f"| `open_gate` | – | {margins}" in text
    assert all(f"| `{name}` | " in text for name in fusions)
    assert (
        "More than 2 deviations above `none`: `open_gate`; not: `fixed_gate`; with one seed of either, so undecided: "
        "`spatial`."
    ) in text
    assert "Best on validation is `open_gate` (2 seeds); on test it has +11.0 points over `spatial`." in text
    assert "After training the gate holds nothing of P back, in any stage, in: `open_gate`." in text
    assert "| `fixed_gate` | 0.1250 → 0.2500 | 0.1250 → 0.2500 |" in text
    assert "| `spatial` | 0.1250 → 0.2500 | – |" in text
    line = "| `open_gate` | 1 | 64 | 10.0 (0.25×) | 192 (1.00×) | 600 (2.00×) | 64.0 (1.00×) | 1.00 | 1.00 | 1.00 |"
    assert line in text
    assert "| `open_gate` | 2 | 16 | 4.0 | 48.0 | 0.0 | 16.0 | 1.00 | – | 1.00 |" in text  # nothing is beside it
    assert fusion.growth(rows)["fixed_gate"]["accumulates"] == {1: pytest.approx(1)}
    assert fusion.cost_section(rows[:3]) == []
    assert "T = 4, 20 epochs.\n" in text
    begun = [row["config"] | {"start": {"source": f"words-{row['seed']}"}} for row in rows[:2]]
    started = [row | {"config": config} for row, config in zip(rows, begun, strict=False)]
    beginning = "20 epochs, all rows of a seed begun with one network (`words-0`, `words-1`)."
    assert any(beginning in part for part in fusion.section([started]))


def test_systems_stand_in_groups_with_what_was_published():
    rows = [
        *system_rows("snnergy", "grid", 0.94, 0.95, 0.96),
        *system_rows("snnergy", "correspondence", 0.9, learning_rate=4e-3),
        *system_rows("cmci", "grid", 0.7, 0.71, 0.72, milliseconds=2.5),
        *system_rows("pmr-sum", "grid", 0.96, 0.96),
        *system_rows("qkformer-token-audio", "grid", 0.5),
    ]
    tuning = [{"learning_rate": rate} for rate in (1e-3, 2e-3, 4e-3)]
    text = "\n\n".join(systems.section(rows, tuning))
    packaged = [name.removeprefix("table1/") for name in packaged_experiments() if name.startswith("table1/")]
    assert all(f"| `{name}` | " in text for name in (*packaged, *systems.OURS))
    assert published.SYSTEMS.keys() <= {*packaged, *systems.OURS}
    order = [
        "**one modality**",
        "`qkformer-token-audio`",
        "**spiking**",
        "`cmci`",
        "**not spiking**",
        "`pmr-sum`",
        "**ours**",
    ]
    places = [text.index(f"\n| {name} |") for name in order]
    assert places == sorted(places)
    costs = "1,234 | 5.0 | 3.00 | 1.00 | 4.00"
    assert f"| `cmci` | 71.0 ± 1.0 | – | {costs} | 2.5 | 3.0 | 0.002 / – | 71.59 | 67.91 | 98.28 |" in text
    assert f"| `snnergy` | 95.0 ± 1.0 | 90.0 (1 seed) | {costs} | – | 3.0 | 0.002 / 0.004 | – | – | – |" in text
    assert "| `sca` |" + " – |" * 10 + " 67.80 | 60.20 | 97.83 |" in text
    assert "| `taaf-sum` |" + " – |" * 10 + " 76.75 | 68.91 | – |" in text
    assert "tried for every system: 0.001, 0.002, 0.004; chosen on validation, in 1 of 5 cases the smallest or" in text
    assert (
        "- GRID -12 dB: `snnergy` with 95.0 ± 1.0 % has place 2 among itself and 3 others; over the best of these, "
        "`pmr-sum` with 96.0 ± 0.0 (2 seeds) %, it has -1.0 points (-1.0 deviations). By more than 2 deviations, 1 are "
        "below it and 0 above."
    ) in text
    assert "- images 128 to 48 pixels, tokens of 16 to 8 pixels (36, not 64), base_dim 256 to 64: `cmci`" in text
    assert all(re.search(rf"^- [^`]+: .*`{name}`", text, re.MULTILINE) for name in packaged)
    assert "where self-attention of 9 tokens would be silent: `qkformer-channel-audio`, " in text  # from a second line
    assert "| QKFormer 10-768 | Zhou et al., NeurIPS 2024 | 64.96 |" in text


def test_what_fine_tuning_wins_back():
    row = {"experiment": "digits", "modality": "both", "accuracy_float": 0.99}
    rows = [
        row | {"bits": bits, "accuracy_rounded": rounded, "accuracy_finetuned": 0.98}
        for bits, rounded in ((4, 0.90), (4, 0.92), (8, 0.98))
    ]
    text = "\n\n".join(finetune.section(rows))
    four = (
        "99.0 ± 0.0 (2 seeds) | 91.0 ± 1.4 (2 seeds) | 98.0 ± 0.0 (2 seeds) | 8.0 ± 1.4 (2 seeds) | 1.0 ± 0.0 (2 seeds)"
    )
    assert f"| digits | both | 4 | {four} |" in text
    assert (
        "- 8 bits: rounding costs 1.0 points on average, 1.0 after fine-tuning.\n- 4 bits: rounding costs 8.0" in text
    )


def found(*given: list) -> dict[tuple[str, str], tuple[str, str]]:
    """(claim, where) → what the page says of it, and its verdict; a claim stands in the first of its lines."""
    (*_, text), lines, claim = claims.section(*given), {}, ""
    for line in text.splitlines()[2:]:
        first, _, where, here, holds = (part.strip() for part in line.strip("|").split("|"))
        claim = first or claim
        lines[claim, where] = here, holds
    return lines


STEPS, PATHS = "Every step more is more accurate (table 2)", "Both paths are better than either (table 3)"


def test_claims_on_accuracy_are_decided_by_figures():
    rows = [
        *table_rows("T = 1", "loihi", 0.5, 0.5), *table_rows("T = 2", "loihi", 0.6, 0.6),
        *table_rows("T = 4", "loihi", 0.7, 0.7),
        *table_rows(tables.WHOLE, "loihi", 0.9, 0.91),
        *table_rows("T = 2", "paper", 0.8, 0.81), *table_rows(tables.WHOLE, "paper", 0.7, 0.71),
        *table_rows("spatial", "loihi", 0.5, 0.51),
    ]  # fmt: skip
    fused = [*fusion_rows("none", 0.99, 0.99), *fusion_rows("open_gate", 0.9, 0.91), *fusion_rows("spatial", 0.5, 0.51)]
    hybrid = fusion_rows("open_gate, self-attention", 0.7, 0.71)
    model = hybrid[0]["config"]["model"]
    fused += [each | {"config": each["config"] | {"model": model | {"stage3": "ssa"}}} for each in hybrid]
    table1 = [*system_rows("snnergy", "grid", 0.9, 0.91), *system_rows("cmci", "grid", 0.7, 0.71)]
    lines = found(rows, [fused], table1, [])
    assert lines[STEPS, "-12 dB, `loihi`"][1] == "yes"
    assert lines[STEPS, "-12 dB, `paper`"] == (
        "2, 6: 80.5 ± 0.7 (2 seeds) / 70.5 ± 0.7 (2 seeds); 6 over 2: -10.0 points (-10.0 deviations)", "no",
    )  # fmt: skip
    assert lines[PATHS, "-12 dB, `loihi`"][1] == "undecided"  # of one path there is nothing
    assert lines[PATHS, "digits, binding"][1] == "yes"
    assert lines["Self-attention in stage 3 is better than query-key attention in all", "digits, binding"] == (
        "`open_gate, self-attention` 70.5 ± 0.7 (2 seeds): -20.0 points (-20.0 deviations) over `open_gate`", "no",
    )  # fmt: skip
    above = lines["SNNergy is above all systems of table 1", "GRID -12 dB, `snnergy`"]
    assert above == ("90.5 ± 0.7 (2 seeds): +20.0 points (+20.0 deviations) over the best of 1, `cmci`", "yes")
    assert lines["Populations are as sparse as this (table 4)", "-12 dB, `loihi`"] == (
        "less often: `q`, `k`, `attn`, `mlp1`, `mlp2`", "no",
    )  # fmt: skip
    assert claims.section([], [], [], []) == []


def attention_rows(cheap: float, power: float) -> list[dict]:
    """Of the stages and of layers at the base widths; `cheap`: times that CMQKA takes in the cheap order."""
    rows = []
    for channels, tokens in {*attention.STAGES, *((width, n) for width in (96, 192) for n in (64, 1024))}:
        for name, times, growth in (("CMQKA", 1, 1), (attention.CHEAP, cheap, power), (attention.DEAR, 9, 2)):
            size = {"channels": channels, "tokens": tokens, "system": name}
            figure = times * tokens**growth
            rows += [
                size | {"kind": "operations", "projections": figure, "products": 0.0, "elementwise": 0.0},
                size | {"kind": "layer", "flops": figure, "seconds": figure, "peak_bytes": figure},
            ]
    return rows


@pytest.mark.parametrize(("cheap", "power", "quadratic"), [(0.5, 1.0, "no"), (2.0, 1.5, "yes")])
def test_claims_on_cost_are_decided_by_figures(cheap, power, quadratic):
    lines = found([], [], [], attention_rows(cheap, power))
    here, holds = lines["CMQKA is linear in N (figures 4 to 7)", "a layer in PyTorch"]
    assert (here.split("; ")[1], holds) == ("run time 1.00 / 1.00", "yes")
    assert lines["Self-attention is not", attention.DEAR][1] == "yes"
    assert lines["Self-attention is not", attention.CHEAP][1] == quadratic
    early = "In stages 1 and 2 CMQKA is the cheaper one (table 5)"
    assert lines[early, "operations of the layer"][1] == ("yes" if cheap > 1 else "no")
    hybrid = "In stage 3 it is self-attention (table 5, hybrid against all CMQKA)"
    assert lines[hybrid, "operations, D = 96"][1] == ("no" if cheap > 1 else "yes")


def test_a_page_and_its_plot_are_written_from_the_files_that_are_there(tmp_path, monkeypatch):
    rows = {
        "tables": [table_row(tables.WHOLE, "loihi", 0, 0.9), table_row("T = 1", "loihi", 0, 0.6)],
        "binding": fusion_rows("none", 0.5),
        "table1": system_rows("cmci", "grid", 0.5),
    }
    for name, of in rows.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"rows": of, "tuning": []}))
    file = {name: str(tmp_path / f"{name}.json") for name in (*rows, "absent")}
    given = [file["tables"], "--fusion", file["binding"], file["absent"], "--systems", file["table1"]]
    monkeypatch.setattr(sys, "argv", ["page", *given, "--finetune", file["absent"], "-o", str(tmp_path / "tables.md")])
    command.main()
    assert (tmp_path / "tables.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "tables.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert [heading[3:].partition(":")[0].partition(" ")[0] for heading in headings] == [
        "What",
        "Table",
        "Tables",
        "What",
    ]
    assert "](tables.png)" in text
    assert file["binding"] in text and file["absent"] not in text
