"""Writes the report folder, whole or not at all.

report.html         everything, in one file that needs no other
energy.json         everything, for machines
energy.csv          every operation at every place
firing_rates.csv    every node that sends values
plots/*.svg
"""

from __future__ import annotations

from pathlib import Path

from snnergy.artefacts.activity import Activity
from snnergy.artefacts.files import FolderOf, written_whole
from snnergy.energy.report.page import page
from snnergy.energy.report.plots import plots
from snnergy.energy.report.tables import write_energy_csv, write_json, write_rates_csv
from snnergy.energy.summary import Summary

FOLDER = FolderOf("snnergy energy")


def write_report(report: Summary, output: Path, *, force: bool = False) -> None:
    """Write the report folder of a run.

    Args:
        output: folder to make; one of an earlier report is replaced if `force`, any other never.

    Raises:
        UserError: `output` exists, holds the activity file, or cannot be written.
    """
    drawn = plots(report)
    with written_whole(output, force=force, inputs=inputs_of(report.activity), folder=FOLDER) as folder:
        (folder / "plots").mkdir()
        for name, svg in drawn.items():
            (folder / "plots" / f"{name}.svg").write_text(svg, "utf-8")
        write_json(report, folder / "energy.json")
        write_energy_csv(report, folder / "energy.csv")
        write_rates_csv(report, folder / "firing_rates.csv")
        (folder / "report.html").write_text(page(report, drawn), "utf-8")


def inputs_of(run: Activity) -> list[Path]:
    """The file that a report of `run` is made from, which the report never replaces; none where it is in memory."""
    return [run.file] if isinstance(run.file, Path) else []
