"""Loops: where time passes in them, that every way to run them agrees, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np
import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.ir import Dense
from snnergy.neuromorphic.loops import groups, is_loop, way_around
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.netx.files import stock_obstacles
from snnergy.neuromorphic.netx.soundness import require_sound
from snnergy.neuromorphic.passes.balance_delays import BalanceDelays
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from tests.neuromorphic import graphs, recurrent, reference
from tests.neuromorphic.recurrent import SIZE, delay, graph, layer, path


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cuba(size: int = SIZE) -> nir.CubaLIF:
    values = {"tau_syn": 2.0, "tau_mem": 3.0, "r": 2.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0, "w_in": 2.0}
    return nir.CubaLIF(**{name: graphs.full((size,), value) for name, value in values.items()})


def ring(count: int, *waits: float) -> nir.NIRGraph:
    """`count` layers, and a way back from the last to the first through Delays of `waits`."""
    nodes: dict[str, nir.NIRNode] = {}
    for index in range(count):
        nodes |= {f"w{index}": layer(rng(index), 1.2), f"n{index}": graphs.lif((SIZE,))}
    forward = [name for index in range(count) for name in (f"w{index}", f"n{index}")]
    late = {f"d{index}": delay(steps) for index, steps in enumerate(waits)}
    nodes |= {"back": layer(rng(9)), **late}
    return graph(nodes, *path("input", *forward, "output"), *path(forward[-1], "back", *late, "n0"))


def test_groups_are_loops_and_all_others_alone() -> None:
    preds = {"a": ["x"], "b": ["a", "c"], "c": ["b", "d"], "d": ["d"], "e": ["c", "a"]}
    found = groups("edcba", preds)
    assert found == [("a",), ("d",), ("c", "b"), ("e",)]
    assert [is_loop(group, preds) for group in found] == [False, True, True, False]
    assert way_around("c", preds, {"b", "c"}) == ["c", "b", "c"] and way_around("d", preds, {"d"}) == ["d", "d"]


def test_the_back_edge_leaves_a_neuron_on_the_way_back_to_the_node_nearest_an_input() -> None:
    source = from_graph(ring(2))
    assert source.back == {("n1", "back")}
    assert source.order == ("input", "w0", "back", "n0", "w1", "n1", "output")
    assert from_graph(ring(2, 0.0)).back == {("n1", "back")}  # a Delay of no step breaks no loop
    assert from_graph(ring(2, 2.0)).back == frozenset()


def test_a_way_out_of_a_loop_is_no_back_edge_whatever_its_name() -> None:
    nodes = {"n": graphs.lif((SIZE,)), "back": layer(rng()), "a": graphs.lif((SIZE,))}
    both = graph(nodes, ("input", "n"), *path("n", "back", "n"), ("n", "a"), ("input", "a"), ("a", "output"))
    assert from_graph(both).back == {("n", "back")}


def stepped(weights: dict[str, np.ndarray], x: np.ndarray, waits: int) -> list[np.ndarray]:
    """Two LIF layers of tau 2, the second back to the first `waits` steps late: spikes `(T, SIZE)` of both."""
    v, sent = [np.zeros(SIZE), np.zeros(SIZE)], [np.zeros((len(x), SIZE)) for _ in range(2)]
    for t in range(len(x)):
        late = sent[1][t - waits] if t >= waits else np.zeros(SIZE)
        current = weights["w0"] @ x[t] + weights["back"] @ late
        for index in range(2):
            v[index] = v[index] + (current - v[index]) / 2
            sent[index][t] = v[index] > 1
            v[index][v[index] > 1] = 0
            current = weights["w1"] @ sent[0][t]
    return sent


@pytest.mark.parametrize(("delays", "waits"), [((), 1), ((0.0,), 1), ((1.0,), 1), ((2.0,), 2), ((2.0, 3.0), 5)])
def test_the_oracle_steps_through_a_loop(delays: tuple[float, ...], waits: int) -> None:
    source, x = from_graph(ring(2, *delays)), recurrent.samples(4)
    weights = {name: np.asarray(source.nodes[name].weight, float) for name in ("w0", "w1", "back")}
    found = interpret(source, {"input": x})
    for n in range(len(x)):
        for name, expected in zip(("n0", "n1"), stepped(weights, x[n], waits), strict=True):
            assert 0 < expected.sum() < expected.size
            np.testing.assert_array_equal(found.values[name][n].numpy(), expected)
    assert found.membrane["n0"].shape == (3, 12, SIZE)


def test_a_delay_of_its_own_for_each_neuron_in_a_loop() -> None:
    nodes = {"n": graphs.lif((SIZE,)), "d": nir.Delay(np.arange(1.0, SIZE + 1)), "back": layer(rng(1))}
    source = from_graph(graph(nodes, ("input", "n"), ("n", "output"), *path("n", "d", "back", "n")))
    pulse = np.zeros((1, 12, SIZE), np.float32)
    pulse[0, 0] = 3.0
    found = interpret(source, {"input": pulse}, keep=frozenset({"d"})).values["d"][0].numpy()
    for element in range(SIZE):
        assert found[: element + 1, element].sum() == 0 and found[element + 1, element] == 1


def test_forced_values_are_what_a_loop_hears() -> None:
    source, x = from_graph(ring(1)), recurrent.samples(5)
    free = interpret(source, {"input": x}).values["n0"]
    assert torch.equal(interpret(source, {"input": x}, forced={"n0": free}).values["n0"], free)
    silent = interpret(source, {"input": x}, forced={"n0": torch.zeros_like(free)}).values["n0"]
    nodes = {"w0": source.nodes["w0"], "n0": source.nodes["n0"]}
    alone = interpret(from_graph(graph(nodes, *path("input", "w0", "n0", "output"))), {"input": x}).values["n0"]
    assert torch.equal(silent, alone) and not torch.equal(free, alone)


@pytest.mark.parametrize("seed", range(6))
def test_the_discretised_network_equals_the_oracle(seed: int) -> None:
    source, x = from_graph(recurrent.random_graph(seed)), recurrent.samples(seed)
    net = BalanceDelays()(DiscretiseTime()(Fuse()(source)))
    oracle = interpret(source, {"input": x}).values
    weights = [reference.matrix(s.operator) for s in net.synapses]
    values = {"input": x.astype(float)} | {p.name: np.zeros((*x.shape[:2], p.size)) for p in net.populations}
    v = {p.name: np.zeros((len(x), p.size)) for p in net.populations}
    for t in range(x.shape[1]):
        for p in net.populations:
            current = sum(
                values[s.source][:, t - s.delay] @ w.T if t >= s.delay else 0.0
                for s, w in zip(net.synapses, weights, strict=True)
                if s.target == p.name
            )
            charged = (1 - p.decay_v) * v[p.name] + current
            values[p.name][:, t] = charged > p.threshold
            v[p.name] = np.where(charged > p.threshold, 0, charged)
    for p in net.populations:
        np.testing.assert_array_equal(values[p.name], oracle[p.name].numpy(), err_msg=p.name)


@pytest.mark.parametrize("seed", range(12))
def test_the_emulator_steps_loops_as_the_reference_does(seed: int) -> None:
    net = require_sound(recurrent.random_net(seed), "net")
    x = rng(seed).integers(0, 16, (3, 15, 2, 3, 2)).astype(np.int32)
    records, expected = emulator.run(net, {"input": x}, record_state=True), reference.simulate(net, {"input": x})
    assert any(records.values[p.name].any() for p in net.populations if p.spiking)
    for p in net.populations:
        np.testing.assert_array_equal(records.u[p.name], expected["u"][p.name])
        np.testing.assert_array_equal(records.v[p.name], expected["v"][p.name])
        if p.spiking:
            np.testing.assert_array_equal(records.values[p.name], expected["spikes"][p.name])


def test_a_loop_counts_events_when_they_are_sent_and_keeps_state_between_samples_where_asked() -> None:
    net = recurrent.random_net(3)
    x = rng(3).integers(0, 16, (4, 6, 2, 3, 2)).astype(np.int32)
    apart = emulator.run(net, {"input": x})
    for synapse, counted in zip(net.synapses, apart.delivered, strict=True):
        if isinstance(synapse.operator, Dense):
            sent = apart.values[synapse.source].reshape(4, 6, -1)
            np.testing.assert_array_equal(counted, (sent != 0).sum(2) * synapse.operator.weight.shape[0])
    stream = emulator.run(replace(net, reset=False), {"input": x}, record_state=True)
    whole = emulator.run(net, {"input": x.reshape(1, 24, 2, 3, 2)}, record_state=True)
    for name in stream.v:
        np.testing.assert_array_equal(stream.v[name].reshape(whole.v[name].shape), whole.v[name])


def test_what_is_no_loop_of_neurons_is_refused_with_its_nodes() -> None:
    nodes = {"n": graphs.lif((SIZE,)), "a": layer(rng()), "b": layer(rng())}
    lone = graph(nodes, *path("input", "n", "output"), *path("n", "a", "b", "a"), ("b", "n"))
    with pytest.raises(UserError, match="no neuron is in the loop a → b → a"):
        from_graph(lone)
    nodes = {"n": graphs.lif((SIZE,)), "a": layer(rng()), "m": graphs.lif((SIZE,))}
    unfed = graph(nodes, *path("input", "m", "output"), *path("n", "a", "n"), ("n", "m"))
    with pytest.raises(UserError, match=r"no input reaches the loop (n → a → n|a → n → a); connect"):
        from_graph(unfed)
    uneven = ring(1)
    uneven.nodes["back"] = nir.Linear(np.ones((SIZE + 1, SIZE), np.float32))
    with pytest.raises(UserError, match="sums different shapes"):
        from_graph(uneven)


@pytest.mark.parametrize(("count", "delays"), [(2, ()), (2, (1.0,)), (3, ()), (3, (2.0,))])
def test_a_loop_that_is_too_fast_for_the_chip_is_refused_with_the_remedy(count: int, delays: tuple[float]) -> None:
    late = int(sum(delays)) or 1
    text = f"{count} synapses.* late by {late}; train it with a Delay of {count - late} more in the loop"
    with pytest.raises(UserError, match=text):
        compile(ring(count, *delays))


@pytest.mark.parametrize(
    "built",
    [
        ring(1),
        ring(2, 2.0),
        ring(3, 3.0),
        ring(3, 1.0, 4.0),
        graph({"n": cuba(), "back": layer(rng(3))}, *path("input", "n", "output"), *path("n", "back", "n")),
    ],
    ids=["one", "two", "three", "late", "cuba"],
)
def test_a_loop_compiles_and_nearly_spikes_as_in_float(built: nir.NIRGraph) -> None:
    x = recurrent.samples(2, count=8)
    compiled = compile(built, calibration=Samples({"input": x}))
    floating = interpret(from_graph(built), {"input": x}).values
    records = emulator.run(compiled.net, {"input": x.astype(np.int32)})
    for p in compiled.net.populations:
        expected = floating[p.name].numpy() > 0
        assert 0 < expected.mean() < 1
        assert np.mean(records.values[p.name] == expected) > 0.97
    # Loops of several populations, or of one whose weights have exponents.
    assert any("loop" in obstacle or "one scale" in obstacle for obstacle in stock_obstacles(compiled.net))
