"""Runs an integer network in logical time: on compiled kernels, or on torch where these are not to be had."""

from __future__ import annotations

from collections.abc import Callable

from snnergy.artefacts.records import Records, joined
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.continuous import folded, unfolded, unfolded_progress
from snnergy.neuromorphic.emulator.layerwise import Emulation
from snnergy.neuromorphic.inputs import check_integers
from snnergy.neuromorphic.ir import QuantNet

# Samples simulated together: enough to fill the kernels, few enough that progress is seen.
BATCH = 16


def run(
    net: QuantNet,
    inputs: dict[str, IntArray],
    *,
    record_state: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Records:
    """Simulate `net`.

    Args:
        inputs: integers of each input port, `(N, T, *shape)`; one stream where the network keeps its state.
        record_state: also keep u and v of every population (of readouts they are kept always).
        progress: called with the number of samples finished since the last call.

    Raises:
        UserError: an input is missing, has another shape or exceeds its port's payload.
    """
    check_integers(net, inputs)
    samples = next(iter(inputs.values())).shape[0]
    stream, progress = folded(net, inputs), unfolded_progress(net, progress, samples)
    emulation, parts = Emulation(net), []
    for first in range(0, next(iter(stream.values())).shape[0], BATCH):
        batch = {name: array[first : first + BATCH] for name, array in stream.items()}
        parts.append(emulation.run(batch, record_state=record_state))
        if progress is not None:
            progress(next(iter(batch.values())).shape[0])
    return unfolded(net, joined(parts), samples)
