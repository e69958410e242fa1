"""The time step of a graph, which NIR does not store: given, declared by the exporter, or guessed and said so."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.metadata import LARGEST, SMALLEST
from snnergy.neuromorphic.graph.nodes import rule_of

# Published reference graphs that store no dt were written with this step (NIR paper, Pedersen et al. 2024).
_CUSTOMARY_DT = 1e-4


def choose_dt(graph: nir.NIRGraph, dt: float | None) -> tuple[float, str]:
    """The time step in the unit of the graph's time constants, and where it comes from.

    Args:
        graph: of nodes whose types are in the table.
        dt: what the user asks for; None leaves the choice to the graph.

    Raises:
        UserError: `dt` is not within its range above 0.
    """
    if dt is not None:
        if not SMALLEST <= dt <= LARGEST:
            raise UserError(
                f"dt {dt}: must be above 0, within {SMALLEST:g}..{LARGEST:g}; give the step the time constants were "
                "written for"
            )
        return dt, "given"
    if "dt" in graph.metadata:
        return float(graph.metadata["dt"]), "from the file's metadata"
    taus = [_shortest(node) for node in graph.nodes.values() if rule_of(node).time_constant]
    if taus and min(taus) >= 1:
        return 1.0, "guessed: every time constant is at least 1, so they count steps; give dt to change it"
    return _CUSTOMARY_DT, f"guessed: the customary {_CUSTOMARY_DT:g}; give dt to change it"


def _shortest(node: Any) -> float:
    return float(np.min(getattr(node, rule_of(node).time_constant)))
