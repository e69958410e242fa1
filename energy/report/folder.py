"""Writes the report folder, whole or not at all.

report.html         everything, in one file that needs no other
energy.json         everything, for machines
energy.csv          every operation at every place
firing_rates.csv    every node that sends values
plots/*.svg
"""

from __future__ import annotations

from pathlib import Path

from snnergy.artefacts.files import refuse_overwrite, written_whole
from snnergy.energy.report.page import page
from snnergy.energy.report.plots import plots
from snnergy.energy.report.tables import write_energy_csv, write_json, write_rates_csv
from snnergy.energy.summary import EnergyReport, summarise


def write_report(activity: Path, output: Path, *, technology: str = "45nm-fp32", force: bool = False) -> EnergyReport:
    """Count and price a recorded run and write its report folder.

    Args:
        activity: an activity file; its layout is in `snnergy.energy.read_activity`.
        output: folder to make; an existing one is replaced if `force`.
        technology: a key of `snnergy.energy.TECHNOLOGIES`.

    Returns:
        What was written, as numbers.

    Raises:
        UserError: a bad activity file, an unknown technology, or `output` exists or cannot be written.
        LedgerMismatch: the counts disagree with what the simulator delivered.
    """
    output = Path(output)
    refuse_overwrite(output, force)  # before minutes of counting, not after
    report = summarise(activity, technology=technology)
    drawn = plots(report)
    with written_whole(output, force=force) as folder:
        (folder / "plots").mkdir(parents=True)
        for name, svg in drawn.items():
            (folder / "plots" / f"{name}.svg").write_text(svg, "utf-8")
        write_json(report, folder / "energy.json")
        write_energy_csv(report, folder / "energy.csv")
        write_rates_csv(report, folder / "firing_rates.csv")
        (folder / "report.html").write_text(page(report, drawn), "utf-8")
    return report
