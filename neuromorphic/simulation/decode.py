"""From recorded activity to logits and predictions, the same for every backend."""

from __future__ import annotations

import logging

import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.records import Records
from snnergy.artefacts.samples import as_classes
from snnergy.artefacts.types import FloatArray, IntArray
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.limits import ALIGN_SHIFT

_log = logging.getLogger(__name__)


def readout_of(outputs: tuple[str, ...], wanted: str | None) -> str:
    """Name of the output that predictions are taken from: the one that is wanted, else the first, which is said.

    Raises:
        UserError: there is no such output.
    """
    if wanted is None:
        if len(outputs) > 1:
            _log.warning("predictions are read from the output %r, of %s", outputs[0], ", ".join(outputs))
        return outputs[0]
    if wanted not in outputs:
        raise UserError(f"readout {wanted!r}: is no output; the network has {', '.join(outputs)}")
    return wanted


def logits(net: QuantNet, records: Records, readout: str | None = None) -> FloatArray:
    """`(N, classes)` of one output, the first for None: a readout's membrane after the last step in model units, or the
    number of spikes of a spiking output."""
    output = net.population(readout or net.outputs[0])
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


def check_labels(labels: IntArray | None, classes: int, readout: str) -> None:
    """Raise `UserError` where a label is none of the classes that an output tells apart."""
    try:
        as_classes([] if labels is None else labels, classes)
    except ValueError as error:
        raise UserError(f"label: {error}, of the output {readout!r}; check the labels, or read another") from error
