"""Gives every population its pipeline depth and every synapse the extra delay that makes branches meet.

On the chip each synapse costs one step, so logical step t of a population at depth d is handled in step t + d, with
inputs, and populations that no synapse leads to, at depth 0; logical delays come on top and are the same for both. The
depth is the number of synapses on the longest path from there, and a synapse waits

    balance = depth(target) − depth(source) − 1 .
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from snnergy.neuromorphic.ir import FloatNet
from snnergy.neuromorphic.passes.conditions import BALANCED, SORTED
from snnergy.neuromorphic.passes.infra import Pass


@dataclass(frozen=True)
class BalanceDelays(Pass[FloatNet, FloatNet]):
    """Sets `depth` of every population and `balance` of every synapse, and nothing else."""

    name = "balance_delays"
    requires = (SORTED,)
    ensures = (SORTED, BALANCED)

    def rewrite(self, ir: FloatNet) -> FloatNet:
        """The same network with both fields set."""
        depths = {port.name: 0 for port in ir.inputs}
        for population in ir.populations:
            sources = [depths[s.source] for s in ir.synapses if s.target == population.name]
            depths[population.name] = 1 + max(sources, default=-1)
        return replace(
            ir,
            populations=tuple(replace(p, depth=depths[p.name]) for p in ir.populations),
            synapses=tuple(replace(s, balance=depths[s.target] - depths[s.source] - 1) for s in ir.synapses),
        )
