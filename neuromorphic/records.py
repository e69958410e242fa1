"""What a backend hands back: every node's values in logical time, the pipeline's latency removed."""

from __future__ import annotations

from dataclasses import dataclass, field

from snnergy.artefacts.types import IntArray


@dataclass(frozen=True)
class Records:
    """Recorded integers of one run over N samples of T steps.

    values: `(N, T, *shape)` of each input (what was injected) and of each spiking population (0 or 1).
    u, v: `(N, T, *shape)` int32 after the step and its reset; of readouts always, of the others on request.
    delivered: for each synapse of the network, in order, `(N, T)` synaptic events that arrived at its
        targets (every tap inside the source counts once a non-zero value). Empty where a backend cannot count.
    delivered_nonzero: the same, taps of weight zero left out.
    overflows: of each population that met them, how often u wrapped around and v was clipped.
    """

    values: dict[str, IntArray]
    u: dict[str, IntArray] = field(default_factory=dict)
    v: dict[str, IntArray] = field(default_factory=dict)
    delivered: tuple[IntArray, ...] = ()
    delivered_nonzero: tuple[IntArray, ...] = ()
    overflows: dict[str, tuple[int, int]] = field(default_factory=dict)
