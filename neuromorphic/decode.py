"""From recorded activity to logits and predictions, the same for every backend."""

from __future__ import annotations

import numpy as np

from snnergy.artefacts.types import FloatArray, IntArray
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.limits import ALIGN_SHIFT
from snnergy.neuromorphic.records import Records


def logits(net: QuantNet, records: Records) -> FloatArray:
    """`(N, classes)` of the network's first output: a readout's membrane after the last step in model units, or the
    number of spikes of a spiking output."""
    output = net.population(net.outputs[0])
    if output.spiking:
        spikes = records.values[output.name].sum(axis=1, dtype=np.int64)
        return np.asarray(spikes.reshape(-1, output.size), dtype=np.float64)
    final = records.v[output.name][:, -1].reshape(-1, output.size)
    return np.asarray(final / (output.scale * (1 << ALIGN_SHIFT)), dtype=np.float64)


def predictions(scores: FloatArray) -> IntArray:
    """Class of the largest score, the first of equals, `(N,)`."""
    return np.asarray(scores.argmax(axis=1))


def accuracy(scores: FloatArray, labels: IntArray) -> float:
    """Fraction of samples whose prediction is the label."""
    return float((predictions(scores) == labels).mean())
