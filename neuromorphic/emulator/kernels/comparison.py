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


@compiled
def alike(found: Any, expected: Any, keep: float, off: Any, norm: Any) -> Any:
    """Of trains of single spikes `(N, T, neurons)`, how many values are equal, and how many spikes are in the first,
    the second, and both.

    off, norm: of each neuron, `(neurons,)` float64, are increased by Σ x² over all steps, x being the trace
    x ← keep·x + spike of the difference, and of `expected`.
    """
    samples, steps, neurons = found.shape
    equal = first = second = both = np.int64(0)
    x, y = np.empty(neurons, np.float32), np.empty(neurons, np.float32)
    for n in range(samples):
        x[:] = 0
        y[:] = 0
        for step in range(steps):
            one, other = found[n, step], expected[n, step]
            same = ones = others = shared = np.int32(0)
            for j in range(neurons):
                same += np.int32(one[j] == other[j])
                ones += np.int32(one[j])
                others += np.int32(other[j])
                shared += np.int32(one[j] & other[j])
            for j in range(neurons):
                x[j] = np.float32(keep) * x[j] + np.float32(np.int32(one[j]) - np.int32(other[j]))
                y[j] = np.float32(keep) * y[j] + np.float32(other[j])
                off[j] += np.float64(x[j]) * np.float64(x[j])
                norm[j] += np.float64(y[j]) * np.float64(y[j])
            equal, first, second, both = equal + same, first + ones, second + others, both + shared
        tail = keep**2 / (1 - keep**2)  # both traces decay on after the last step
        for j in range(neurons):
            off[j] += tail * x[j] * x[j]
            norm[j] += tail * y[j] * y[j]
    return equal, first, second, both
