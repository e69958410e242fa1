"""The operations that the ledger counts, and the rule that counts each.

An event is a value other than zero that a neuron sends in one time step; fan is the number of synapses
that it reaches. Graded events and effective multiplications describe the same synapses as the
weighted additions and the dense multiplications beside them: a technology charges one of each pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operation = Literal[
    "ac",
    "ac_weighted",
    "graded_events",
    "mac_dense",
    "mac_effective",
    "neuron_update",
    "leak",
    "bias_add",
    "spike",
]


@dataclass(frozen=True)
class Kind:
    """What one operation is called in a report, and how it is counted."""

    operation: Operation
    title: str
    group: Literal["synapse", "neuron", "traffic"]
    rule: str


KINDS: tuple[Kind, ...] = (
    Kind("ac", "accumulate", "synapse", "Σ events · fan over sources that spike"),
    Kind("ac_weighted", "accumulate of spike sums", "synapse", "Σ |x| · fan over sources that send integers"),
    Kind("graded_events", "graded event", "synapse", "Σ events · fan over sources that send integers"),
    Kind("mac_dense", "multiply-accumulate", "synapse", "Σ fan over sources that send reals, every step"),
    Kind("mac_effective", "effective multiply-accumulate", "synapse", "Σ events · fan over sources that send reals"),
    Kind("neuron_update", "neuron update", "neuron", "one a neuron and step: threshold and reset"),
    Kind("leak", "membrane leak", "neuron", "one a neuron and step, where the membrane outlives the step"),
    Kind("bias_add", "bias", "neuron", "one a biased neuron and step"),
    Kind("spike", "spike sent", "traffic", "Σ events, before fan-out"),
)

KIND: dict[Operation, Kind] = {kind.operation: kind for kind in KINDS}
