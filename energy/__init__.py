"""Energy of a recorded spiking run: exact counts of operations, published prices, and fair counterparts.

    activity.h5 ─▶ ledger (counts) ─▶ bill (picojoules) ─▶ summary (beside ANNs) ─▶ report/ (page, tables, plots)

The activity file is the only input, so that any simulator can write one; `snnergy.energy.read_activity` has its layout.
"""

from snnergy.energy.activity import Activity, Edge, Node
from snnergy.energy.ledger import Ledger, LedgerMismatch, count
from snnergy.energy.prices import TECHNOLOGIES, Price, Technology
from snnergy.energy.read_activity import read_activity
from snnergy.energy.report.folder import write_report
from snnergy.energy.report.tables import headline
from snnergy.energy.report.terminal import print_report
from snnergy.energy.summary import ESTIMATES_ONLY, EnergyReport, summarise

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
    "Technology",
    "count",
    "headline",
    "print_report",
    "read_activity",
    "summarise",
    "write_report",
]
