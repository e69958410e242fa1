"""How far two trains of spikes are apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnergy.neuromorphic.emulator.kernels.compiled import compiled


@compiled
def compare(found: Any, expected: Any, ahead: Any) -> Any:
    """Of trains `(N, steps, neurons)`, how many values differ, the sum over all steps and neurons of how many spikes
    one is ahead or behind, and whether there is any spike in `found`.

    ahead: by how many spikes `found` was before, `(N, neurons)` int32; is brought up to date.
    """
    samples, steps, neurons = found.shape
    differing = distance = fired = np.int64(0)
    for n in range(samples):
        ahead_n = ahead[n]
        for step in range(steps):
            one, other = found[n, step], expected[n, step]
            wrong = some = np.int32(0)
            for j in range(neurons):
                wrong += np.int32(one[j] != other[j])
                some |= np.int32(one[j])
                ahead_n[j] += np.int32(one[j]) - np.int32(other[j])
            differing += wrong
            for j in range(neurons):
                distance += abs(ahead_n[j])
            fired |= some
    return differing, distance, fired != 0
