"""Random integer networks: branches, delays, graded and binary inputs, every decay."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from snnergy.neuromorphic.ir import (
    RESETS,
    SPIKES,
    Conv2d,
    Dense,
    InputPort,
    QuantNet,
    QuantPopulation,
    QuantSynapse,
    Sparse,
)


def random_net(seed: int, *, delays: bool = True) -> QuantNet:
    """A graded and a binary input, a chain of random populations with skips, a readout."""
    rng = np.random.default_rng(seed)
    ports = (InputPort("graded", (2, 5, 4), "real", 1 / 15, 4), InputPort("spikes", (7,), "binary"))
    shapes: dict[str, tuple[int, ...]] = {port.name: port.shape for port in ports}
    depth = {port.name: 0 for port in ports}
    populations, synapses = [], []
    for index in range(int(rng.integers(3, 6))):
        name = f"p{index}"
        sources = (
            ["graded"]
            if index == 0
            else [str(s) for s in rng.choice(list(shapes), size=min(2, len(shapes)), replace=False)]
        )
        if index == 0:
            shape: tuple[int, ...] = (4, 5, 4)
        else:
            shape = tuple(int(x) for x in rng.integers(2, 5, 3)) if rng.random() < 0.5 else (int(rng.integers(2, 9)),)
        depth[name] = 1 + max(depth[s] for s in sources)
        incoming = [_synapse(rng, s, shapes[s], name, shape, delays) for s in sources]
        synapses += [(s, depth[name] - depth[s.source] - 1) for s in incoming]
        populations.append(_population(rng, name, shape, depth[name], spiking=True))
        shapes[name] = shape
    depth["out"] = 1 + max(depth[p.name] for p in populations)
    for p in populations[-2:]:
        synapses.append((_synapse(rng, p.name, p.shape, "out", (3,), delays), depth["out"] - depth[p.name] - 1))
    populations.append(_population(rng, "out", (3,), depth["out"], spiking=False))
    balanced = tuple(QuantSynapse(**{**vars(s), "balance": b}) for s, b in synapses)
    return QuantNet(ports, tuple(populations), balanced, ("out",))


def programmed_net(seed: int) -> QuantNet:
    """`random_net` with decays of each neuron, and populations of every kind of reset and spikes."""
    rng, net = np.random.default_rng(seed), random_net(seed)
    kinds = list(itertools.product(RESETS, SPIKES))
    populations = []
    for index, p in enumerate(net.populations):
        reset, spikes = kinds[(3 * index + seed) % len(kinds)] if p.spiking else ("hard", "one")
        du, dv = rng.integers(500, 4097, p.size), rng.integers(0, 4097, p.size)
        populations.append(replace(p, du=du, dv=dv, reset=reset, spikes=spikes))
    return replace(net, populations=tuple(populations))


def _population(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], depth: int, *, spiking: bool
) -> QuantPopulation:
    size = int(np.prod(shape))
    bias = rng.integers(-40, 60, size if rng.random() < 0.5 else 1).astype(np.int32)
    du, dv = np.array([rng.choice([4096, 4096, 1024])]), np.array([rng.choice([0, 415, 2048, 4096])])
    vth = int(rng.integers(20, 400)) if spiking else 131071
    return QuantPopulation(
        name, shape, du, dv if spiking else 0 * dv, vth, bias, spiking, float(rng.uniform(1, 99)), depth
    )


def _synapse(
    rng: np.random.Generator, source: str, inp: tuple[int, ...], target: str, out: tuple[int, ...], delays: bool
) -> QuantSynapse:
    late = int(rng.choice([0, 0, 0, 1, 2])) if delays else 0
    exponent = int(rng.choice([0, 0, 1, 3, -2]))
    if source == "graded" and len(out) == 3 and out[1:] == inp[1:]:
        weight = rng.integers(-127, 128, (out[0], inp[0], 3, 3)).astype(np.int32)
        return QuantSynapse(source, target, Conv2d(weight, (inp[0], inp[1], inp[2]), (1, 1), (1, 1)), exponent, late)
    weight = rng.integers(-127, 128, (int(np.prod(out)), int(np.prod(inp)))).astype(np.int32)
    each = rng.integers(0, 4, weight.shape) if delays and rng.random() < 0.3 else None
    return QuantSynapse(source, target, Dense(weight, each), max(exponent, 0) if each is not None else exponent, late)


def diagonal_net(seed: int) -> QuantNet:
    """Every form of a diagonal: one gain, one a channel, one a neuron; late, shifted right, side by side and joined."""
    rng = np.random.default_rng(seed)
    maps, flat = (3, 2, 4), (24,)
    one, each, channels = ((1, 1, 24), (24, 1, 1), maps)

    def diagonal(shape: tuple[int, int, int]) -> Conv2d:
        return Conv2d(rng.integers(-127, 128, (shape[0], 1, 1, 1)).astype(np.int32), shape, groups=shape[0])

    return QuantNet(
        (InputPort("graded", maps, "real", 1 / 15, 4), InputPort("spikes", flat, "binary")),
        (
            _population(rng, "a", maps, 1, spiking=True),
            _population(rng, "b", flat, 1, spiking=True),
            _population(rng, "c", maps, 2, spiking=True),
            _population(rng, "out", flat, 3, spiking=False),
        ),
        (
            QuantSynapse("graded", "a", diagonal(channels), 1),
            QuantSynapse("spikes", "a", diagonal(each)),
            QuantSynapse("spikes", "b", diagonal(one), 2, delay=1),
            QuantSynapse("a", "c", diagonal(each), -2),
            QuantSynapse("b", "c", diagonal(channels), delay=2),
            QuantSynapse("c", "out", diagonal(one)),
            QuantSynapse("b", "out", diagonal(each), 1, balance=1),
        ),
        ("out",),
    )


def sparse_net(seed: int) -> QuantNet:
    """Sparse synapses everywhere: from maps and flat sources, late by themselves or together, shifted, none at all."""
    rng = np.random.default_rng(seed)
    maps, flat = (3, 2, 4), (9,)

    def sparse(source: tuple[int, ...], target: tuple[int, ...], *, late: bool = False, share: float = 0.4) -> Sparse:
        rows = [np.flatnonzero(rng.random(int(np.prod(source))) < share) for _ in range(int(np.prod(target)))]
        rows[0] = rows[0][:0]  # a target that nothing reaches
        columns = np.concatenate(rows).astype(np.int32)
        weight = rng.integers(-127, 128, columns.size).astype(np.int32)
        weight[::5] = 0
        delays = rng.integers(0, 4, columns.size).astype(np.int32) if late else None
        return Sparse(weight, columns, np.cumsum([0, *map(len, rows)]), source, target, delays)

    return QuantNet(
        (InputPort("graded", maps, "real", 1 / 15, 4), InputPort("spikes", flat, "binary")),
        (
            _population(rng, "a", maps, 1, spiking=True),
            _population(rng, "b", flat, 1, spiking=True),
            _population(rng, "out", (5,), 2, spiking=False),
        ),
        (
            QuantSynapse("graded", "a", sparse(maps, maps), 1, macs=1 << 40),
            QuantSynapse("spikes", "a", sparse(flat, maps, late=True), 2),
            QuantSynapse("graded", "b", sparse(maps, flat), -2, delay=1, macs=0),
            QuantSynapse("a", "out", sparse(maps, (5,), late=True), delay=2),
            QuantSynapse("b", "out", sparse(flat, (5,))),
            QuantSynapse("spikes", "b", sparse(flat, flat, share=0.0)),
        ),
        ("out",),
    )


def random_inputs(net: QuantNet, samples: int, steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {p.name: rng.integers(0, 1 << p.bits, (samples, steps, *p.shape)).astype(np.int32) for p in net.inputs}
