"""The artificial networks of the same shape that a spiking network is measured against.

One pass over one frame costs   E = macs · (multiply-add) + (biases + activations) · (add).
- fp32 ANN: the same layers with real activations.
- quantized ANN: activations of ceil(log2(T + 1)) bits, which hold as much as the spike count of T steps
  (Yan et al. 2024, "Reconsidering the energy efficiency of spiking neural networks").

Only operators with learned weights are layers of an ANN. It is charged nothing for attention, gates and pooling,
which makes it a lower bound and the comparison hard on the spiking network. Where several linear layers became one
operator (a pool and a convolution, two convolutions), it is charged for whichever takes fewer multiplications: the
operator, or its learned layers one after the other (the 3×3 taps of a convolution behind a pool, not the 6×6 taps
that a spike meets). Streams that a spiking network keeps apart and an ANN adds first share one layer: edges into the
same target whose last fused node is the same are charged once, at the widest of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from math import ceil, log2

from snnergy.artefacts.activity import Activity, Edge
from snnergy.energy.bill import charge
from snnergy.energy.ledger import Ledger
from snnergy.energy.operations import Operation
from snnergy.energy.prices import FP16, FP32, INT8, Technology

# Operations whose number follows the spike rate; all others cost the same at any rate.
_FOLLOWS_RATE: frozenset[Operation] = frozenset({"ac", "ac_weighted", "graded_events", "spike"})


@dataclass(frozen=True)
class Counterpart:
    """An artificial network of the same shape.

    passes: how often it runs for one sample: once a time step, or once if every step shows the same frame.
    technology: where its prices come from, always 45 nm arithmetic: no chip price list holds an ANN.
    """

    title: str
    bits: int
    macs_per_pass: int
    biases_per_pass: int
    activations_per_pass: int
    passes: int
    technology: Technology

    @property
    def synaptic_pass_pj(self) -> float:
        """Multiplications of one pass alone."""
        return float(charge({"mac_dense": self.macs_per_pass}, self.technology).priced_pj[0])

    @property
    def one_pass_pj(self) -> float:
        """One frame: multiplications, biases and activations."""
        neurons = charge(
            {"bias_add": self.biases_per_pass, "neuron_update": self.activations_per_pass}, self.technology
        )
        return self.synaptic_pass_pj + float(neurons.priced_pj[0])

    @property
    def energy_pj(self) -> float:
        """One sample: all passes."""
        return self.one_pass_pj * self.passes


def learned_layers(activity: Activity) -> tuple[tuple[Edge, ...], ...]:
    """Edges with learned weights, grouped by the layer of an ANN that they belong to."""
    layers: dict[Hashable, list[Edge]] = defaultdict(list)
    for edge in activity.edges:
        if edge.learned:
            layers[(edge.target, edge.origin[-1] if edge.origin else edge.index)].append(edge)
    return tuple(tuple(layer) for layer in layers.values())


def counterparts(activity: Activity, *, static_input: bool) -> tuple[Counterpart, Counterpart]:
    """The fp32 and the quantized ANN of the same shape, in that order."""
    layers = learned_layers(activity)
    macs = sum(max(map(_multiplications, layer)) for layer in layers)
    targets = [activity.node(name) for name in {layer[0].target: None for layer in layers}]
    biases = sum(target.size if target.biased is None else target.biased for target in targets)
    activations = sum(target.size for target in targets if target.kind == "neuron")
    passes = 1 if static_input else activity.time_steps
    bits = ceil(log2(activity.time_steps + 1))

    def network(title: str, bits: int, technology: Technology) -> Counterpart:
        return Counterpart(title, bits, macs, biases, activations, passes, technology)

    return network("fp32 ANN", 32, FP32), network(f"{bits}-bit ANN", bits, _narrowest(bits))


def _multiplications(edge: Edge) -> int:
    return edge.taps if edge.macs is None else min(edge.taps, edge.macs)


def _narrowest(bits: int) -> Technology:
    """The narrowest arithmetic with a published price that holds that many bits."""
    return INT8 if bits <= 8 else FP16 if bits <= 16 else FP32


def spike_rate(activity: Activity, ledger: Ledger) -> float | None:
    """Events per synapse and step over all edges that carry spikes, or None where there is no such edge."""
    carries_spikes = {node.name for node in activity.nodes if node.value_class != "real"}
    taps = sum(edge.taps for edge in activity.edges if edge.source in carries_spikes)
    if not taps:
        return None
    events = ledger.per_sample("ac").sum() + ledger.per_sample("ac_weighted").sum()
    return float(events) / (taps * ledger.time_steps * ledger.samples)


def break_even_rate(activity: Activity, ledger: Ledger, technology: Technology, counterpart_pj: float) -> float | None:
    """Spike rate at which the spiking network would cost `counterpart_pj`: E(r) = fixed + slope · r = counterpart.

    The fixed part (real-valued layers, neurons) and the slope are those of the recorded run. A rate of 0 or below: it
    costs more even without a spike; 1 or above: less at any rate. None: a price is missing, or nothing spiked.
    """
    rate = spike_rate(activity, ledger)
    counts = {operation: ledger.per_sample(operation) for operation in ledger.operations()}
    bills = [
        charge({name: n for name, n in counts.items() if (name in _FOLLOWS_RATE) == moving}, technology).total_pj
        for moving in (False, True)
    ]
    if not rate or bills[0] is None or bills[1] is None:
        return None
    fixed, moving_pj = (float(bill.mean()) for bill in bills if bill is not None)
    return (counterpart_pj - fixed) * rate / moving_pj
