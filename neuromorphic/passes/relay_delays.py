"""Splits delays that no synapse can hold: relays, neurons that only pass spikes on, take 62 steps each.

    source ──62──▶ source.relay1 ──62──▶ source.relay2 ──rest──▶ target

A relay fires for each spike that reaches it, and a synapse to it costs one step like any other. Of a synapse whose
delays differ, each part starts at the relay that leaves it no more than a synapse can hold. All of this is exact:
neither the depth of another population nor what arrives anywhere changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.budget import refuse_excess
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import IntArray, Labels, Shape
from snnergy.neuromorphic.ir import Conv2d, QuantNet, QuantPopulation, QuantSynapse, Sparse
from snnergy.neuromorphic.limits import DECAY_ONE, DELAY_MAX
from snnergy.neuromorphic.operators import as_synapse
from snnergy.neuromorphic.passes.conditions import BALANCED, FITTING, SORTED
from snnergy.neuromorphic.passes.infra import Pass
from snnergy.neuromorphic.taps import unrolled

_RELAYS_MAX = 64  # one behind the other
_BYTES_A_NEURON = 64  # as `netx/soundness.py` counts them


@dataclass(frozen=True)
class RelayDelays(Pass[QuantNet, QuantNet]):
    """Puts relays into synapses that are late by more than the chip's longest delay, and changes no other."""

    name = "relay_delays"
    requires = (SORTED, FITTING, BALANCED)
    ensures = (SORTED, FITTING, BALANCED)

    def rewrite(self, ir: QuantNet) -> QuantNet:
        """The same network, in which no synapse is late by more than 62 steps.

        Raises:
            UserError: what is so late is graded, which a spike cannot pass on, or needs too many relays.
        """
        relays = _Relays(ir)
        synapses = tuple(part for synapse in ir.synapses for part in relays.split(synapse))
        if relays.violations:
            raise UserError(relays.violations)
        ports = [relay for port in ir.inputs for relay in relays.behind.get(port.name, [])]
        populations = [q for p in ir.populations for q in (p, *relays.behind.get(p.name, []))]
        return replace(ir, populations=(*ports, *populations), synapses=(*relays.synapses, *synapses))


@dataclass
class _Relays:
    """The relays so far. behind: those of each source. reached: of a source, by the logical steps of each hop to it."""

    net: QuantNet
    violations: list[str] = field(default_factory=list)
    behind: dict[str, list[QuantPopulation]] = field(default_factory=dict)
    reached: dict[tuple[str, tuple[int, ...]], QuantPopulation] = field(default_factory=dict)
    synapses: list[QuantSynapse] = field(default_factory=list)

    def split(self, synapse: QuantSynapse) -> list[QuantSynapse]:
        """`synapse`, or its parts behind relays."""
        own = np.zeros(1, np.int64) if synapse.operator.delays is None else synapse.operator.delays.astype(np.int64)
        hops = np.maximum(-((DELAY_MAX - own - synapse.delay - synapse.balance) // (DELAY_MAX + 1)), 0)
        if not hops.any():
            return [synapse]
        if problem := self._problem(synapse, int(hops.max())):
            self.violations.append(problem)
            return []
        parts = []
        steps: tuple[int, ...] = ()  # logical ones of each hop
        for count in range(int(hops.max()) + 1):
            late = synapse.delay + own[hops >= count] - sum(steps)  # of all that this relay, or one behind it, serves
            if count:
                steps = (*steps, min(DELAY_MAX, max(int(late.min()) - 1, 0)))
                self._reach(synapse.source, steps)
            if (hops == count).any():
                parts.append(self._part(synapse, own, hops == count, steps))
        return [parts[0], *(replace(part, macs=0) for part in parts[1:])]

    def _problem(self, synapse: QuantSynapse, hops: int) -> str:
        named = f"{synapse.source} → {synapse.target}"
        longest = hops * (DELAY_MAX + 1)
        graded = {port.name for port in self.net.inputs if port.value_class != "binary"}
        if synapse.source in graded | {p.name for p in self.net.populations if p.spikes == "many"}:
            return (
                f"{named}: late by {longest} steps or more; relays pass on spikes and {synapse.source!r} is graded: "
                f"delay it by {DELAY_MAX} steps at most, or put a spiking neuron before the Delay"
            )
        if hops > _RELAYS_MAX:
            return (
                f"{named}: late by {longest} steps or more, {_RELAYS_MAX * (DELAY_MAX + 1) + DELAY_MAX} are allowed; "
                "shorten the Delay, or choose a longer time step"
            )
        return ""

    def _source(self, name: str) -> tuple[Shape, int, Labels]:
        """Shape, depth and labels of an input or a population of the network."""
        for port in self.net.inputs:
            if port.name == name:
                return port.shape, 0, Labels()
        population = self.net.population(name)
        return population.shape, population.depth, population.labels

    def _reach(self, source: str, steps: tuple[int, ...]) -> None:
        """Add the last of the relays that `steps` leads to, if it is not there."""
        if (source, steps) in self.reached:
            return
        shape, depth, labels = self._source(source)
        before = self.reached[source, steps[:-1]] if steps[:-1] else None
        balance = DELAY_MAX - steps[-1]
        clear, none = np.array([DECAY_ONE]), np.zeros(1, np.int32)
        further = (depth if before is None else before.depth) + 1 + balance
        relay = QuantPopulation(
            self._free_name(source), shape, clear, clear, 0, none, True, 1.0, further, replace(labels, role="relay")
        )
        self.reached[source, steps] = relay
        self.behind.setdefault(source, []).append(relay)
        neurons = sum(p.size for relays in self.behind.values() for p in relays)
        refuse_excess(f"{source!r}: {neurons:,} neurons that relay delayed spikes", neurons * _BYTES_A_NEURON)
        identity = as_synapse(None, shape)
        one = replace(identity, weight=identity.weight.astype(np.int32))
        name = source if before is None else before.name
        self.synapses.append(QuantSynapse(name, relay.name, one, delay=steps[-1], balance=balance, learned=False))

    def _free_name(self, source: str) -> str:
        taken = {port.name for port in self.net.inputs} | {p.name for p in self.net.populations}
        name = f"{source}.relay{len(self.behind.get(source, [])) + 1}"
        while name in taken:
            name += "_"
        return name

    def _part(
        self, synapse: QuantSynapse, own: IntArray, chosen: npt.NDArray[np.bool_], steps: tuple[int, ...]
    ) -> QuantSynapse:
        """The chosen ones of a synapse's targets, from the relay that `steps` leads to."""
        operator = synapse.operator if chosen.all() else _only(unrolled(synapse.operator), chosen.reshape(-1))
        late = synapse.delay + own[chosen] - sum(steps)
        if not isinstance(operator, Conv2d) and operator.delays is not None:
            further = (late - late.min()).reshape(operator.weight.shape)
            operator = replace(operator, delays=further if further.any() else None)
        relay = self.reached.get((synapse.source, steps))
        gone = 0 if relay is None else relay.depth - self._source(synapse.source)[1]
        return replace(
            synapse,
            source=synapse.source if relay is None else relay.name,
            operator=operator,
            delay=int(late.min()),
            balance=synapse.balance - gone,
        )


def _only(operator: Sparse, chosen: npt.NDArray[np.bool_]) -> Sparse:
    """The chosen ones of the synapses of an operator, by themselves."""
    row = np.repeat(np.arange(len(operator.row_starts) - 1), np.diff(operator.row_starts))[chosen]
    counts = np.bincount(row, minlength=len(operator.row_starts) - 1)
    return replace(
        operator,
        weight=operator.weight[chosen],
        columns=operator.columns[chosen],
        row_starts=np.concatenate([[0], np.cumsum(counts)]),
        delays=None if operator.delays is None else operator.delays[chosen],
    )
