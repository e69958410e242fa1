"""The order in which the emulator keeps the neurons of a node: maps lie channels last, all else as it is.

A convolution adds the weights of all target channels at a pixel in one stretch, and reads all source channels of a
pixel together, only if channels are neighbours. A node is kept so that the convolutions at it find it in this order:
its flat `(channels, pixels)` become `(pixels, channels)`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from snnergy.artefacts.types import IntArray, Shape
from snnergy.neuromorphic.ir import Conv2d, FloatSynapse, QuantSynapse


def channels_of(synapses: Iterable[FloatSynapse | QuantSynapse]) -> Mapping[str, int]:
    """Of each input and population, how many channels it is kept with; one where no convolution asks for more."""
    found: dict[str, int] = defaultdict(lambda: 1)
    for synapse in synapses:
        operator = synapse.operator
        if isinstance(operator, Conv2d) and not operator.is_diagonal:
            found.setdefault(synapse.source, operator.input_shape[0])
            found.setdefault(synapse.target, operator.output_shape[0])
    return found


def meets(synapse: QuantSynapse, channels: Mapping[str, int]) -> bool:
    """Whether both ends of a convolution are kept with its own channels."""
    operator = synapse.operator
    return isinstance(operator, Conv2d) and (channels[synapse.source], channels[synapse.target]) == (
        operator.input_shape[0],
        operator.output_shape[0],
    )


def channels_last(values: IntArray, channels: int) -> IntArray:
    """`(…, neurons)` in the network's own order, as it is kept."""
    return values.reshape(*values.shape[:-1], channels, -1).swapaxes(-1, -2).reshape(values.shape)


def as_shaped(kept: IntArray, channels: int, shape: Shape) -> IntArray:
    """`(N, T, neurons)` as it is kept, in the network's own order `(N, T, *shape)`; a view where it can be one."""
    if shape[0] == channels:
        return np.moveaxis(kept.reshape(*kept.shape[:2], *shape[1:], channels), -1, 2)
    return kept.reshape(*kept.shape[:2], -1, channels).swapaxes(2, 3).reshape(*kept.shape[:2], *shape)


def places(size: int, channels: int) -> IntArray:
    """Where each neuron of the network's own order is kept, `(size,)`."""
    order = channels_last(np.arange(size), channels)
    found = np.empty(size, np.int64)
    found[order] = np.arange(size)
    return found
