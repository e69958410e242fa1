"""One table of everything the toolchain knows of NIR's node types; a new type is a new entry, and nothing else."""

from __future__ import annotations

from typing import Any

from snnergy.neuromorphic.graph.nodes.layers import Affine, Conv1d, Conv2d, Linear
from snnergy.neuromorphic.graph.nodes.neurons import IF, LIF, CubaLIF, Threshold
from snnergy.neuromorphic.graph.nodes.pools import AvgPool2d, SumPool2d
from snnergy.neuromorphic.graph.nodes.ports import Input, Output
from snnergy.neuromorphic.graph.nodes.readouts import LI, CubaLI, I
from snnergy.neuromorphic.graph.nodes.rule import Rule
from snnergy.neuromorphic.graph.nodes.wiring import Delay, Flatten, Scale

__all__ = ["RULES", "rule_of"]

_ENTRIES: tuple[Rule, ...] = (
    Input(),
    Output(),
    LIF(),
    IF(),
    CubaLIF(),
    Threshold(),
    LI(),
    I(),
    CubaLI(),
    Affine(),
    Linear(),
    Conv1d(),
    Conv2d(),
    AvgPool2d(),
    SumPool2d(),
    Delay(),
    Flatten(),
    Scale(),
)
RULES: dict[type, Rule] = {rule.nir_type: rule for rule in _ENTRIES}


def rule_of(node: Any) -> Rule:
    """The rule of `node`, whose type must be in the table, as that of every node of a `NirSource` is."""
    return RULES[type(node)]
