"""Algebra of linear operators: composing a chain of NIR's linear nodes into one that has the chain's own structure.

The product of two operators has a synapse where a way leads from a source over some middle value to a target, and none
elsewhere, whatever the weights are. It is held as

- a convolution, where both are (a pool is one) and it is exact: a kernel of span `k₁ + (k₂ − 1)·s₁` with stride
  `s₁·s₂` and padding `p₁ + p₂·s₁`, if every window of the first that lies in the padding of the second reads zeros
  only, and taps and channels form a full grid;
- a matrix, where every target meets every source;
- sparse synapses (`ir.Sparse`) otherwise: gains of single neurons on a convolution, borders that differ.

Arrays are flat and C-ordered between operators, so a Flatten is the identity and composition never permutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch.nn.grad import conv2d_input

from snnergy.artefacts.budget import refuse_excess, refuse_work
from snnergy.artefacts.types import FloatArray, IntArray, Shape
from snnergy.neuromorphic.ir import Conv2d, Dense, Operator, Pair, Sparse
from snnergy.neuromorphic.taps import as_matrix, fan_out, synapse_count, tap_positions, unrolled

# Of a composed matrix, while it is composed; one that is too large points at a graph that should stay factored.
_BYTES_AN_ENTRY = 24
_BYTES_A_SYNAPSE = 40  # of a sparse operator: weight, source and target, and what sorts and compares them
_STEPS = 16  # time steps whose work a composition may take, since it is done once


@dataclass(frozen=True)
class Diagonal:
    """Multiplies each element by `gain`, of the array's own shape."""

    gain: FloatArray


Linear = Operator | Diagonal


def apply(operator: Linear, x: FloatArray) -> FloatArray:
    """The operator on one array; the result has the operator's output shape, that of a Diagonal is `x`'s."""
    if isinstance(operator, Diagonal):
        return x * operator.gain
    return _applied(operator, x.reshape(1, -1)).reshape(operator.output_shape)


def _applied(operator: Operator, rows: FloatArray) -> FloatArray:
    """The operator on each row, `(n, inputs)` → `(n, outputs)`."""
    if isinstance(operator, Dense):
        return np.asarray(rows @ operator.weight.T)
    if isinstance(operator, Sparse):
        return np.asarray((as_matrix(operator) @ rows.T).T)
    maps = torch.from_numpy(np.ascontiguousarray(rows)).reshape(-1, *operator.input_shape)
    weight = torch.from_numpy(operator.weight).to(maps.dtype)
    out = F.conv2d(maps, weight, None, operator.stride, operator.padding, operator.dilation, operator.groups)
    return np.asarray(out.flatten(1).numpy())


def compose(first: Linear | None, second: Linear) -> Linear:
    """The operator that does `first`, then `second`; None is the identity.

    Raises:
        UserError: the product would be too large.
    """
    if first is None:
        return second
    first, second = _unwrapped(first), _unwrapped(second)
    if isinstance(first, Diagonal) and isinstance(second, Diagonal):
        return Diagonal(first.gain.reshape(-1) * second.gain.reshape(-1))
    if isinstance(first, Diagonal):
        return _scaled_input(first.gain, second)  # type: ignore[arg-type]
    if isinstance(second, Diagonal):
        return _scaled_output(first, second.gain)
    if isinstance(second, Dense):
        return _of_columns(_through(first, second.weight), fan_out(first) > 0)
    if isinstance(first, Dense):
        return _of_rows(first, second)
    fused = _convolution(first, second) if isinstance(first, Conv2d) and isinstance(second, Conv2d) else None
    return _product(first, second) if fused is None else fused


def _unwrapped(operator: Linear) -> Linear:
    """What an operator is at heart: a matrix with a full diagonal and nothing else, or a depthwise 1×1 convolution, is
    a diagonal; a convolution of block-diagonal weights is a grouped one.
    """
    if isinstance(operator, Dense):
        diagonal = np.diagonal(operator.weight)
        square = operator.weight.shape == 2 * diagonal.shape and diagonal.size > 1
        alone = square and diagonal.all() and np.count_nonzero(operator.weight) == diagonal.size
        return Diagonal(diagonal.copy()) if alone and operator.delays is None else operator
    if not isinstance(operator, Conv2d):
        return operator
    operator = _regrouped(operator)
    if not operator.is_diagonal:
        return operator
    return Diagonal(np.broadcast_to(operator.weight[:, :, :, 0], operator.input_shape).reshape(-1))


def _scaled_input(gain: FloatArray, operator: Operator) -> Operator:
    if isinstance(operator, Dense):
        return replace(operator, weight=operator.weight * gain.reshape(1, -1))
    per_channel = _channel_constant(gain, operator.input_shape) if isinstance(operator, Conv2d) else None
    if isinstance(operator, Conv2d) and per_channel is not None:
        outputs = operator.weight.shape[0] // operator.groups
        grouped = per_channel.reshape(operator.groups, -1).repeat(outputs, axis=0)
        return replace(operator, weight=operator.weight * grouped[:, :, None, None])
    each = _each_synapse(operator)
    return _simplest(replace(each, weight=each.weight * gain.reshape(-1)[each.columns]))


def _scaled_output(operator: Operator, gain: FloatArray) -> Operator:
    if isinstance(operator, Dense):
        return replace(operator, weight=operator.weight * gain.reshape(-1, 1))
    per_channel = _channel_constant(gain, operator.output_shape) if isinstance(operator, Conv2d) else None
    if isinstance(operator, Conv2d) and per_channel is not None:
        return replace(operator, weight=operator.weight * per_channel[:, None, None, None])
    each = _each_synapse(operator)
    return _simplest(replace(each, weight=each.weight * gain.reshape(-1).repeat(np.diff(each.row_starts))))


def _channel_constant(gain: FloatArray, shape: Shape) -> FloatArray | None:
    """The value of each channel, or None if `gain` varies within one."""
    channels = gain.reshape(shape[0], -1)
    return channels[:, 0] if (channels == channels[:, :1]).all() else None


def _each_synapse(operator: Operator) -> Sparse:
    """`unrolled`, if that fits into memory."""
    count = synapse_count(operator)
    what = f"an operator on {operator.input_shape} with a gain a neuron, of {count:,} synapses"
    refuse_excess(what, count * _BYTES_A_SYNAPSE)
    return unrolled(operator)


def _simplest(operator: Sparse) -> Operator:
    """A matrix, where every target meets every source."""
    rows, columns = math.prod(operator.output_shape), math.prod(operator.input_shape)
    if operator.weight.size < rows * columns or operator.delays is not None:
        return operator
    return Dense(operator.weight.reshape(rows, columns))


def _of_columns(rows: FloatArray, met: npt.NDArray[np.bool_]) -> Operator:
    """The matrix `rows`, or its columns that are `met` by every row where some are not."""
    if met.all():
        return Dense(rows)
    (columns,) = np.nonzero(met)
    starts = np.arange(len(rows) + 1) * columns.size
    return Sparse(
        rows[:, columns].reshape(-1), np.tile(columns.astype(np.int32), len(rows)), starts, met.shape, rows.shape[:1]
    )


def _of_rows(first: Dense, second: Conv2d | Sparse) -> Operator:
    """A matrix, then what joins its outputs: the rows that meet one of them read every source."""
    outputs, (inputs,) = math.prod(second.output_shape), first.input_shape
    refuse_excess(f"a matrix of {inputs} columns and {outputs} rows", inputs * outputs * _BYTES_AN_ENTRY)
    refuse_work("a matrix composed with what follows it", inputs * synapse_count(second) // _STEPS)
    rows = np.ascontiguousarray(_applied(second, first.weight.T).T)
    met = np.diff(unrolled(second).row_starts) > 0
    if met.all():
        return Dense(rows)
    columns = np.tile(np.arange(inputs, dtype=np.int32), int(met.sum()))
    starts = np.concatenate([[0], np.cumsum(met * inputs)])
    return Sparse(rows[met].reshape(-1), columns, starts, first.input_shape, second.output_shape)


def _through(operator: Operator, rows: FloatArray) -> FloatArray:
    """`rows` `(n, outputs)` times the operator's matrix: pulls output weights back to the operator's input."""
    if isinstance(operator, Dense):
        return np.asarray(rows @ operator.weight)
    what = f"an operator on {operator.input_shape} composed to a matrix (a neuron between the two layers avoids it)"
    refuse_excess(what, rows.shape[0] * math.prod(operator.input_shape) * _BYTES_AN_ENTRY)
    refuse_work(what, rows.shape[0] * synapse_count(operator) // _STEPS)
    if isinstance(operator, Sparse):
        return np.asarray((as_matrix(operator).T @ rows.T).T)
    pulled = conv2d_input(  # type: ignore[no-untyped-call]
        [rows.shape[0], *operator.input_shape],
        torch.from_numpy(operator.weight).double(),
        torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float64)).reshape(-1, *operator.output_shape),
        operator.stride,
        operator.padding,
        operator.dilation,
        operator.groups,
    )
    return np.asarray(pulled.flatten(1).numpy())


def _product(first: Conv2d | Sparse, second: Conv2d | Sparse) -> Operator:
    """The product synapse by synapse."""
    inputs, outputs = math.prod(first.input_shape), math.prod(second.output_shape)
    products = synapse_count(second) * (synapse_count(first) // max(1, math.prod(first.output_shape)) + 1)
    bound = min(products, outputs * inputs)
    if isinstance(first, Conv2d) and isinstance(second, Conv2d):
        bound = min(bound, outputs * first.input_shape[0] * math.prod(_spans(first, second)))
    what = (
        f"operators on {first.input_shape} and {second.input_shape} composed to sparse synapses (a neuron between the "
        "two layers avoids them)"
    )
    refuse_excess(what, (synapse_count(first) + synapse_count(second) + bound) * _BYTES_A_SYNAPSE)
    refuse_work(what, products // _STEPS)
    left, right = unrolled(second), unrolled(first)
    structure = as_matrix(left, np.ones(left.weight.size, bool)) @ as_matrix(right, np.ones(right.weight.size, bool))
    structure.sort_indices()
    values = as_matrix(left) @ as_matrix(right)
    values.sort_indices()
    return _simplest(
        Sparse(
            _spread(values, structure),
            structure.indices.astype(np.int32),
            structure.indptr.astype(np.int64),
            first.input_shape,
            second.output_shape,
        )
    )


def _spans(first: Conv2d, second: Conv2d) -> Pair:
    """Extent of what one output of the product can meet of a map, height and width."""
    spans = [int(_offsets(first, second, axis).max()) + 1 for axis in (0, 1)]
    return min(first.input_shape[1], spans[0]), min(first.input_shape[2], spans[1])


def _spread(values: csr_matrix, structure: csr_matrix) -> FloatArray:
    """The values of a product at each synapse of its structure: scipy leaves sums out that are zero."""
    if values.nnz == structure.nnz:
        return np.asarray(values.data)
    place = [
        np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * matrix.shape[1] + matrix.indices
        for matrix in (structure, values)
    ]
    weight = np.zeros(structure.nnz)
    weight[np.searchsorted(*place)] = values.data
    return weight


def _convolution(first: Conv2d, second: Conv2d) -> Conv2d | None:
    """The product as one convolution, or None where that would not have its structure."""
    groups = math.gcd(first.groups, second.groups)
    offsets = [_offsets(first, second, axis) for axis in (0, 1)]
    dilation = [_step(taps) for taps in offsets]
    exact = all(dilation) and all(_reads_zeros(first, second, axis) for axis in (0, 1))
    if not exact or groups not in (first.groups, second.groups):
        return None
    outputs, inputs = second.weight.shape[0], first.input_shape[0] // groups
    shape = (outputs, inputs, *(int(taps.max()) // step + 1 for taps, step in zip(offsets, dilation, strict=True)))
    pairs = math.prod(taps.size for taps in offsets)
    what = f"convolutions on {first.input_shape} and {second.input_shape} composed to a kernel of {shape}"
    refuse_excess(what, math.prod(shape) * _BYTES_AN_ENTRY)
    refuse_work(what, pairs * outputs * inputs * _summed_channels(first, second) // _STEPS)
    weight = np.zeros(shape)
    for v, u in np.ndindex(*second.weight.shape[2:]):
        for y, x in np.ndindex(*first.weight.shape[2:]):
            at = offsets[0][v, y] // dilation[0], offsets[1][u, x] // dilation[1]
            weight[:, :, at[0], at[1]] += _over_channels(first, second, groups, (y, x), (v, u))
    (s, t), (p, q) = first.stride, second.padding
    stride, padding = (s * second.stride[0], t * second.stride[1]), (first.padding[0] + p * s, first.padding[1] + q * t)
    return Conv2d(weight, first.input_shape, stride, padding, (dilation[0], dilation[1]), groups)


def _offsets(first: Conv2d, second: Conv2d, axis: int) -> IntArray:
    """Along one axis, where each pair of taps meets the input: `(taps of second, taps of first)`, from 0."""
    outer = np.arange(second.weight.shape[2 + axis]) * second.dilation[axis] * first.stride[axis]
    return np.asarray(outer[:, None] + np.arange(first.weight.shape[2 + axis]) * first.dilation[axis])


def _step(taps: IntArray) -> int:
    """The dilation of a kernel that has just these taps, 0 where none has."""
    steps = set(np.diff(np.unique(taps)).tolist()) or {1}
    return int(steps.pop()) if len(steps) == 1 else 0


def _reads_zeros(first: Conv2d, second: Conv2d, axis: int) -> bool:
    """Whether the windows of `first` that lie in the padding of `second` lie in the padding of the input as well."""
    inside, positions = tap_positions(second, axis)
    padded = np.unique(positions[~inside])
    taps = np.arange(first.weight.shape[2 + axis]) * first.dilation[axis]
    met = padded[:, None] * first.stride[axis] - first.padding[axis] + taps
    return not bool(((met >= 0) & (met < first.input_shape[1 + axis])).any())


def _is_depthwise(operator: Conv2d) -> bool:
    return operator.groups == operator.weight.shape[0] == operator.input_shape[0]


def _summed_channels(first: Conv2d, second: Conv2d) -> int:
    """How many channels between the two each weight of the product sums over."""
    if _is_depthwise(first) or _is_depthwise(second):
        return 1
    return first.weight.shape[0] // math.gcd(first.groups, second.groups)


def _over_channels(first: Conv2d, second: Conv2d, groups: int, inner: Pair, outer: Pair) -> FloatArray:
    """`(outputs, inputs / groups)`: what tap `inner` of the first and `outer` of the second make together."""
    before, after = (operator.weight[:, :, tap[0], tap[1]] for operator, tap in ((first, inner), (second, outer)))
    if _is_depthwise(first):
        return np.asarray(after * before.reshape(groups, -1).repeat(len(after) // groups, axis=0))
    if _is_depthwise(second):
        return np.asarray(before * after)
    product = _blocks(after, second.groups, groups) @ _blocks(before, first.groups, groups)
    return np.asarray(product.reshape(len(after), -1))


def _blocks(weight: FloatArray, groups: int, coarser: int) -> FloatArray:
    """Channel weights `(O, I / groups)` in `coarser` groups, with the zeros that are off the diagonal of each."""
    inner = groups // coarser
    blocks = np.zeros((coarser, inner, len(weight) // groups, inner, weight.shape[1]))
    each = np.arange(inner)
    blocks[:, each, :, each] = weight.reshape(coarser, inner, -1, weight.shape[1]).swapaxes(0, 1)
    return blocks.reshape(coarser, len(weight) // coarser, -1)


def as_synapse(operator: Linear | None, source_shape: Shape) -> Operator:
    """The operator as one that synapses can hold.

    A diagonal or an identity becomes a depthwise 1×1 convolution, never a matrix, most of which would be zeros. Where
    the gain is the same throughout each channel of the source (a flat source is one), these are its channels; else
    every neuron is a channel.
    """
    if isinstance(operator, Conv2d):
        return _regrouped(operator)
    operator = None if operator is None else _unwrapped(operator)
    if isinstance(operator, Dense | Sparse):
        return operator
    assert not isinstance(operator, Conv2d)
    size = math.prod(source_shape)
    gain = np.ones(size) if operator is None else operator.gain
    maps = source_shape if len(source_shape) == 3 else (1, 1, size)  # of a Conv1d's (C, L) rows are not kept apart
    per_channel = _channel_constant(gain, maps)
    if per_channel is None:
        maps, per_channel = (size, 1, 1), gain
    channels, height, width = maps
    return Conv2d(per_channel.reshape(-1, 1, 1, 1), (channels, height, width), groups=channels)


def _regrouped(operator: Conv2d) -> Conv2d:
    """Block-diagonal weights as the grouped convolution that they are.

    NIR's own type check rejects grouped convolutions, so exporters write them with zeros off the diagonal; as
    synapses those zeros would be stored, multiplied and counted.
    """
    if operator.groups != 1:
        return operator
    outputs, inputs = operator.weight.shape[:2]
    for groups in range(int(np.gcd(outputs, inputs)), 1, -1):
        if outputs % groups or inputs % groups:
            continue
        blocks = operator.weight.reshape(
            groups, outputs // groups, groups, inputs // groups, *operator.weight.shape[2:]
        )
        diagonal = blocks[np.arange(groups), :, np.arange(groups)]
        if np.count_nonzero(diagonal) == np.count_nonzero(operator.weight):
            return replace(
                operator, weight=diagonal.reshape(outputs, inputs // groups, *operator.weight.shape[2:]), groups=groups
            )
    return operator
