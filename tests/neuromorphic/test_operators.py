"""Composition of linear operators against the product of their matrices, which are built tap by tap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnergy.neuromorphic import operators
from snnergy.neuromorphic.ir import Conv2d, Dense
from snnergy.neuromorphic.operators import Diagonal
from tests.neuromorphic import reference


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
        (depthwise(rng, 4, 7, 5), plain),
        (plain, depthwise(rng, 6, 7, 5)),
        (depthwise(rng, 140, 1, 1), Diagonal(rng.normal(size=140))),
        (depthwise(rng, 1, 1, 9), Dense(rng.normal(size=(4, 9)))),
    ]


def depthwise(rng: np.random.Generator, *shape: int) -> Conv2d:
    channels, height, width = shape
    return Conv2d(rng.normal(size=(channels, 1, 1, 1)), (channels, height, width), groups=channels)


def matrix(operator: operators.Linear) -> np.ndarray:
    return np.diag(operator.gain.reshape(-1)) if isinstance(operator, Diagonal) else reference.matrix(operator)


@pytest.mark.parametrize("index", range(14))
def test_composition_is_the_product_of_the_matrices(index: int) -> None:
    first, second = chains(np.random.default_rng(0))[index]
    composed = operators.compose(first, second)
    np.testing.assert_allclose(matrix(composed), matrix(second) @ matrix(first), rtol=1e-9, atol=1e-9)


def test_apply_is_the_product_with_the_matrix() -> None:
    rng = np.random.default_rng(4)
    for operator in (operator for pair in chains(rng) for operator in pair):
        x = rng.normal(size=operator.gain.shape if isinstance(operator, Diagonal) else operator.input_shape)
        found = operators.apply(operator, x).reshape(-1)
        np.testing.assert_allclose(found, matrix(operator) @ x.reshape(-1), rtol=1e-9, atol=1e-9)


def test_convolutions_stay_convolutions_under_channel_gains() -> None:
    rng = np.random.default_rng(1)
    gain = np.repeat(rng.normal(size=4), 35).reshape(4, 7, 5)
    assert isinstance(operators.compose(Diagonal(gain), conv(rng, groups=2)), Conv2d)


@pytest.mark.parametrize(
    ("gain", "source", "shape"),
    [
        (None, (3, 4, 4), (3, 4, 4)),
        (np.repeat([2.0, -1.0, 0.5], 16), (3, 4, 4), (3, 4, 4)),
        (np.arange(48.0), (3, 4, 4), (48, 1, 1)),
        (None, (5,), (1, 1, 5)),
        (np.arange(5.0), (5,), (5, 1, 1)),
        (None, (2, 6), (1, 1, 12)),
        (np.repeat([2.0, -1.0], 6), (2, 6), (12, 1, 1)),
    ],
)
def test_a_diagonal_is_a_depthwise_convolution_whatever_it_stands_on(
    gain: np.ndarray | None, source: tuple[int, ...], shape: tuple[int, int, int]
) -> None:
    synapse = operators.as_synapse(None if gain is None else Diagonal(gain), source)
    assert isinstance(synapse, Conv2d) and synapse.is_diagonal
    assert synapse.input_shape == synapse.output_shape == shape
    size = int(np.prod(source))
    np.testing.assert_array_equal(reference.matrix(synapse), np.diag(np.ones(size) if gain is None else gain))


@pytest.mark.parametrize(
    "change",
    [
        {"stride": (2, 1)},
        {"padding": (0, 1)},
        {"groups": 1, "weight": np.ones((3, 3, 1, 1))},
        {"weight": np.ones((6, 1, 1, 1))},
    ],
)
def test_what_is_more_than_a_diagonal_is_none(change: dict) -> None:
    assert not replace(Conv2d(np.ones((3, 1, 1, 1)), (3, 4, 4), groups=3), **change).is_diagonal


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
