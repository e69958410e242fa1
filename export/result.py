"""What an export comes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snnergy.export.parity import Parity


@dataclass(frozen=True, repr=False)
class ExportResult:
    """A written graph.

    Attributes:
        path: of the file.
        parity: against the network, None if there were no samples.
        inputs_origin: how many samples the parity was checked on, and which; None if there were none.
        nodes, edges: of the graph.
        populations: nodes that are neurons of the network.
        sha256: of the file.
    """

    path: Path
    parity: Parity | None
    inputs_origin: str | None
    nodes: int
    edges: int
    populations: int
    sha256: str

    def __repr__(self) -> str:
        checked = "not compared" if self.parity is None else f"{self.parity.mismatches} mismatches"
        return f"ExportResult({self.path}: {self.nodes} nodes, {self.edges} edges, {checked})"
