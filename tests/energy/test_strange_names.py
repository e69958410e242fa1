"""Names from a stranger's file are shown as text in every form of a report, and never acted upon."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from rich.console import Console

from snnergy.energy import EnergyReport, energy, print_report
from snnergy.energy.report import page, plots
from snnergy.energy.report.tables import _inert
from tests.energy import networks
from tests.energy.activity_files import Edge, Node, write_activity

ROLES = ("$\\frac{", "_x^2$", "=1+1", "\x1b[31mred", "[/bold]", "\u202eback", "two\nlines", "#1d232b", "日" * 300)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[EnergyReport, Path]:
    folder = tmp_path_factory.mktemp("strange")
    rng = np.random.default_rng(0)
    nodes = [Node("=in\u202e", networks.spikes(rng, 3), kind="input")]
    nodes += [
        Node(
            f"<{role.replace('/', '|')}>",
            networks.spikes(rng, 3),
            attrs={"role": role, "modality": "@m\x07", "stage": i},
        )
        for i, role in enumerate(ROLES)
    ]
    edges = [Edge("=in\u202e", node.name, networks.weights(rng, 3, 3)) for node in nodes[1:]]
    path = write_activity(folder / "activity.h5", nodes, edges)
    with h5py.File(path, "a") as file:
        file.attrs["model"] = "</title>[/x]\x1b]0;title\x07 {{ 7 * 7 }}"
        file.attrs["backend"] = "\x1b[2J"
        file.attrs["provenance"] = json.dumps({"\ud800": "\x00\udc80", "by": "<script>"})
    return energy(path, output=folder / "report"), folder / "report"


def unprintable(text: str) -> set[str]:
    return {character for character in text if not character.isprintable() and character != "\n"}


def test_plots_are_xml_and_show_names_literally(written: tuple[EnergyReport, Path]) -> None:
    for path in (written[1] / "plots").iterdir():
        text = path.read_text("utf-8")
        root = ElementTree.fromstring(text)
        assert unprintable(text) == set() and len(text) < 200_000
    shown = {"".join(e.itertext()).strip() for e in ElementTree.parse(written[1] / "plots/firing_rates.svg").iter()}
    assert {"$\\frac{", "_x^2$", "\\x1b[31mred", "two\\nlines", "日" * 12 + "…" + "日" * 11} <= shown
    assert root.tag.endswith("svg")


def test_the_page_escapes_and_shortens(written: tuple[EnergyReport, Path]) -> None:
    text = (written[1] / "report.html").read_text("utf-8")
    assert unprintable(text) == set()
    assert "<script" not in text and text.count("</title>") == 1 and "{{ 7 * 7 }}" in text
    assert "日" * 101 not in text and "日…日" in text
    assert ">#1d232b</text>" in text  # a role, and no colour of the plot


def test_json_has_the_names_in_full(written: tuple[EnergyReport, Path]) -> None:
    document = json.loads((written[1] / "energy.json").read_text("utf-8"))
    assert {row["role"] for row in document["by_role"]} >= set(ROLES)
    assert document["provenance"]["recorded"]["\ud800"] == "\x00\udc80"


def test_csv_has_the_names_in_full_and_no_formula(written: tuple[EnergyReport, Path]) -> None:
    with (written[1] / "firing_rates.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert {row["role"].removeprefix("'") for row in rows.values()} == {"", *ROLES}
    assert rows["<=1+1>"]["role"] == "'=1+1" and rows["<=1+1>"]["modality"] == "'@m\x07"
    rates = {rate.node.name: rate.rate.mean for rate in written[0].rates}
    assert float(rows["'=in\u202e"]["rate"]) == rates["=in\u202e"]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", " \t=1", "\tx", "\rx", "'x", "＝1"])
def test_what_a_spreadsheet_would_run_has_an_apostrophe(text: str) -> None:
    assert _inert(text) == "'" + text


def test_numbers_and_other_texts_stay_as_they_are() -> None:
    assert [_inert(value) for value in (-1.5, -1, None, "a=1", "stage1.q → head")] == [
        -1.5, -1, None, "a=1", "stage1.q → head",
    ]  # fmt: skip
    assert _inert("a\0b") == "a\\x00b"


def test_the_terminal_gets_no_escape_and_no_markup(written: tuple[EnergyReport, Path]) -> None:
    text = io.StringIO()
    print_report(written[0], Console(file=text, width=200))
    assert unprintable(text.getvalue()) == set()
    assert "</title>[/x]\\x1b]0;title\\x07" in text.getvalue()


def test_a_notebook_gets_no_markup(written: tuple[EnergyReport, Path]) -> None:
    assert unprintable(written[0]._repr_html_()) == set()
    assert "</title>" not in written[0]._repr_html_()


def test_many_rows_are_cut_and_counted(written: tuple[EnergyReport, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_LIMITS", page._LIMITS | {"parts": 2, "columns": 3, "edges": 4})
    monkeypatch.setattr(plots, "_ROLES", 5)
    drawn = plots.plots(written[0])
    assert "role (the first 5 of 9)" in drawn["firing_rates"]
    text = page.page(written[0], drawn)
    assert "and 5 more, which energy.json" in text  # of nine operators
    assert "6 more places are in firing_rates.csv" in text
