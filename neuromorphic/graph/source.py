"""A NIR graph that is known to be sound: what lowering and the float oracle start from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from snnergy.artefacts.held_scales import HeldScales
from snnergy.artefacts.types import Labels, Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import Kind
from snnergy.neuromorphic.graph.time_step import Candidate
from snnergy.neuromorphic.ir import InputPort


@dataclass(frozen=True)
class NirSource:
    """A sound NIR graph; every node's type is in the table of `nodes`.

    order: node names, as `order.sorted_nodes` sorts them. back: edges that arrive one time step later, each in a loop.
    preds: predecessors of each node. shapes: what each node emits. dt_reason, reset_reason: where the time step and
    what a spike does to the membrane came from. other_dts: what else the parameters could mean. inputs: what each input
    sends; an analog one has scale 0 until it is calibrated. declared_inputs: names of those of which that is known.
    notes: what was assumed, or read otherwise than written. held: what neurons were rounded to in fine-tuning, and to
    how many bits; 8, and none, of a network that was not fine-tuned.
    """

    nodes: dict[str, Any]
    order: tuple[str, ...]
    back: frozenset[tuple[str, str]]
    preds: dict[str, tuple[str, ...]]
    shapes: dict[str, Shape]
    conventions: Conventions
    dt_reason: str
    name: str
    sha256: str
    inputs: tuple[InputPort, ...]
    declared_inputs: frozenset[str] = frozenset()
    reset_reason: str = ""
    other_dts: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    held: HeldScales = field(default_factory=lambda: HeldScales(8, {}))

    @property
    def dt(self) -> float:
        """Time step in the unit of the graph's time constants."""
        return self.conventions.dt

    @property
    def operations(self) -> int:
        """Multiplications of one sample in a step, and values that are emitted."""
        work = sum(
            rule_of(self.nodes[name]).multiplications(self.nodes[name], self.shapes[before[0]])
            for name, before in self.preds.items()
            if before
        )
        return work + sum(map(math.prod, self.shapes.values()))

    @property
    def read_as(self) -> str:
        """The conventions but for the time step, in words, and where what a spike does is from."""
        return f"{self.conventions} (reset: {self.reset_reason})"

    def of_type(self, *types: type) -> tuple[str, ...]:
        """Names of the nodes of the given types, in order."""
        return tuple(name for name in self.order if isinstance(self.nodes[name], types))

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """Names of the nodes of the given kinds, in order."""
        return tuple(name for name in self.order if rule_of(self.nodes[name]).kind in kinds)

    def labels(self, name: str) -> Labels:
        """Labels that the exporter left in the node's metadata; empty for a foreign graph."""
        metadata = self.nodes[name].metadata

        def number(key: str) -> int | None:
            return int(metadata[key]) if key in metadata else None

        return Labels(
            str(metadata.get("role", "")), number("stage"), number("block"), str(metadata.get("modality", ""))
        )
