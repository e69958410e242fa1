"""Spike trains that nobody asked for, as the counts that an energy ledger needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from snnergy.artefacts.records import Records
from snnergy.artefacts.sent_counts import fan_of, sent_counts
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.taps import fan_out


def counted_only(net: QuantNet) -> frozenset[str]:
    """Populations whose spikes are dropped where counts are recorded: all that spike, but outputs, which predict."""
    return frozenset(p.name for p in net.populations if p.spiking and p.name not in net.outputs)


def fans(net: QuantNet, names: Iterable[str]) -> dict[str, IntArray]:
    """The columns that populations are counted by, `(neurons, 1 + 2 · edges)` each, in the network's own order."""
    leaving = defaultdict(list)
    for synapse in net.synapses:
        leaving[synapse.source].append(synapse.operator)
    return {
        name: fan_of(net.population(name).size, [(fan_out(o), fan_out(o, nonzero=True)) for o in leaving[name]])
        for name in names
    }


def counted(net: QuantNet, records: Records) -> Records:
    """What was recorded in full, with counts in place of the spikes that are dropped."""
    names = counted_only(net)
    sent = {
        name: sent_counts(records.values[name].reshape(*records.values[name].shape[:2], -1), fan,
                          binary=net.population(name).spikes == "one")
        for name, fan in fans(net, names).items()
    }  # fmt: skip
    return replace(
        records, values={name: array for name, array in records.values.items() if name not in names}, sent=sent
    )
