"""Makes integrators of neurons that never fire, which is how frameworks write a last layer without spikes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import nir
import numpy as np

from snnergy.neuromorphic.graph.nodes import rule_of

# What a neuron is without its threshold; fields of the same name mean the same in both.
_INTEGRATORS: dict[type, tuple[type, tuple[str, ...]]] = {
    nir.LIF: (nir.LI, ("tau", "r", "v_leak")),
    nir.IF: (nir.I, ("r",)),
    nir.CubaLIF: (nir.CubaLI, ("tau_syn", "tau_mem", "r", "v_leak", "w_in")),
}


def as_readouts(nodes: Mapping[str, Any], edges: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`nodes`, with a readout for each neuron whose thresholds are all infinite and that leads to outputs alone.

    One that leads anywhere else stays a neuron: it has nothing to say there, which lowering refuses.
    """
    spoken_to: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        spoken_to[source].append(target)
    return {
        name: _integrator(node)
        if _never_fires(node) and all(rule_of(nodes[target]).kind == "output" for target in spoken_to[name])
        else node
        for name, node in nodes.items()
    }


def _never_fires(node: Any) -> bool:
    return type(node) in _INTEGRATORS and bool((np.asarray(node.v_threshold) == np.inf).all())


def _integrator(node: Any) -> Any:
    kind, fields = _INTEGRATORS[type(node)]
    return kind(**{name: getattr(node, name) for name in fields}, metadata=node.metadata)
