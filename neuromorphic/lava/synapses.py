"""Operators as the sparse matrices that stock `lava.proc.sparse.Sparse` holds without changing a bit.

Sparse clips a matrix to [-256, 255] where signs mix, to ±255 where they do not, drops the lowest bit of a mixed one of
8 bits, and shifts the sum by `weight_exp` afterwards. A matrix w is therefore held as w·2^k with
weight_exp = exponent - k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.ir import Conv2d, Dense, Operator, QuantSynapse
from snnergy.neuromorphic.netx.stock_weights import as_lava_holds


@dataclass(frozen=True)
class Form:
    """How Sparse holds a matrix. doublings: k above. bits: its `num_weight_bits`."""

    doublings: int
    bits: int


# In the order of preference. Nine bits of mixed sign are what netx itself asks for where a file holds odd weights
# beyond ±127; no other matrix needs them.
_FORMS = (Form(0, 8), Form(1, 8), Form(0, 9))


def held_form(synapse: QuantSynapse) -> Form:
    """The form in which Sparse holds the operator's mantissas exactly.

    Raises:
        UserError: no form does.
    """
    weight = synapse.operator.weight.astype(np.int64)
    mixed = weight.min() < 0 < weight.max()
    for form in _FORMS if mixed else _FORMS[:1]:
        doubled = weight << form.doublings
        if (as_lava_holds(doubled, 8 - form.bits) == doubled).all():
            return form
    raise UserError(
        f"{synapse.source} → {synapse.target}: weights {weight.min()}..{weight.max()} cannot be held by a Lava "
        "synapse, limit -256..255 where signs mix, else ±255; quantize to 8 bits with an exponent"
    )


@dataclass(frozen=True)
class Tap:
    """One delayed copy of a source.

    steps: Lava steps of delay. logical: those that count in logical time (the others only balance branches).
    """

    steps: int
    logical: int


def taps_of(synapse: QuantSynapse) -> tuple[Tap, ...]:
    """The delayed copies of its source that `synapse` reads, by rising delay."""
    operator = synapse.operator
    own = (0,) if isinstance(operator, Conv2d) or operator.delays is None else np.unique(operator.delays).tolist()
    return tuple(Tap(delay + synapse.delay + synapse.balance, delay + synapse.delay) for delay in own)


def matrix_of(operator: Operator, form: Form) -> csr_matrix:
    """The int32 matrix `(outputs, inputs · taps)` of an operator in `form`, taps in the order of `taps_of`."""
    weight = operator.weight.astype(np.int32) << form.doublings
    if isinstance(operator, Conv2d):
        return _unrolled(operator, weight)
    if operator.delays is None:
        return csr_matrix(weight)
    return hstack([csr_matrix(weight * (operator.delays == d)) for d in np.unique(operator.delays)], format="csr")


def unrolled_nonzeros(operator: Operator) -> int:
    """Upper bound of the entries of an operator's matrix."""
    if isinstance(operator, Dense):
        return int(np.count_nonzero(operator.weight))
    _, height, width = operator.output_shape
    return int(np.count_nonzero(operator.weight)) * height * width


def _unrolled(operator: Conv2d, weight: IntArray) -> csr_matrix:
    """A convolution as a matrix between flat, C-ordered arrays."""
    in_channels, in_height, in_width = operator.input_shape
    out_channels, out_height, out_width = operator.output_shape
    in_size, out_size = in_height * in_width, out_height * out_width
    first_in = (np.arange(out_channels) // (out_channels // operator.groups)) * weight.shape[1]
    rows, columns, values = [], [], []
    for ky, kx in np.ndindex(*weight.shape[2:]):
        to_y, from_y = _tap_positions(ky, in_height, out_height, operator, axis=0)
        to_x, from_x = _tap_positions(kx, in_width, out_width, operator, axis=1)
        to = (to_y[:, None] * out_width + to_x).ravel()
        origin = (from_y[:, None] * in_width + from_x).ravel()
        out, within = np.nonzero(weight[:, :, ky, kx])
        rows.append((out[:, None] * out_size + to).ravel())
        columns.append(((first_in[out] + within)[:, None] * in_size + origin).ravel())
        values.append(np.repeat(weight[out, within, ky, kx], to.size))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(out_channels * out_size, in_channels * in_size), dtype=np.int32)


def _tap_positions(tap: int, extent: int, out_extent: int, operator: Conv2d, axis: int) -> tuple[IntArray, IntArray]:
    """Output positions along one axis where kernel tap `tap` meets the input, and the input positions it meets."""
    to = np.arange(out_extent)
    origin = to * operator.stride[axis] - operator.padding[axis] + tap * operator.dilation[axis]
    inside = (origin >= 0) & (origin < extent)
    return to[inside], origin[inside]
