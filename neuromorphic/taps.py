"""Which synapses an operator has: the one place that knows where a kernel's taps meet the input.

A synapse is a pair of a source and a target that the operator joins, whatever its weight: taps that fall into the
padding are none, zeros among the weights are. Arrays are flat and C-ordered.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from snnergy.artefacts.types import FloatArray, IntArray
from snnergy.neuromorphic.ir import Conv2d, Dense, Operator, Sparse

Positions = npt.NDArray[np.int64]


def tap_positions(operator: Conv2d, axis: int) -> tuple[npt.NDArray[np.bool_], Positions]:
    """Along one axis, which taps of each output position meet the input, and where: `(outputs, taps)` twice."""
    out, taps = operator.output_shape[1 + axis], operator.weight.shape[2 + axis]
    origin = np.arange(out)[:, None] * operator.stride[axis] - operator.padding[axis]
    positions = origin + np.arange(taps) * operator.dilation[axis]
    return (positions >= 0) & (positions < operator.input_shape[1 + axis]), positions


def synapse_count(operator: Operator) -> int:
    """Number of synapses."""
    if not isinstance(operator, Conv2d):
        return operator.weight.size
    met = [int(tap_positions(operator, axis)[0].sum()) for axis in (0, 1)]
    return math.prod(operator.weight.shape[:2]) * math.prod(met)


def fan_out(operator: Operator, *, nonzero: bool = False) -> IntArray:
    """How many targets each source reaches, flat int32; synapses of weight zero are left out if `nonzero`."""
    taps = (operator.weight != 0) if nonzero else np.ones(operator.weight.shape, bool)
    if isinstance(operator, Dense):
        return np.asarray(taps.sum(axis=0), dtype=np.int32)
    if isinstance(operator, Sparse):
        return np.bincount(operator.columns[taps], minlength=math.prod(operator.input_shape)).astype(np.int32)
    targets = taps.reshape(operator.groups, -1, *taps.shape[1:]).sum(axis=1).reshape(-1, *taps.shape[2:])
    rows, columns = (_meeting(operator, axis) for axis in (0, 1))
    return np.asarray(np.einsum("cij,iy,jx->cyx", targets, rows, columns, optimize=True), dtype=np.int32).reshape(-1)


def _meeting(operator: Conv2d, axis: int) -> Positions:
    """Along one axis, how many outputs meet each input position with each tap: `(taps, inputs)`."""
    inside, positions = tap_positions(operator, axis)
    extent, taps = operator.input_shape[1 + axis], inside.shape[1]
    tap = np.broadcast_to(np.arange(taps), inside.shape)[inside]
    return np.bincount(tap * extent + positions[inside], minlength=taps * extent).reshape(taps, extent)


def unrolled(operator: Operator) -> Sparse:
    """The operator with every synapse by itself."""
    if isinstance(operator, Sparse):
        return operator
    if isinstance(operator, Dense):
        outputs, inputs = operator.weight.shape
        columns = np.tile(np.arange(inputs, dtype=np.int32), outputs)
        delays = None if operator.delays is None else operator.delays.reshape(-1)
        starts = np.arange(outputs + 1) * inputs
        return Sparse(operator.weight.reshape(-1), columns, starts, (inputs,), (outputs,), delays)
    return _unrolled(operator)


def _unrolled(operator: Conv2d) -> Sparse:
    outputs, depth, *kernel = operator.weight.shape
    _, height, width = operator.input_shape
    (inside_y, y), (inside_x, x) = (tap_positions(operator, axis) for axis in (0, 1))
    # (H', W', depth, kH, kW): what one output channel reads from its group, in the order in which synapses are kept.
    inside = inside_y[:, None, None, :, None] & inside_x[None, :, None, None, :]
    inside = np.broadcast_to(inside, (len(y), len(x), depth, *kernel))
    row, column, channel, tap_y, tap_x = np.nonzero(inside)
    read = (channel * height + y[row, tap_y]) * width + x[column, tap_x]
    first = np.arange(operator.groups) * (depth * height * width)
    columns = (first[:, None] + read).astype(np.int32)
    weight = operator.weight.reshape(outputs, -1)[:, (channel * kernel[0] + tap_y) * kernel[1] + tap_x]
    lengths = np.tile(inside.sum(axis=(2, 3, 4)).reshape(-1), outputs)
    return Sparse(
        weight.reshape(-1),
        np.repeat(columns, outputs // operator.groups, axis=0).reshape(-1),
        np.concatenate([[0], np.cumsum(lengths)]),
        operator.input_shape,
        operator.output_shape,
    )


def as_matrix(operator: Sparse, weight: npt.NDArray[np.generic] | None = None) -> csr_matrix:
    """The matrix `(targets, sources)`, with `weight` in place of the operator's own; it shares its memory."""
    shape = (math.prod(operator.output_shape), math.prod(operator.input_shape))
    return csr_matrix((operator.weight if weight is None else weight, operator.columns, operator.row_starts), shape)


def largest_row_sum(operator: Operator, magnitude: FloatArray) -> float:
    """The largest sum of `magnitude`, an array like the operator's weights, over the synapses of one target; for
    borders of a convolution, as if all its taps met the input.
    """
    if not isinstance(operator, Sparse):
        return float(magnitude.reshape(len(magnitude), -1).sum(axis=1).max(initial=0))
    sums = np.concatenate([[0.0], np.cumsum(magnitude, dtype=np.float64)])[operator.row_starts]
    return float(np.diff(sums).max(initial=0))
