"""Algebra of linear operators: composing a chain of NIR's linear nodes into one `Conv2d` or `Dense`.

Arrays are flat and C-ordered between operators, so a Flatten is the identity and composition never permutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input

from snnergy.artefacts.budget import refuse_excess, refuse_work
from snnergy.artefacts.types import FloatArray, Shape
from snnergy.neuromorphic.ir import Conv2d, Dense, Operator

# Of a composed matrix, while it is composed; one that is too large points at a graph that should stay factored.
_BYTES_AN_ENTRY = 24
_STEPS = 16  # time steps whose work a composition may take, since it is done once


@dataclass(frozen=True)
class Diagonal:
    """Multiplies each element by `gain`, of the array's own shape."""

    gain: FloatArray


Linear = Operator | Diagonal


def apply(operator: Linear, x: FloatArray) -> FloatArray:
    """The operator on one array; the result is flat for a Dense and `(C, H, W)` for a Conv2d."""
    if isinstance(operator, Diagonal):
        return x * operator.gain
    if isinstance(operator, Dense):
        return np.asarray(operator.weight @ x.reshape(-1))
    maps = torch.from_numpy(np.ascontiguousarray(x.reshape(1, *operator.input_shape)))
    weight = torch.from_numpy(operator.weight).to(maps.dtype)
    out = F.conv2d(maps, weight, None, operator.stride, operator.padding, operator.dilation, operator.groups)
    return np.asarray(out[0].numpy())


def compose(first: Linear | None, second: Linear) -> Linear:
    """The operator that does `first`, then `second`; None is the identity.

    Raises:
        UserError: the product has no compact form and its matrix would be too large.
    """
    if first is None:
        return second
    first, second = _unwrapped(first), _unwrapped(second)
    if isinstance(first, Diagonal) and isinstance(second, Diagonal):
        return Diagonal(first.gain.reshape(-1) * second.gain.reshape(-1))
    if isinstance(first, Diagonal):
        return _scaled_input(first.gain, second)
    if isinstance(second, Diagonal):
        return _scaled_output(first, second.gain)
    if isinstance(second, Dense):
        return Dense(_through(first, second.weight))
    return Dense(_through(first, matrix(second)))


def _unwrapped(operator: Linear) -> Linear:
    """The diagonal that a depthwise 1×1 convolution is; any other operator as it is."""
    if not isinstance(operator, Conv2d) or not operator.is_diagonal:
        return operator
    return Diagonal(np.broadcast_to(operator.weight[:, :, :, 0], operator.input_shape).reshape(-1))


def _scaled_input(gain: FloatArray, operator: Linear) -> Linear:
    if isinstance(operator, Dense):
        return replace(operator, weight=operator.weight * gain.reshape(1, -1))
    assert isinstance(operator, Conv2d)
    per_channel = _channel_constant(gain, operator.input_shape)
    if per_channel is None:
        return Dense(matrix(operator) * gain.reshape(1, -1))
    outputs = operator.weight.shape[0] // operator.groups
    grouped = per_channel.reshape(operator.groups, -1).repeat(outputs, axis=0)
    return replace(operator, weight=operator.weight * grouped[:, :, None, None])


def _scaled_output(operator: Operator, gain: FloatArray) -> Operator:
    if isinstance(operator, Dense):
        return replace(operator, weight=operator.weight * gain.reshape(-1, 1))
    per_channel = _channel_constant(gain, operator.output_shape)
    if per_channel is None:
        return Dense(matrix(operator) * gain.reshape(-1, 1))
    return replace(operator, weight=operator.weight * per_channel[:, None, None, None])


def _channel_constant(gain: FloatArray, shape: Shape) -> FloatArray | None:
    """The value of each channel, or None if `gain` varies within one."""
    channels = gain.reshape(shape[0], -1)
    return channels[:, 0] if (channels == channels[:, :1]).all() else None


def _through(operator: Operator, rows: FloatArray) -> FloatArray:
    """`rows @ matrix(operator)`: pulls output weights `(n, outputs)` back to the operator's input."""
    if isinstance(operator, Dense):
        return np.asarray(rows @ operator.weight)
    what = f"a convolution on {operator.input_shape} composed to a matrix (a neuron between the two layers avoids it)"
    refuse_excess(what, rows.shape[0] * math.prod(operator.input_shape) * _BYTES_AN_ENTRY)
    refuse_work(what, rows.shape[0] * math.prod(operator.output_shape) * math.prod(operator.weight.shape[1:]) // _STEPS)
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


def matrix(operator: Operator) -> FloatArray:
    """The operator as a matrix `(outputs, inputs)`."""
    rows = math.prod(operator.output_shape)
    refuse_excess(f"a convolution on {operator.input_shape} as a matrix of {rows} rows", rows * rows * 8)
    return _through(operator, np.eye(rows))


def as_synapse(operator: Linear | None, source_shape: Shape) -> Operator:
    """The operator as one that synapses can hold.

    A diagonal or an identity becomes a depthwise 1×1 convolution, never a matrix, most of which would be zeros. Where
    the gain is the same throughout each channel of the source (a flat source is one), these are its channels; else
    every neuron is a channel.
    """
    if isinstance(operator, Conv2d):
        return _regrouped(operator)
    if isinstance(operator, Dense):
        return operator
    size = int(np.prod(source_shape))
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
