"""Energy of a recorded spiking run: exact counts of operations, published prices, and fair counterparts.

    activity ─▶ ledger (counts) ─▶ bill (picojoules) ─▶ summary (beside ANNs) ─▶ report/ (page, tables, plots)

Recorded activity is the only input, so any simulator can write one: `snnergy.artefacts.activity_file` has the layout.
The package is a function as well: `snnergy.energy(run)` is `snnergy.energy.account.energy(run)`.
"""

from typing import TYPE_CHECKING

from snnergy.artefacts.lazy_package import make_lazy

if TYPE_CHECKING:
    from snnergy.artefacts.activity import Activity, Edge, Node
    from snnergy.artefacts.activity_file import read_activity
    from snnergy.energy.account import EnergyReport, energy
    from snnergy.energy.ledger import Ledger, LedgerMismatch, count
    from snnergy.energy.prices import TECHNOLOGIES, Price, Technology
    from snnergy.energy.report.tables import headline
    from snnergy.energy.report.terminal import print_report
    from snnergy.energy.summary import ESTIMATES_ONLY, Summary, summarise

__all__ = [
    "ESTIMATES_ONLY",
    "TECHNOLOGIES",
    "Activity",
    "Edge",
    "EnergyReport",
    "Ledger",
    "LedgerMismatch",
    "Node",
    "Price",
    "Summary",
    "Technology",
    "count",
    "energy",
    "headline",
    "print_report",
    "read_activity",
    "summarise",
]

_HOMES = {
    "snnergy.artefacts.activity": ("Activity", "Edge", "Node"),
    "snnergy.artefacts.activity_file": ("read_activity",),
    "snnergy.energy.account": ("EnergyReport", "energy"),
    "snnergy.energy.ledger": ("Ledger", "LedgerMismatch", "count"),
    "snnergy.energy.prices": ("TECHNOLOGIES", "Price", "Technology"),
    "snnergy.energy.report.tables": ("headline",),
    "snnergy.energy.report.terminal": ("print_report",),
    "snnergy.energy.summary": ("ESTIMATES_ONLY", "Summary", "summarise"),
}
make_lazy(__name__, {name: home for home, names in _HOMES.items() for name in names}, main="energy")
