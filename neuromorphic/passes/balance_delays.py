"""Gives every population its pipeline depth and every synapse the extra delay that makes branches meet.

On the chip each synapse costs one step, so logical step t of a population at depth d is handled in step t + d, with
inputs, and populations that no synapse leads to, at depth 0. A synapse waits, on top of its logical delay,

    balance = depth(target) − depth(source) − 1 .

Outside loops the depth is the number of synapses on the longest path from there: logical delays do not count, so that
balance ≥ 0. A synapse within a loop may make up for the steps of others with its logical delay, delay + balance ≥ 0:

    depth(target) ≥ depth(source) + 1 − delay .

That can be met where no loop has more synapses than steps of delay; any other is too fast for the chip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.ir import FloatNet, FloatSynapse, soonest
from snnergy.neuromorphic.loops import groups, is_loop
from snnergy.neuromorphic.passes.conditions import BALANCED, SORTED
from snnergy.neuromorphic.passes.infra import Pass


@dataclass(frozen=True)
class BalanceDelays(Pass[FloatNet, FloatNet]):
    """Sets `depth` of every population and `balance` of every synapse, and nothing else."""

    name = "balance_delays"
    requires = (SORTED,)
    ensures = (SORTED, BALANCED)

    def rewrite(self, ir: FloatNet) -> FloatNet:
        """The same network with both fields set.

        Raises:
            UserError: a loop has more synapses than steps of delay.
        """
        depths = {port.name: 0 for port in ir.inputs}
        incoming: dict[str, list[FloatSynapse]] = {p.name: [] for p in ir.populations}
        for synapse in ir.synapses:
            incoming[synapse.target].append(synapse)
        preds = {name: {s.source for s in synapses} for name, synapses in incoming.items()}
        violations = []
        for group in groups(preds, preds):
            members = set(group)
            for name in group:
                sources = [depths[source] for source in preds[name] - members]
                depths[name] = 1 + max(sources, default=0 if is_loop(group, preds) else -1)
            inside = [s for name in group for s in incoming[name] if s.source in members]
            loop = _deepen(depths, inside, len(group))
            if loop:
                violations.append(_too_fast(loop))
        if violations:
            raise UserError(violations)
        return replace(
            ir,
            populations=tuple(replace(p, depth=depths[p.name]) for p in ir.populations),
            synapses=tuple(replace(s, balance=depths[s.target] - depths[s.source] - 1) for s in ir.synapses),
        )


def _deepen(depths: dict[str, int], synapses: list[FloatSynapse], members: int) -> list[FloatSynapse]:
    """Raise the depths of a loop's members until each synapse of the loop arrives (Bellman and Ford's longest paths).

    Returns:
        A loop in which that never ends, empty where it did.
    """
    needs = [(s, 1 - soonest(s)) for s in synapses]
    raised: dict[str, FloatSynapse] = {}  # the synapse that a member's depth is due to
    for _ in range(members + 1):
        last = ""
        for s, steps in needs:
            if depths[s.target] < depths[s.source] + steps:
                depths[s.target], raised[s.target], last = depths[s.source] + steps, s, s.target
        if not last:
            return []
    for _ in range(members):  # back from there, for as long as it takes to be in the loop for certain
        last = raised[last].source
    loop = [raised[last]]
    while loop[-1].source != last:
        loop.append(raised[loop[-1].source])
    return loop[::-1]


def _too_fast(loop: list[FloatSynapse]) -> str:
    way = " → ".join([loop[0].source, *(s.target for s in loop)])
    steps = sum(soonest(s) for s in loop)
    return (
        f"the loop {way}: {len(loop)} synapses, each of which takes the chip one step, but what comes back is late by "
        f"{steps}; train it with a Delay of {len(loop) - steps} more in the loop, or with fewer neurons in it"
    )
