"""Operators keep their structure: a product has the synapses that the chain has, in the cheapest form that is exact."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import emulator, operators, taps
from snnergy.neuromorphic.ir import Conv2d, Dense, Operator, QuantNet, Sparse
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.operators import Diagonal
from tests.neuromorphic import graphs, reference

KINDS = ("conv", "pool", "depthwise", "gain", "channel gain", "dense", "sparse")


def drawn_convolution(rng: np.random.Generator, kind: str, shape: tuple[int, int, int]) -> Conv2d:
    channels, *extents = shape
    groups = channels if kind != "conv" else int(rng.choice([g for g in (1, 2, 3, 4) if channels % g == 0]))
    outputs = groups * int(rng.integers(1, 3))
    if kind == "pool":
        outputs = channels
    kernel, stride, dilation, padding = ([1, 1] for _ in range(4))
    for axis, extent in enumerate(extents):
        kernel[axis] = int(rng.integers(1, min(extent, 4) + 1))
        stride[axis], dilation[axis] = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        padding[axis] = int(rng.integers(0, 3))
        if dilation[axis] * (kernel[axis] - 1) + 1 > extent + 2 * padding[axis]:
            dilation[axis] = 1
    weight = rng.normal(size=(outputs, channels // groups, *kernel))
    weight = np.ones_like(weight) if kind == "pool" else weight
    pairs = [(values[0], values[1]) for values in (stride, padding, dilation)]
    return Conv2d(weight, shape, *pairs, groups=groups)


def drawn(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> operators.Linear:
    size = int(np.prod(shape))
    if kind == "gain":
        return Diagonal(rng.normal(size=shape))
    if kind == "channel gain":
        return Diagonal(rng.normal(size=shape[:1]).repeat(size // shape[0]).reshape(shape))
    if kind == "dense":
        return Dense(rng.normal(size=(int(rng.integers(1, 7)), size)))
    if kind == "sparse":
        rows = [np.flatnonzero(rng.random(size) < 0.3) for _ in range(int(rng.integers(1, 7)))]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        columns = np.concatenate(rows).astype(np.int32)
        return Sparse(rng.normal(size=columns.size), columns, starts, shape, (len(rows),))
    assert len(shape) == 3
    return drawn_convolution(rng, kind, (shape[0], shape[1], shape[2]))


def chain_of(seed: int, kinds: list[str]) -> list[operators.Linear]:
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = tuple(int(x) for x in rng.choice([[4, 7, 5], [2, 6, 6], [3, 1, 8], [6, 4, 3]]))
    chain: list[operators.Linear] = []
    for kind in kinds:
        if len(shape) != 3 and kind in ("conv", "pool", "depthwise"):
            shape = (1, 1, int(np.prod(shape)))
        chain.append(drawn(rng, kind, shape))
        shape = shape if isinstance(chain[-1], Diagonal) else chain[-1].output_shape
    return chain


def matrix(operator: operators.Linear) -> np.ndarray:
    return np.diag(operator.gain.reshape(-1)) if isinstance(operator, Diagonal) else reference.matrix(operator)


def structure(operator: operators.Linear) -> np.ndarray:
    return np.eye(operator.gain.size) != 0 if isinstance(operator, Diagonal) else reference.structure(operator)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.sampled_from(KINDS), min_size=2, max_size=3))
def test_a_product_is_that_of_the_matrices_and_has_its_synapses(seed: int, kinds: list[str]) -> None:
    chain = chain_of(seed, kinds)
    product, values, met = chain[0], matrix(chain[0]), structure(chain[0]).astype(int)
    for operator in chain[1:]:
        product = operators.compose(product, operator)
        values, met = matrix(operator) @ values, structure(operator).astype(int) @ met
    np.testing.assert_allclose(matrix(product), values, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(structure(product), met > 0)
    if not isinstance(product, Diagonal):
        assert not isinstance(product, Dense) or (met > 0).all()
        assert taps.synapse_count(product) == (met > 0).sum()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(("conv", "pool", "depthwise", "dense", "sparse")))
def test_each_synapse_by_itself_is_the_operator(seed: int, kind: str) -> None:
    (operator,) = chain_of(seed, [kind])
    assert not isinstance(operator, Diagonal)
    each = taps.unrolled(operator)
    np.testing.assert_array_equal(reference.matrix(each), reference.matrix(operator))
    np.testing.assert_array_equal(reference.structure(each), reference.structure(operator))
    assert all((np.diff(each.columns[first:end]) > 0).all() for first, end in pairwise(each.row_starts))
    holed = replace(operator, weight=np.where(operator.weight > 0, operator.weight, 0.0))
    np.testing.assert_array_equal(taps.fan_out(holed), reference.structure(operator).sum(axis=0))
    np.testing.assert_array_equal(taps.fan_out(holed, nonzero=True), (reference.matrix(holed) != 0).sum(axis=0))
    assert taps.synapse_count(operator) == each.weight.size


def pool(channels: int, height: int, width: int, size: int, stride: int, padding: int = 0) -> Conv2d:
    kernel = np.ones((channels, 1, size, size)) / size**2
    return Conv2d(kernel, (channels, height, width), (stride,) * 2, (padding,) * 2, groups=channels)  # type: ignore[arg-type]


def conv(shape: tuple[int, int, int], outputs: int, padding: int = 0, groups: int = 1) -> Conv2d:
    rng = np.random.default_rng(0)
    return Conv2d(
        rng.normal(size=(outputs, shape[0] // groups, 3, 3)), shape, padding=(padding, padding), groups=groups
    )


@pytest.mark.parametrize(
    ("first", "second", "kernel", "stride", "padding", "groups"),
    [
        (pool(4, 8, 8, 2, 2), conv((4, 4, 4), 6, 1), (6, 4, 6, 6), 2, 2, 1),
        (pool(4, 8, 8, 2, 2), conv((4, 4, 4), 6, 1, groups=2), (6, 2, 6, 6), 2, 2, 2),
        (conv((2, 8, 8), 4, 1), pool(4, 8, 8, 2, 2), (4, 2, 4, 4), 2, 1, 1),
        (conv((2, 9, 9), 4, 1), pool(4, 9, 9, 3, 2), (4, 2, 5, 5), 2, 1, 1),
        (conv((2, 8, 8), 4), conv((4, 6, 6), 3), (3, 2, 5, 5), 1, 0, 1),
        (pool(3, 8, 8, 2, 2), pool(3, 4, 4, 2, 2), (3, 1, 4, 4), 4, 0, 3),
    ],
)
def test_convolutions_become_one_where_that_is_exact(first, second, kernel, stride, padding, groups) -> None:
    product = operators.compose(first, second)
    assert isinstance(product, Conv2d)
    assert (product.weight.shape, product.stride, product.padding) == (kernel, (stride,) * 2, (padding,) * 2)
    assert product.groups == groups
    np.testing.assert_allclose(matrix(product), matrix(second) @ matrix(first), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            conv((2, 6, 6), 4, 1),
            conv((4, 6, 6), 3, 1),
        ),  # at the border the second reads zeros, not windows of the first
        (pool(4, 9, 9, 2, 2), conv((4, 4, 4), 6, 1)),  # the ninth row is no pool's, but would be a window's
        (pool(4, 9, 9, 1, 2), conv((4, 5, 5), 6)),  # every other pixel: taps with gaps are a dilation, if evenly
    ],
)
def test_a_product_that_is_no_convolution_is_sparse(first, second) -> None:
    product = operators.compose(first, second)
    np.testing.assert_array_equal(structure(product), structure(second).astype(int) @ structure(first) > 0)
    even = first.weight.shape[2] == 1
    assert isinstance(product, Conv2d if even else Sparse)
    assert not even or product.dilation == (2, 2)


@pytest.mark.parametrize("gain_first", [True, False])
def test_a_gain_of_each_neuron_keeps_the_synapses_of_a_convolution(gain_first: bool) -> None:
    kernel = conv((2, 6, 6), 4, 1)
    gain = Diagonal(np.random.default_rng(1).normal(size=(2 if gain_first else 4, 6, 6)))
    product = operators.compose(*((gain, kernel) if gain_first else (kernel, gain)))
    assert isinstance(product, Sparse) and product.weight.size == 4 * 2 * 16**2


def test_a_weight_that_cancels_is_a_synapse_all_the_same() -> None:
    rows = [Sparse(np.array([1.0, w]), np.array([0, 1], np.int32), np.array([0, 2]), (3,), (1,)) for w in (1.0, -1.0)]
    first = Sparse(np.array([1.0, 1.0, 1.0]), np.array([0, 0, 1], np.int32), np.array([0, 1, 3]), (3,), (2,))
    second = Sparse(rows[1].weight, rows[1].columns, rows[1].row_starts, (2,), (1,))
    product = operators.compose(first, second)
    assert isinstance(product, Sparse)
    assert (product.columns.tolist(), product.weight.tolist()) == ([0, 1], [0.0, -1.0])


def test_a_matrix_that_is_a_diagonal_is_held_as_one() -> None:
    gain = np.arange(1.0, 9.0)
    kernel = Conv2d(np.ones((2, 1, 2, 2)), (2, 3, 3), groups=2)
    assert isinstance(operators.compose(kernel, Dense(np.diag(gain.repeat(1)))), Sparse)
    synapse = operators.as_synapse(Dense(np.diag(gain)), (2, 2, 2))
    assert isinstance(synapse, Conv2d) and synapse.is_diagonal
    np.testing.assert_array_equal(reference.matrix(synapse), np.diag(gain))
    holed: Operator = operators.as_synapse(Dense(np.diag([1.0, 0.0])), (2,))
    assert isinstance(holed, Dense)  # as many zeros as a learned matrix can have


def test_a_pool_that_drops_a_border_leaves_no_synapses_there() -> None:
    product = operators.compose(pool(2, 5, 5, 2, 2), Dense(np.random.default_rng(0).normal(size=(3, 8))))
    assert isinstance(product, Sparse) and product.weight.size == 3 * 2 * 4 * 4
    assert isinstance(operators.compose(pool(2, 4, 4, 2, 2), Dense(np.ones((3, 8)))), Dense)


def test_what_would_not_fit_is_refused_before_it_is_made() -> None:
    wide = Conv2d(np.ones((256, 256, 3, 3), np.float32), (256, 64, 64), padding=(1, 1))
    with pytest.raises(UserError, match=r"composed to sparse synapses.*a neuron between"):
        operators.compose(wide, wide)
    with pytest.raises(UserError, match="a gain a neuron"):
        operators.compose(wide, Diagonal(np.arange(256.0 * 64 * 64).reshape(256, 64, 64)))


def test_a_pool_before_a_wide_convolution_takes_no_time() -> None:
    shape = (512, 8, 8)
    kernel = Conv2d(np.random.default_rng(0).normal(size=(512, 512, 3, 3)), (512, 4, 4), padding=(1, 1))
    product = operators.compose(pool(*shape, 2, 2), kernel)
    assert isinstance(product, Conv2d) and product.weight.shape == (512, 512, 6, 6)


def compiled(mid: dict[str, nir.NIRNode], shape: tuple[int, ...], size: int = 12) -> QuantNet:
    """The network of an input of spikes `(2, size, size)`, `mid`, and an output."""
    nodes = {"input": nir.Input({"input": np.array((2, size, size))}, metadata={"value_class": "binary"})}
    nodes |= mid | {"output": nir.Output({"output": np.array(shape)})}
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)), metadata={"dt": 1.0}, type_check=False)
    return compile(graph).net


def spikes(size: int = 12) -> np.ndarray:
    return (np.random.default_rng(0).random((2, 4, 2, size, size)) < 0.2).astype(np.int32)


def reached(x: np.ndarray, chain: list[tuple[int, int, int]]) -> float:
    """Synapses that spikes meet in one channel: the outputs of `(kernel, stride, padding)` after one another that each
    spike changes.
    """
    fan = np.zeros(x.shape[-2:])
    for place in np.ndindex(*fan.shape):
        maps = torch.zeros(1, 1, *fan.shape)
        maps[(0, 0, *place)] = 1.0
        for kernel, stride, padding in chain:
            maps = F.conv2d(maps, torch.ones(1, 1, kernel, kernel), stride=stride, padding=padding)
        fan[place] = float((maps > 0).sum())
    return float((x * fan).sum())


RNG = np.random.default_rng(0)
KERNEL = nir.Conv2d((12, 12), RNG.normal(0, 0.6, (4, 2, 3, 3)).astype(np.float32), 1, 1, 1, 1, np.zeros(4, np.float32))
GAIN = RNG.uniform(0.5, 1.5, (4, 12, 12)).astype(np.float32)
MIXED = graphs.lif((4, 12, 12))
MIXED.r = GAIN


@pytest.mark.parametrize(
    ("mid", "shape", "chain", "kind"),
    [
        ({"c": KERNEL, "n": graphs.lif((4, 12, 12))}, (4, 12, 12), [(3, 1, 1)], Conv2d),
        ({"c": KERNEL, "n": MIXED}, (4, 12, 12), [(3, 1, 1)], Sparse),
        ({"c": KERNEL, "s": nir.Scale(GAIN), "n": graphs.lif((4, 12, 12))}, (4, 12, 12), [(3, 1, 1)], Sparse),
        (
            {"c": KERNEL, "p": graphs.pool(nir.SumPool2d, 2, 2), "n": graphs.lif((4, 6, 6))},
            (4, 6, 6),
            [(3, 1, 1), (2, 2, 0)],
            Conv2d,
        ),
        (
            {"p": graphs.pool(nir.AvgPool2d, 2, 2), "c": KERNEL, "n": graphs.lif((4, 6, 6))},
            (4, 6, 6),
            [(2, 2, 0), (3, 1, 1)],
            Conv2d,
        ),
        (
            {"p": graphs.pool(nir.AvgPool2d, 2, 2), "c": KERNEL, "n": graphs.lif((4, 6, 6))},
            (4, 6, 6),
            [(2, 2, 0), (3, 1, 1)],
            Sparse,  # of a map of 13 × 13, whose last row no pool reads
        ),
    ],
)
def test_a_spike_meets_the_synapses_of_the_chain(mid, shape, chain, kind) -> None:
    size = 13 if kind is Sparse and len(chain) == 2 else 12
    mid = {name: deepcopy(node) for name, node in mid.items()}
    net, x = compiled(mid, shape, size), spikes(size)
    assert isinstance(net.synapses[0].operator, kind)
    records = emulator.run(net, {"input": x})
    right = reached(x, chain) * shape[0]
    assert records.delivered[0].sum() == right
    assert (x.reshape(8, -1) @ taps.fan_out(net.synapses[0].operator)).sum() == right
    learned = taps.synapse_count(conv((2, shape[1], shape[2]), 4, 1)) if chain[0][0] == 2 else 4 * 2 * 34**2
    assert net.synapses[0].macs == learned


def test_layers_of_full_size_compile_in_seconds() -> None:
    weight = np.random.default_rng(0).normal(0, 0.05, (128, 64, 3, 3)).astype(np.float32)
    nodes = {
        "w": nir.Conv2d((32, 32), weight[:64, :2].copy(), 1, 1, 1, 1, np.zeros(64, np.float32)),
        "n": graphs.lif((64, 32, 32)),
        "p": graphs.pool(nir.AvgPool2d, 2, 2),
        "c": nir.Conv2d((16, 16), weight, 1, 1, 1, 1, np.zeros(128, np.float32)),
        "m": graphs.lif((128, 16, 16)),
    }
    begun = time.process_time()
    net = compiled(nodes, (128, 16, 16), 32)
    assert time.process_time() - begun < 10
    assert net.synapses[1].operator.weight.size == 128 * 64 * 36
