"""What compilation returns: an integer network and what lowering did to each of its nodes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnergy.artefacts import display
from snnergy.artefacts.files import refuse_overwrite, written_whole
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.lowering.fidelity import FidelityReport
from snnergy.neuromorphic.netx.files import write_sound
from snnergy.neuromorphic.netx.soundness import require_sound

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Compiled:
    """An integer network with its fidelity report."""

    net: QuantNet
    fidelity: FidelityReport

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write `model.net`, and `model.fidelity.json` beside it.

        Both are written before either takes its place, the report first: a new network never lies beside an old report,
        whenever the writer is killed.

        Returns:
            The path of the report.

        Raises:
            UserError: one of them exists and `force` is false, or cannot be written.
        """
        path = Path(path)
        refuse_overwrite(path, force)
        report = report_path(path)
        refuse_overwrite(report, force)
        require_sound(self.net, str(path))
        with written_whole(path, force=force) as scratch:
            write_sound(self.net, scratch)
            self.fidelity.write(report, force=force)
        return report

    def rows(self) -> list[dict[str, Any]]:
        """The fidelity report, a row a node."""
        return [asdict(node) for node in self.fidelity.nodes]

    def to_dataframe(self) -> pandas.DataFrame:
        """`rows`, indexed by node; needs pandas."""
        return display.data_frame(self.rows(), "node")

    def __repr__(self) -> str:
        report = self.fidelity
        name = display.printable(self.net.provenance.get("source", "network"))
        measured = "fidelity not measured"
        if report.samples:
            measured = f"{display.percent(report.same_prediction)} same predictions on {report.samples} samples"
        if report.accuracy_float is not None:
            accuracies = map(display.percent, (report.accuracy_float, report.accuracy_quantized))
            measured = "accuracy {} in float, {} in {} bits on {} samples".format(
                *accuracies, report.bits, report.samples
            )
        size = f"{len(self.net.populations)} populations, {len(self.net.synapses)} synapses"
        warned = f", {len(report.warnings)} warnings" if report.warnings else ""
        return f"Compiled({name}: {size}, {measured}{warned})"

    def _repr_html_(self) -> str:
        fields = ("node", "verdict", "spikes_float", "spikes_chip", "overlap", "distance", "agreement", "own_error")
        return display.html(repr(self), [{field: row[field] for field in fields} for row in self.rows()])


def report_path(net: Path) -> Path:
    """Where the fidelity report of a `.net` file lies."""
    return net.with_suffix(".fidelity.json")
