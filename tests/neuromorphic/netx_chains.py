"""Chains that stock netx can read."""

from itertools import pairwise

import numpy as np

from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse


def diagonal_chain(size=24):
    """Spikes → one gain → a gain a neuron → one gain: all diagonals, on flat vectors."""
    rng = np.random.default_rng(0)
    one, each = (1, 1, size), (size, 1, 1)
    operators = [
        Conv2d(rng.integers(1, 128, (shape[0], 1, 1, 1)).astype(np.int32), shape, groups=shape[0])
        for shape in (one, each, one)
    ]
    bias = (np.arange(size) % 100).astype(np.int32)

    def population(name, depth, vth=60):
        return QuantPopulation(name, (size,), 4096, 900, vth, bias, vth < 131071, 1.0, depth)

    return QuantNet(
        (InputPort("spikes", (size,), "binary"),),
        (population("a", 1), population("b", 2), population("c", 3, vth=131071)),
        tuple(QuantSynapse(*ends, op) for ends, op in zip(pairwise(["spikes", *"abc"]), operators, strict=True)),
        ("c",),
    )


def sequential(seed=0):
    """conv → conv → dense with delays → readout, biased, weights over the whole 8 bits."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return rng.integers(-127, 128, shape).astype(np.int32)

    def population(name, shape, depth, vth, bias):
        return QuantPopulation(name, shape, 1800, 900, vth, bias.astype(np.int32), vth < 131071, 1.0, depth)

    channels = np.repeat(np.array([30, -20, 0, 5]), 16)
    return QuantNet(
        (InputPort("spikes", (2, 6, 6), "binary"),),
        (
            population("a", (4, 4, 4), 1, 300, channels),
            population("b", (4, 2, 2), 2, 150, np.zeros(1)),
            population("c", (9,), 3, 100, rng.integers(-9, 30, 9)),
            population("d", (4,), 4, 131071, np.zeros(1)),
        ),
        (
            QuantSynapse("spikes", "a", Conv2d(weight(4, 2, 3, 3), (2, 6, 6))),
            QuantSynapse("a", "b", Conv2d(weight(4, 2, 3, 3), (4, 4, 4), (2, 2), (1, 1), (1, 1), 2)),
            QuantSynapse("b", "c", Dense(weight(9, 16), rng.integers(0, 3, (9, 16)))),
            QuantSynapse("c", "d", Dense(abs(weight(4, 9))), exponent=1),
        ),
        ("d",),
    )


def recurrent_chain(seed=0):
    """Two layers that feed themselves, by a matrix and by a gain a neuron, and a readout."""
    rng = np.random.default_rng(seed)

    def matrix(targets, sources):
        return Dense(rng.integers(-127, 128, (targets, sources)).astype(np.int32))

    def population(name, size, depth, vth):
        bias = rng.integers(-9, 30, size).astype(np.int32)
        return QuantPopulation(name, (size,), 1800, 900, vth, bias, vth < 131071, 1.0, depth)

    gains = Conv2d(rng.integers(1, 128, (7, 1, 1, 1)).astype(np.int32), (7, 1, 1), groups=7)
    return QuantNet(
        (InputPort("spikes", (6,), "binary"),),
        (population("a", 9, 1, 150), population("b", 7, 2, 200), population("c", 4, 3, 131071)),
        (
            QuantSynapse("a", "a", matrix(9, 9), delay=1, balance=-1),
            QuantSynapse("spikes", "a", matrix(9, 6)),
            QuantSynapse("a", "b", matrix(7, 9)),
            QuantSynapse("b", "b", gains, delay=1, balance=-1),
            QuantSynapse("b", "c", matrix(4, 7)),
        ),
        ("c",),
    )
