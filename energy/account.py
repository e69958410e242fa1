"""Recorded activity to an energy report, in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snnergy.artefacts import display
from snnergy.artefacts.activity import Activity, Recorded
from snnergy.artefacts.activity_file import read_activity
from snnergy.artefacts.files import refuse_overwrite
from snnergy.energy.ledger import Place
from snnergy.energy.operations import KIND
from snnergy.energy.prices import technology_named
from snnergy.energy.report.folder import FOLDER, inputs_of, write_report
from snnergy.energy.report.units import energy as energy_text
from snnergy.energy.report.units import ratio
from snnergy.energy.summary import Part, Summary, summarise

if TYPE_CHECKING:
    import pandas

By = Literal["node", "stage", "role", "modality", "operation"]

# A node is charged for its own operations and for the synapses that drive it.
_KEYS: dict[By, Callable[[Place], Any]] = {
    "node": lambda place: place.target,
    "stage": lambda place: place.stage,
    "role": lambda place: place.role,
    "modality": lambda place: place.modality,
}


@dataclass(frozen=True, eq=False, repr=False)
class EnergyReport(Summary):
    """The energy of a run as numbers, with the forms in which it is shown and kept."""

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write report.html, energy.json, energy.csv, firing_rates.csv and plots.

        Raises:
            UserError: `folder` exists and `force` is false, or it cannot be written.
        """
        write_report(self, Path(folder), force=force)
        return Path(folder)

    def rows(self, by: By = "node") -> list[dict[str, Any]]:
        """A row for each part of the network: its energy, and its count of each operation, of the mean sample."""
        if by == "operation":
            energies = self.total.by_operation_pj
            return [
                {"operation": name, "title": KIND[name].title, "count": number, "energy_pj": energies.get(name)}
                for name, number in self.total.counts.items()
            ]
        return [_row(by, key, part) for key, part in self.parts(_KEYS[by]).items()]

    def to_dataframe(self, by: By = "node") -> pandas.DataFrame:
        """`rows`, indexed by `by`; needs pandas."""
        return display.data_frame(self.rows(by), by)

    def __repr__(self) -> str:
        run = self.activity
        return (
            f"EnergyReport({display.printable(run.model)}: "
            f"{energy_text(self.energy_snn_pj)} an inference in {self.technology.name}; "
            f"fp32 ANN {energy_text(self.energy_ann_pj)} ({ratio(self.ratio_ann)}), "
            f"{self.quantized_ann.bits}-bit ANN {energy_text(self.energy_quantized_ann_pj)} "
            f"({ratio(self.ratio_quantized_ann)}), {run.samples} samples; estimates)"
        )

    def _repr_html_(self) -> str:
        return display.html(repr(self), self.rows("operation"))


def energy(
    run: Path | str | Activity | Recorded,
    *,
    technology: str = "45nm-fp32",
    output: Path | str | None = None,
    force: bool = False,
) -> EnergyReport:
    """Count every operation of a recorded run, price it, and compare it with artificial networks.

    Args:
        run: what `simulate` returns, or the path of an activity file; its layout is in
            `snnergy.artefacts.activity_file`.
        technology: a key of `snnergy.energy.TECHNOLOGIES`.
        output: folder to write the report to; None writes nothing.
        force: replace `output` if an earlier report is there; any other folder is never replaced.

    Raises:
        UserError: a bad activity file, an unknown technology, or `output` exists or cannot be written.
        LedgerMismatch: the counts disagree with what the simulator delivered.
    """
    technology_named(technology)
    activity = _activity(run)
    if output is not None:
        # Before minutes of counting, not after.
        refuse_overwrite(Path(output), force, inputs=inputs_of(activity), folder=FOLDER)
    report = EnergyReport(**vars(summarise(activity, technology=technology)))
    if output is not None:
        report.save(output, force=force)
    return report


def _activity(run: Path | str | Activity | Recorded) -> Activity:
    if isinstance(run, Path | str):
        return read_activity(run)
    return run if isinstance(run, Activity) else run.activity


def _row(by: By, key: object, part: Part) -> dict[str, Any]:
    counts = {operation: part.counts.get(operation, 0.0) for operation in KIND}
    return {by: key, "energy_pj": None if part.energy_pj is None else part.energy_pj.mean} | counts
