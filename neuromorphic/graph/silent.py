"""Makes integrators of neurons that never fire, which is how frameworks write a last layer without spikes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snnergy.neuromorphic.graph.nodes import rule_of


def as_readouts(nodes: Mapping[str, Any], edges: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`nodes`, with a readout for each neuron whose thresholds are all infinite and that leads to outputs alone.

    One that leads anywhere else stays a neuron: it has nothing to say there, which lowering refuses.
    """
    speaking = {source for source, target in edges if rule_of(nodes[target]).kind != "output"}
    return {
        name: node if name in speaking or (integrator := rule_of(node).integrator(node)) is None else integrator
        for name, node in nodes.items()
    }
