"""Composition of linear operators against applying them one after another."""

from __future__ import annotations

import numpy as np
import pytest

from snnergy.neuromorphic import operators
from snnergy.neuromorphic.ir import Conv2d, Dense
from snnergy.neuromorphic.operators import Diagonal


def conv(rng: np.random.Generator, **options: object) -> Conv2d:
    groups = int(options.pop("groups", 1))  # type: ignore[call-overload]
    return Conv2d(rng.normal(size=(6, 4 // groups, 3, 3)), (4, 7, 5), groups=groups, **options)  # type: ignore[arg-type]


def chains(rng: np.random.Generator) -> list[tuple[operators.Linear, operators.Linear]]:
    plain = conv(rng, padding=(1, 1))
    strided = conv(rng, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)
    after = Conv2d(rng.normal(size=(2, 6, 3, 3)), (6, 7, 5))
    size = int(np.prod(strided.output_shape))
    return [
        (Diagonal(rng.normal(size=(4, 7, 5))), plain),
        (Diagonal(np.repeat(rng.normal(size=4), 35).reshape(4, 7, 5)), strided),
        (strided, Diagonal(np.repeat(rng.normal(size=6), size // 6).reshape(strided.output_shape))),
        (plain, Diagonal(rng.normal(size=(6, 7, 5)))),
        (strided, Dense(rng.normal(size=(3, size)))),
        (plain, after),
        (Dense(rng.normal(size=(4, 9))), Dense(rng.normal(size=(2, 4)))),
        (Diagonal(rng.normal(size=9)), Dense(rng.normal(size=(4, 9)))),
        (Dense(rng.normal(size=(4, 9))), Diagonal(rng.normal(size=4))),
        (Diagonal(rng.normal(size=9)), Diagonal(rng.normal(size=9))),
    ]


def input_shape(operator: operators.Linear) -> tuple[int, ...]:
    return operator.gain.shape if isinstance(operator, Diagonal) else operator.input_shape


@pytest.mark.parametrize("index", range(10))
def test_composition_equals_succession(index: int) -> None:
    rng = np.random.default_rng(0)
    first, second = chains(rng)[index]
    x = rng.normal(size=input_shape(first))
    step_by_step = operators.apply(second, operators.apply(first, x).reshape(input_shape(second)))
    composed = operators.apply(
        operators.compose(first, second), x.reshape(input_shape(operators.compose(first, second)))
    )
    np.testing.assert_allclose(composed.reshape(-1), step_by_step.reshape(-1), rtol=1e-9, atol=1e-9)


def test_convolutions_stay_convolutions_under_channel_gains() -> None:
    rng = np.random.default_rng(1)
    gain = np.repeat(rng.normal(size=4), 35).reshape(4, 7, 5)
    assert isinstance(operators.compose(Diagonal(gain), conv(rng, groups=2)), Conv2d)


def test_identity_becomes_a_depthwise_convolution() -> None:
    synapse = operators.as_synapse(None, (3, 4, 4))
    assert isinstance(synapse, Conv2d)
    assert (synapse.groups, synapse.weight.shape) == (3, (3, 1, 1, 1))
    x = np.random.default_rng(2).normal(size=(3, 4, 4))
    np.testing.assert_array_equal(operators.apply(synapse, x), x)
    flat = operators.as_synapse(None, (5,))
    np.testing.assert_array_equal(flat.weight, np.eye(5))


def test_block_diagonal_weights_are_regrouped_without_changing_the_map() -> None:
    rng = np.random.default_rng(3)
    dense = np.zeros((6, 4, 1, 1))
    dense[:3, :2], dense[3:, 2:] = rng.normal(size=(3, 2, 1, 1)), rng.normal(size=(3, 2, 1, 1))
    before = Conv2d(dense, (4, 3, 3))
    after = operators.as_synapse(before, (4, 3, 3))
    assert isinstance(after, Conv2d) and after.groups == 2
    x = rng.normal(size=(4, 3, 3))
    np.testing.assert_allclose(operators.apply(after, x), operators.apply(before, x), rtol=1e-12)
    full = operators.as_synapse(Conv2d(rng.normal(size=(6, 4, 1, 1)), (4, 3, 3)), (4, 3, 3))
    assert isinstance(full, Conv2d) and full.groups == 1
