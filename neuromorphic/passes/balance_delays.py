"""Gives every population its pipeline depth and every synapse the extra delay that makes branches meet.

Requires: populations in topological order. Ensures: for every synapse, depth(source) + 1 + balance = depth(target),
with inputs at depth 0. On the chip each synapse costs one step, so logical step t of a population at depth d is
handled in step t + d; logical delays come on top and are the same for both.
"""

from __future__ import annotations

from snnergy.neuromorphic.ir import FloatNet


def pipeline_depths(net: FloatNet) -> dict[str, int]:
    """Synapses on the longest path from an input, for each input and population."""
    depths = {port.name: 0 for port in net.inputs}
    for population in net.populations:
        depths[population.name] = 1 + max(depths[s.source] for s in net.synapses if s.target == population.name)
    return depths


def balance(depths: dict[str, int], source: str, target: str) -> int:
    """Extra steps that a synapse from `source` to `target` must wait."""
    return depths[target] - depths[source] - 1
