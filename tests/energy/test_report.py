"""The report folder: complete, self-contained, and the same numbers in every form."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import h5py
import pytest
from rich.console import Console

from snnergy.artefacts.errors import CheckFailed, UserError
from snnergy.energy import ESTIMATES_ONLY, EnergyReport, energy, print_report
from snnergy.energy.report import units
from tests.energy import networks


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[EnergyReport, Path]:
    folder = tmp_path_factory.mktemp("report")
    return energy(networks.mixed(folder / "activity.h5"), output=folder / "report"), folder / "report"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def test_the_folder_is_complete(written: tuple[EnergyReport, Path]) -> None:
    names = {str(path.relative_to(written[1])) for path in written[1].rglob("*") if path.is_file()}
    plots = ("energy_by_stage", "energy_over_samples", "firing_rates", "spikes_over_time")
    tables = {"report.html", "energy.json", "energy.csv", "firing_rates.csv", ".snnergy"}
    assert names == tables | {f"plots/{name}.svg" for name in plots}


def test_headline_follows_from_the_counts(written: tuple[EnergyReport, Path]) -> None:
    report = written[0]
    counts = report.total.counts
    adds = sum(counts[name] for name in ("ac", "ac_weighted", "neuron_update", "bias_add"))
    multiplies = counts["mac_dense"] + counts["leak"]
    assert report.energy_snn_pj == pytest.approx(0.9 * adds + 4.6 * multiplies)
    assert report.ratio_ann == pytest.approx(report.energy_ann_pj / report.energy_snn_pj)
    assert report.encoder_pj == pytest.approx(4.6 * counts["mac_dense"])
    assert report.encoder_once_pj == pytest.approx(report.encoder_pj / networks.STEPS)
    assert [place.source for place in report.multiplying_edges] == ["image"]


def test_json_holds_the_numbers_of_the_report(written: tuple[EnergyReport, Path]) -> None:
    report, folder = written
    document = json.loads((folder / "energy.json").read_text("utf-8"))
    assert (document["format"], document["version"]) == ("snnergy-energy", 1)
    headline = document["headline"]
    assert headline["energy_snn_pj"] == report.energy_snn_pj
    assert headline["energy_ann_pj"] == report.energy_ann_pj
    assert headline["energy_quantized_ann_pj"] == report.energy_quantized_ann_pj
    assert document["snn"]["per_sample_pj"] == report.per_sample_pj.tolist()
    assert document["snn"]["energy_pj"]["ci95"] == list(report.total.energy_pj.ci95)
    assert document["activity"]["accuracy"] == 0.8
    assert document["provenance"]["recorded"] == {"seed": 0}
    assert all(price["source"] and price["grade"] for price in document["technology"]["prices"])
    assert document["disclaimer"] == ESTIMATES_ONLY


def test_csv_adds_up_to_the_report(written: tuple[EnergyReport, Path]) -> None:
    report, folder = written
    table = rows(folder / "energy.csv")
    assert sum(float(row["energy_pj"]) for row in table if row["energy_pj"]) == pytest.approx(report.energy_snn_pj)
    for operation, mean in report.total.counts.items():
        counted = sum(int(row["count"]) for row in table if row["operation"] == operation)
        assert counted / networks.SAMPLES == pytest.approx(mean, rel=1e-15)


def test_rates_csv_reads_back_to_the_same_floats(written: tuple[EnergyReport, Path]) -> None:
    report, folder = written
    table = {row["name"]: row for row in rows(folder / "firing_rates.csv")}
    for row in report.rates:
        assert float(table[row.node.name]["rate"]) == row.rate.mean
        assert float(table[row.node.name]["rate_std"]) == row.rate.std
    assert table["image"]["stage"] == ""  # unknown, not -1 and not 0


class _Page(HTMLParser):
    """Collects links and checks that tags close."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "srcset", "data"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_from_outside(written: tuple[EnergyReport, Path]) -> None:
    text = (written[1] / "report.html").read_text("utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert all(link.startswith("#") for link in page.links)
    assert "http" not in text
    assert "@import" not in text
    assert "<script" not in text
    assert not re.search(r"url\((?!#)", text)


def test_the_page_says_that_it_estimates(written: tuple[EnergyReport, Path]) -> None:
    footer = (written[1] / "report.html").read_text("utf-8").partition("<footer>")[2]
    assert ESTIMATES_ONLY in footer
    assert "static power" in ESTIMATES_ONLY


def test_the_page_shows_the_numbers_of_the_report(written: tuple[EnergyReport, Path]) -> None:
    report, folder = written
    text = (folder / "report.html").read_text("utf-8")
    for pj in (report.energy_snn_pj, report.energy_ann_pj, report.energy_quantized_ann_pj, report.paper.formula_pj):
        assert units.energy(pj) in text
    for shown in ("80 %", "image send", "2-bit ANN", "Horowitz", "stage1.stem", "stage 2"):
        assert shown in text


def test_names_from_the_file_are_escaped(tmp_path: Path) -> None:
    path = networks.mixed(tmp_path / "activity.h5")
    with h5py.File(path, "a") as file:
        file.attrs["model"] = "<script>alert(1)</script>"
    energy(path, output=tmp_path / "report")
    assert "<script" not in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_plots_name_their_axes_and_units(written: tuple[EnergyReport, Path]) -> None:
    expected = {
        "energy_by_stage": ("stage", "energy per inference (nJ)"),
        "energy_over_samples": ("samples", "energy per inference (nJ)"),
        "firing_rates": ("role", "firing rate (% of neurons and steps)"),
        "spikes_over_time": ("time step", "spikes per inference, mean ± std"),
    }
    for name, titles in expected.items():
        root = ElementTree.fromstring((written[1] / "plots" / f"{name}.svg").read_text("utf-8"))
        shown = {"".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")}
        assert set(titles) <= shown


def test_the_same_run_gives_the_same_files(written: tuple[EnergyReport, Path], tmp_path: Path) -> None:
    energy(networks.mixed(tmp_path / "activity.h5"), output=tmp_path / "report")
    for path in written[1].rglob("*.*"):
        assert (tmp_path / "report" / path.relative_to(written[1])).read_bytes() == path.read_bytes()


def test_an_unpriced_run_has_no_total_anywhere(tmp_path: Path) -> None:
    report = energy(networks.mixed(tmp_path / "activity.h5"), output=tmp_path / "report", technology="loihi2")
    assert report.energy_snn_pj is None
    assert report.ratio_ann is None
    assert len(report.unpriced) == 5
    document = json.loads((tmp_path / "report" / "energy.json").read_text("utf-8"))
    assert document["headline"]["energy_snn_pj"] is None
    assert document["headline"]["unpriced"] == list(report.unpriced)
    assert document["snn"]["synaptic_pj"] is None
    text = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert all(line in text for line in report.unpriced)
    assert "Operations by stage" in text
    assert all(row["energy_pj"] == "" for row in rows(tmp_path / "report" / "energy.csv"))


def test_a_network_that_only_spikes_has_a_total_on_loihi_1(tmp_path: Path) -> None:
    report = energy(networks.spiking(tmp_path / "activity.h5"), technology="loihi1")
    counts = report.total.counts
    expected = 23.6 * counts["ac"] + 81 * counts["neuron_update"] + 1.7 * counts["spike"]
    assert report.energy_snn_pj == pytest.approx(expected)
    assert report.multiplying_edges == ()
    assert report.unpriced == ()


def test_parts_add_up_to_the_whole(written: tuple[EnergyReport, Path]) -> None:
    report = written[0]
    for parts in (report.stages(), report.parts(lambda place: place.role)):
        assert sum(part.energy_pj.mean for part in parts.values()) == pytest.approx(report.energy_snn_pj)
    assert list(report.stages()) == [1, 2, None]


def test_terminal(written: tuple[EnergyReport, Path]) -> None:
    text = io.StringIO()
    print_report(written[0], Console(file=text, width=200))
    for shown in (units.energy(written[0].energy_snn_pj), "2-bit ANN", "stage 2", "accuracy 80 %", ESTIMATES_ONLY):
        assert shown in " ".join(text.getvalue().split())


def test_terminal_lists_what_is_unpriced(tmp_path: Path) -> None:
    text = io.StringIO()
    report = energy(networks.mixed(tmp_path / "activity.h5"), technology="loihi2")
    print_report(report, Console(file=text, width=200))
    assert all(line in " ".join(text.getvalue().split()) for line in report.unpriced)


def test_an_existing_folder_is_kept_unless_forced(tmp_path: Path) -> None:
    path = networks.mixed(tmp_path / "activity.h5")
    energy(path, output=tmp_path / "report")
    page = tmp_path / "report" / "report.html"
    page.write_text("old")
    with pytest.raises(UserError, match="exists already"):
        energy(path, output=tmp_path / "report")
    assert page.read_text() == "old"
    energy(path, output=tmp_path / "report", force=True)
    assert page.read_text() != "old"
    (tmp_path / "report" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.txt, which snnergy energy did not write"):
        energy(path, output=tmp_path / "report", force=True)
    assert (tmp_path / "report" / "notes.txt").exists()


def test_a_report_never_replaces_the_activity_that_it_is_made_from(tmp_path: Path) -> None:
    energy(networks.mixed(tmp_path / "activity.h5"), output=tmp_path / "report")
    inside = (tmp_path / "activity.h5").rename(tmp_path / "report" / "activity.h5")
    with pytest.raises(UserError, match="holds the input"):
        energy(inside, output=tmp_path / "report", force=True)
    report = energy(inside)
    with pytest.raises(UserError, match="holds the input"):
        report.save(tmp_path / "report", force=True)
    assert inside.exists()


def test_nothing_is_written_when_the_counts_disagree(tmp_path: Path) -> None:
    path = networks.mixed(tmp_path / "activity.h5")
    with h5py.File(path, "a") as file:
        file["edges/0/delivered"][0, 0] += 1
    with pytest.raises(CheckFailed):
        energy(path, output=tmp_path / "report")
    assert {entry.name for entry in tmp_path.iterdir()} == {"activity.h5"}


@pytest.mark.parametrize(
    ("pj", "shown"),
    [(0.0, "0 pJ"), (0.9, "0.900 pJ"), (999.4, "999 pJ"), (1234.0, "1.23 nJ"), (7.4635e9, "7.46 mJ"), (None, "—")],
)
def test_energies_as_shown(pj: float | None, shown: str) -> None:
    assert units.energy(pj) == shown


def test_rates_as_shown() -> None:
    assert units.percent(0.1304) == "13.0 %"
    assert units.signed_percent(-12.34) == "-12.3 %"
    assert [units.break_even(rate) for rate in (None, -0.1, 0.057, 1.2)] == ["—", "no rate", "5.70 %", "any rate"]


def foreign(path: Path) -> Path:
    """A network whose nodes nobody labelled, compiled with warnings, in a run that overflowed."""
    networks.spiking(path)
    with h5py.File(path, "a") as file:
        for node in file["nodes"].values():
            for label in ("role", "stage", "block", "modality"):
                node.attrs.pop(label, None)
        file["nodes"]["hidden"].attrs.update(wrapped=7, clipped=2)
        file.attrs["provenance"] = json.dumps({"dt": "0.1 (given)", "warnings": "input <i>: assumed\nweights are 0"})
    return path


def test_a_network_without_labels_is_divided_by_its_nodes(tmp_path: Path) -> None:
    report = energy(foreign(tmp_path / "activity.h5"), output=tmp_path / "report")
    assert report.division == "node" and list(report.regions()) == ["hidden", "head"]
    assert [row.node.name for row in report.rates] == ["events", "hidden"]
    shown = {
        name: (tmp_path / "report" / "plots" / f"{name}.svg").read_text("utf-8")
        for name in ("energy_by_stage", "firing_rates", "spikes_over_time")
    }
    for name, nodes in (
        ("energy_by_stage", ("hidden", "head")),
        ("firing_rates", ("events", "hidden")),
        ("spikes_over_time", ("events", "hidden")),
    ):
        assert all(f">{node}<" in shown[name] for node in nodes), name
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "unplaced" not in page and "no role" not in page and "Energy by node" in page


def test_what_the_figures_rest_on_is_said_everywhere(tmp_path: Path) -> None:
    report = energy(foreign(tmp_path / "activity.h5"), output=tmp_path / "report")
    first, second, wrapped, clipped = report.warnings
    assert (first, second) == ("input <i>: assumed", "weights are 0")
    assert "u wrapped around" in wrapped and "hidden (7 times)" in wrapped and "hidden (2 times)" in clipped
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert page.index("input &lt;i&gt;: assumed") < page.index("Beside networks of the same shape")
    assert json.loads((tmp_path / "report" / "energy.json").read_text("utf-8"))["warnings"] == list(report.warnings)
    console = Console(width=200, record=True, file=io.StringIO())
    print_report(report, console)
    assert "warning: input <i>: assumed" in console.export_text()
