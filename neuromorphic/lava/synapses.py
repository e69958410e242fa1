"""Operators as the sparse matrices that stock `lava.proc.sparse.Sparse` holds without changing a bit.

Sparse clips a matrix to [-256, 255] where signs mix, to ±255 where they do not, drops the lowest bit of a mixed one of
8 bits, and shifts the sum by `weight_exp` afterwards. A matrix w is therefore held as w·2^k with
weight_exp = exponent - k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.ir import Conv2d, Operator, QuantSynapse
from snnergy.neuromorphic.netx.stock_weights import as_lava_holds
from snnergy.neuromorphic.taps import as_matrix, unrolled


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
    if not weight.size:  # sparse synapses of which there is none
        return _FORMS[0]
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
    own = (0,) if operator.delays is None else np.unique(operator.delays).tolist()
    return tuple(Tap(delay + synapse.delay + synapse.balance, delay + synapse.delay) for delay in own)


def matrix_of(operator: Operator, form: Form) -> csr_matrix:
    """The int32 matrix `(outputs, inputs · taps)` of an operator in `form`, taps in the order of `taps_of`."""
    each = unrolled(operator)
    weight, delays = each.weight.astype(np.int32) << form.doublings, each.delays
    parts = [weight] if delays is None else [weight * (delays == d) for d in np.unique(delays)]
    matrices = [as_matrix(each, part) for part in parts]
    matrix = matrices[0].copy() if len(matrices) == 1 else hstack(matrices, format="csr")
    matrix.eliminate_zeros()
    return matrix


def unrolled_nonzeros(operator: Operator) -> int:
    """Upper bound of the entries of an operator's matrix."""
    places = operator.output_shape[1:] if isinstance(operator, Conv2d) else ()
    return int(np.count_nonzero(operator.weight)) * math.prod(places)
