"""How far two trains of spikes are apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnergy.neuromorphic.emulator.kernels.compiled import compiled


@compiled
def compare(found: Any, expected: Any) -> Any:
    """Of trains `(N, T, neurons)`, how many values differ, and the sum over all steps and neurons of how many spikes
    one is ahead or behind.
    """
    samples, steps, neurons = found.shape
    differing = distance = np.int64(0)
    ahead = np.empty(neurons, np.int32)
    for n in range(samples):
        ahead[:] = 0
        for step in range(steps):
            one, other = found[n, step], expected[n, step]
            wrong = np.int32(0)
            for j in range(neurons):
                wrong += np.int32(one[j] != other[j])
                ahead[j] += np.int32(one[j]) - np.int32(other[j])
            differing += wrong
            for j in range(neurons):
                distance += abs(ahead[j])
    return differing, distance
