"""A NIR graph that is known to be sound: what lowering and the float oracle start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snnergy.artefacts.types import Labels, Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import Kind
from snnergy.neuromorphic.ir import InputPort


@dataclass(frozen=True)
class NirSource:
    """A sound NIR graph; every node's type is in the table of `nodes`.

    order: node names, topologically sorted. preds: predecessors of each node. shapes: what each node emits.
    dt_reason: where the time step came from. notes: what was assumed, or read otherwise than written.
    """

    nodes: dict[str, Any]
    order: tuple[str, ...]
    preds: dict[str, tuple[str, ...]]
    shapes: dict[str, Shape]
    conventions: Conventions
    dt_reason: str
    name: str
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def dt(self) -> float:
        """Time step in the unit of the graph's time constants."""
        return self.conventions.dt

    def of_type(self, *types: type) -> tuple[str, ...]:
        """Names of the nodes of the given types, in topological order."""
        return tuple(name for name in self.order if isinstance(self.nodes[name], types))

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """Names of the nodes of the given kinds, in topological order."""
        return tuple(name for name in self.order if rule_of(self.nodes[name]).kind in kinds)

    def labels(self, name: str) -> Labels:
        """Labels that the exporter left in the node's metadata; empty for a foreign graph."""
        metadata = self.nodes[name].metadata

        def number(key: str) -> int | None:
            return int(metadata[key]) if key in metadata else None

        return Labels(
            str(metadata.get("role", "")), number("stage"), number("block"), str(metadata.get("modality", ""))
        )

    def ports(self) -> tuple[InputPort, ...]:
        """The inputs as their metadata declares them; an undeclared one is analog, its scale 0 until calibrated."""
        return tuple(self._port(name) for name in self.of_kind("input"))

    def _port(self, name: str) -> InputPort:
        metadata, shape = self.nodes[name].metadata, self.shapes[name]
        if str(metadata.get("value_class", "real")) == "binary":
            return InputPort(name, shape, "binary")
        scale, bits = float(metadata.get("scale", 0.0)), int(metadata.get("bits", 8))
        return InputPort(name, shape, "real", scale, bits, bool(metadata.get("signed", False)))
