"""Delays: whole steps, rounded ones, one for each neuron, and longer than the chip's."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import nir
import numpy as np
import pytest

from snnergy.artefacts.activity import WARNINGS
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.ir import Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse, soonest
from snnergy.neuromorphic.limits import DELAY_MAX
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.passes.check import Check
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.relay_delays import RelayDelays
from tests.neuromorphic import graphs, recurrent, reference
from tests.neuromorphic.recurrent import SIZE, graph, layer, path

STEPS = 100


def delayed(delays: object, dt: float = 1.0) -> nir.NIRGraph:
    """A Delay before a layer of neurons that fire for each spike."""
    weight = nir.Linear(3 * np.eye(SIZE, dtype=np.float32))
    late = nir.Delay(np.broadcast_to(np.asarray(delays, np.float32), (SIZE,)).copy())
    nodes = {"d": late, "w": weight, "n": graphs.lif((SIZE,), tau=2 * dt)}
    built = graph(nodes, *path("input", "d", "w", "n", "output"))
    return replace(built, metadata={"dt": dt})


@pytest.mark.parametrize(
    ("delays", "dt", "steps"),
    [
        (3.0, 1.0, [3] * SIZE),
        (62.0, 1.0, [62] * SIZE),
        (80.0, 1.0, [80] * SIZE),
        (5e-4, 1e-4, [5] * SIZE),
        ([1, 2, 3, 4, 5, 0], 1.0, [1, 2, 3, 4, 5, 0]),
        ([70, 2, 3, 64, 62, 0], 1.0, [70, 2, 3, 64, 62, 0]),
        (2.5, 1.0, [2] * SIZE),
        ([1.5, 0.5, 2.4, 2.6, 3.0, 0.49], 1.0, [2, 0, 2, 3, 3, 0]),
    ],
    ids=["three", "longest", "relayed", "seconds", "each", "each relayed", "between", "each between"],
)
def test_what_a_delay_holds_back_arrives_whole_steps_later(delays: object, dt: float, steps: list[int]) -> None:
    x = recurrent.samples(0, count=2, steps=STEPS)
    expected = np.zeros_like(x)
    for neuron, late in enumerate(steps):
        expected[:, late:, neuron] = x[:, : STEPS - late, neuron]
    source = from_graph(delayed(delays, dt))
    np.testing.assert_array_equal(interpret(source, {"input": x}).values["n"].numpy(), expected)
    net = compile(delayed(delays, dt), calibration=Samples({"input": x})).net
    np.testing.assert_array_equal(emulator.run(net, {"input": x.astype(np.int32)}).values["n"], expected)
    between = bool(np.any(np.asarray(delays) / dt % 1 > 1e-6)) and dt == 1.0
    assert ("rounded to whole ones" in net.provenance[WARNINGS]) == between
    assert any(".relay" in p.name for p in net.populations) == (max(steps) > DELAY_MAX)


def test_a_layer_behind_a_delay_of_each_neuron_sums_what_is_late_by_different_steps() -> None:
    late = nir.Delay(np.array([0, 1, 1, 3, 0, 3], np.float32))
    nodes = {"a": layer(np.random.default_rng(0), 1.0), "d": late, "b": layer(np.random.default_rng(1), 1.0),
             "e": nir.Delay(np.array([1, 0, 0, 0, 2, 0], np.float32)), "n": graphs.lif((SIZE,))}  # fmt: skip
    source = from_graph(graph(nodes, *path("input", "a", "d", "b", "e", "n", "output")))
    net, x = DiscretiseTime()(Fuse()(source)), recurrent.samples(1)
    assert [s.delay for s in net.synapses] == [0, 1, 3] and all(s.operator.delays is not None for s in net.synapses)
    current = np.zeros(x.shape)
    for s in net.synapses:
        assert isinstance(s.operator, Dense) and s.operator.delays is not None
        for d in np.unique(s.operator.delays):
            sent = np.zeros(x.shape)
            sent[:, s.delay + d :] = x[:, : x.shape[1] - s.delay - d]
            current += sent @ np.where(s.operator.delays == d, s.operator.weight, 0).T
    v, expected = np.zeros(x.shape[::2]), interpret(source, {"input": x}).values["n"].numpy()
    for t in range(x.shape[1]):
        v = v / 2 + current[:, t]
        np.testing.assert_array_equal(v > 1, expected[:, t])
        v[v > 1] = 0
    assert expected.any()


def test_two_delays_side_by_side_are_two_ways() -> None:
    nodes = {"d": recurrent.delay(1), "e": recurrent.delay(1), "n": graphs.lif((SIZE,), tau=1.0, threshold=1.5)}
    both = graph(nodes, *path("input", "d", "n", "output"), *path("input", "e", "n"))
    x = recurrent.samples(2)
    np.testing.assert_array_equal(interpret(from_graph(both), {"input": x}).values["n"][:, 1:].numpy(), x[:, :-1])
    net = compile(both, calibration=Samples({"input": x})).net
    np.testing.assert_array_equal(emulator.run(net, {"input": x.astype(np.int32)}).values["n"][:, 1:], x[:, :-1])


def test_a_delay_before_its_cause_is_refused() -> None:
    with pytest.raises(UserError, match=r"'d' .*cannot arrive before it is sent"):
        from_graph(delayed(-1.0))


def long_net(seed: int, value_class: str = "binary") -> QuantNet:
    """Delays of 0 to 200 steps, of whole synapses, of single ones, and back to the start of a loop."""
    rng = np.random.default_rng(seed)
    chain = ("input", "p0", "p1", "p2")
    populations = tuple(
        QuantPopulation(name, (SIZE,), 2048, 900, 90, np.zeros(1, np.int32), True, 1.0, depth)
        for depth, name in enumerate(chain)
        if depth
    )

    def synapse(source: str, target: str, delay: int, balance: int) -> QuantSynapse:
        weight = rng.integers(-60, 127, (SIZE, SIZE)).astype(np.int32)
        each = rng.integers(0, 200, weight.shape) if rng.random() < 0.5 else None
        return QuantSynapse(source, target, Dense(weight, each), 1, delay, balance)

    synapses = [synapse(a, b, int(rng.integers(0, 150)), 0) for a, b in path(*chain)]
    synapses += [synapse("p2", "p1", int(rng.integers(2, 150)), -2), synapse("input", "p2", 0, 2)]
    port = InputPort("input", (SIZE,), value_class, bits=1 if value_class == "binary" else 8)  # type: ignore[arg-type]
    return QuantNet((port,), populations, tuple(synapses), ("p2",))


@pytest.mark.parametrize("seed", range(4))
def test_relays_change_nothing_but_what_a_synapse_holds(seed: int) -> None:
    net = long_net(seed)
    relayed = Check()(RelayDelays()(net))
    assert max(soonest(s) + s.balance for s in relayed.synapses) <= DELAY_MAX
    x = (np.random.default_rng(seed).random((1, 300, SIZE)) < 0.3).astype(np.int32)
    found, expected = emulator.run(relayed, {"input": x}, record_state=True), reference.simulate(net, {"input": x})
    for p in net.populations:
        np.testing.assert_array_equal(found.values[p.name], expected["spikes"][p.name])
        np.testing.assert_array_equal(found.u[p.name], expected["u"][p.name])
        assert relayed.population(p.name) == p
        sent = [s.operator.weight.size for s in relayed.synapses if s.target == p.name]
        assert sum(sent) == sum(s.operator.weight.size for s in net.incoming(p.name))
    assert RelayDelays()(relayed) == relayed


def test_what_spikes_cannot_relay_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"'input' is graded: delay it by 62 steps at most, or put a spiking neuron"):
        RelayDelays()(long_net(0, "real"))
    with pytest.raises(UserError, match=r"4,?094 are allowed; shorten the Delay"):
        compile(delayed(1e6))


@pytest.mark.skipif(find_spec("lava") is None, reason="Lava runs on Python 3.10 only")
def test_relays_in_lava() -> None:
    from snnergy.neuromorphic import lava

    net = RelayDelays()(long_net(2))
    x = (np.random.default_rng(2).random((2, 150, SIZE)) < 0.3).astype(np.int32)
    found, expected = lava.run(net, {"input": x}), emulator.run(net, {"input": x}, record_state=True)
    for p in net.populations:
        np.testing.assert_array_equal(found.values[p.name], expected.values[p.name])
        np.testing.assert_array_equal(found.u[p.name], expected.u[p.name])
        np.testing.assert_array_equal(found.v[p.name], expected.v[p.name])
