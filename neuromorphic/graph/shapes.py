"""The shape that each NIR node emits; nir 1.0.8 itself is wrong for grouped and non-square convolutions."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.ir import Conv2d, Pair


def pair(value: Any) -> Pair:
    """A scalar or a sequence of one or two numbers as `(height, width)`."""
    flat = [int(x) for x in np.atleast_1d(value)]
    return (flat[0], flat[-1])


def same_padding(kernel: Pair, dilation: Pair) -> Pair:
    """Padding that keeps the shape at stride 1; raises `ValueError` where it would have to be lopsided."""
    spans = [dilation[i] * (kernel[i] - 1) for i in (0, 1)]
    if any(span % 2 for span in spans):
        raise ValueError(f"padding 'same' of an even kernel {kernel} is lopsided; give the padding as numbers")
    return (spans[0] // 2, spans[1] // 2)


def convolution(node: Any, shape: Shape | None) -> Conv2d:
    """The 2-d operator of a Conv1d, Conv2d, SumPool2d or AvgPool2d on an input of `shape`; 1-d maps have height 1."""
    shape = _given(shape)
    if isinstance(node, nir.Conv1d):
        return _convolution_1d(node, shape)
    if len(shape) != 3:
        raise ValueError(f"takes (C, H, W), got shape {shape}")
    if isinstance(node, nir.Conv2d):
        weight, groups = node.weight, int(node.groups)
        stride, dilation = pair(node.stride), pair(node.dilation)
        padding = _padding(node.padding, (weight.shape[2], weight.shape[3]), dilation)
    else:
        kernel = pair(node.kernel_size)
        value = 1.0 if isinstance(node, nir.SumPool2d) else 1.0 / (kernel[0] * kernel[1])
        weight = np.full((shape[0], 1, *kernel), value, dtype=np.float32)
        groups, stride, dilation, padding = shape[0], pair(node.stride), (1, 1), pair(node.padding)
    if weight.shape[1] * groups != shape[0]:
        raise ValueError(
            f"weight {weight.shape} with {groups} groups takes {weight.shape[1] * groups} channels, got {shape}"
        )
    operator = Conv2d(weight, (shape[0], shape[1], shape[2]), stride, padding, dilation, groups)
    if min(operator.output_shape) < 1:
        raise ValueError(f"kernel {weight.shape[2:]} is larger than the padded input {shape}")
    return operator


def _convolution_1d(node: nir.Conv1d, shape: Shape) -> Conv2d:
    if len(shape) != 2:
        raise ValueError(f"takes (C, L), got shape {shape}")
    weight = node.weight[:, :, None, :]
    dilation = (1, int(np.atleast_1d(node.dilation)[0]))
    if isinstance(node.padding, str | bytes):
        padding = _padding(node.padding, (1, weight.shape[3]), dilation)
    else:
        padding = (0, int(np.atleast_1d(node.padding)[0]))
    stride = (1, int(np.atleast_1d(node.stride)[0]))
    return Conv2d(weight, (shape[0], 1, shape[1]), stride, padding, dilation, int(node.groups))


def _padding(padding: Any, kernel: Pair, dilation: Pair) -> Pair:
    if isinstance(padding, bytes):
        padding = padding.decode()
    if not isinstance(padding, str):
        return pair(padding)
    return (0, 0) if padding == "valid" else same_padding(kernel, dilation)


def output_shape(node: Any, shape: Shape | None) -> Shape:
    """Shape that `node` emits for an input of `shape` (None for an Input node).

    Raises:
        ValueError: the node does not take that shape.
    """
    if isinstance(node, nir.Input):
        return tuple(int(x) for x in node.input_type["input"])
    shape = _given(shape)
    if isinstance(node, nir.Output):
        return shape
    if isinstance(node, nir.Conv1d):
        out = convolution(node, shape).output_shape
        return (out[0], out[2])
    if isinstance(node, nir.Conv2d | nir.SumPool2d | nir.AvgPool2d):
        return convolution(node, shape).output_shape
    if isinstance(node, nir.Affine | nir.Linear):
        if node.weight.ndim != 2 or shape != (node.weight.shape[1],):
            raise ValueError(f"weight {node.weight.shape} takes a flat vector, got shape {shape}; add a Flatten")
        return (node.weight.shape[0],)
    if isinstance(node, nir.Flatten):
        end = int(node.end_dim) % len(shape)
        start = int(node.start_dim) % len(shape)
        return (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
    own = _parameter_shape(node)
    if own != shape:
        raise ValueError(f"parameters of shape {own} on an input of shape {shape}; NIR does not broadcast")
    return shape


def _parameter_shape(node: Any) -> Shape:
    for field in ("v_leak", "r", "threshold", "scale", "delay"):
        if hasattr(node, field):
            return tuple(np.shape(getattr(node, field)))
    raise AssertionError(type(node))


def _given(shape: Shape | None) -> Shape:
    if shape is None:
        raise ValueError("has no input")
    return shape
