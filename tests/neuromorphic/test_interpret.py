"""The float oracle against the equations of NIR written as plain loops."""

from __future__ import annotations

import nir
import numpy as np
import torch
import torch.nn.functional as F

from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from tests.neuromorphic import graphs
from tests.neuromorphic.test_read_nir import chain, flat


def run(node: nir.NIRNode, current: np.ndarray, dt: float = 1.0) -> np.ndarray:
    inp, out = flat(current.shape[-1])
    trace = interpret(from_graph(chain(inp, node, out), dt), {"n0": current[None]})
    return trace.values["n1"][0].numpy()


def test_lif_leaks_fires_and_resets() -> None:
    current = np.random.default_rng(0).normal(0.8, 1.0, (20, 4)).astype(np.float32)
    spikes = run(graphs.lif((4,), tau=3.0), current)
    v = np.zeros(4)
    for t in range(20):
        v = v + (current[t] - v) / 3.0
        assert (spikes[t] == (v > 1.0)).all()
        v[v > 1.0] = 0.0
    assert 0 < spikes.sum() < spikes.size


def test_cuba_lif_updates_the_current_first() -> None:
    shape = (3,)
    constants = {"tau_syn": 2.0, "tau_mem": 4.0, "r": 1.5, "v_leak": 0.1, "w_in": 2.0}
    firing = {"v_threshold": 0.7, "v_reset": 0.2}
    parameters = {name: graphs.full(shape, value) for name, value in (constants | firing).items()}
    current = np.random.default_rng(1).normal(1.0, 1.0, (20, 3)).astype(np.float32)
    spikes = run(nir.CubaLIF(**parameters), current)
    i = v = np.zeros(3)
    for t in range(20):
        i = i + (2.0 * current[t] - i) / 2
        v = v + (0.1 - v + 1.5 * i) / 4
        fired = v > 0.7
        assert (spikes[t] == fired).all()
        v = np.where(fired, 0.2, v)
    assert 0 < spikes.sum() < spikes.size


def test_if_threshold_and_readouts() -> None:
    current = np.random.default_rng(2).normal(0.3, 1.0, (15, 2)).astype(np.float32)
    ones = graphs.full((2,), 1)
    np.testing.assert_array_equal(run(nir.Threshold(ones * 0.5), current), current > 0.5)
    np.testing.assert_allclose(run(nir.I(ones * 2), current, dt=0.5), np.cumsum(current, 0), rtol=1e-5)
    spikes, v = run(nir.IF(ones, ones), current), np.zeros(2, np.float32)
    for t in range(15):
        v = v + current[t]
        assert (spikes[t] == (v > 1)).all()
        v[v > 1] = 0
    membrane, v = run(nir.LI(ones * 4, ones, ones * 0.2), current), np.zeros(2)
    for t in range(15):
        v = v + (0.2 - v + current[t]) / 4
        np.testing.assert_allclose(membrane[t], v, rtol=1e-5)


def test_linear_nodes_are_those_of_pytorch() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 3, 4, 6, 6)).astype(np.float32)
    maps = torch.from_numpy(x.reshape(6, 4, 6, 6))
    weight, bias = rng.normal(size=(6, 2, 3, 3)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    cases = [
        (
            nir.Conv2d((6, 6), weight, (2, 1), (1, 0), (1, 2), 2, bias),
            F.conv2d(maps, torch.from_numpy(weight), torch.from_numpy(bias), (2, 1), (1, 0), (1, 2), 2),
        ),
        (graphs.pool(nir.AvgPool2d, 2, 2), F.avg_pool2d(maps, 2)),
        (graphs.pool(nir.SumPool2d, 3, 2, 1), F.avg_pool2d(maps, 3, 2, 1, divisor_override=1)),
        (nir.Flatten({"input": np.array([4, 6, 6])}, 0), maps.flatten(1)),
        (nir.Scale(np.full((4, 6, 6), 0.5, np.float32)), maps * 0.5),
    ]
    for node, expected in cases:
        graph = chain(nir.Input({"input": np.array([4, 6, 6])}), node, nir.Output({"output": np.array([1])}))
        value = interpret(from_graph(graph, 1.0), {"n0": x}).values["n2"]
        torch.testing.assert_close(value.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)


def test_broadcast_by_a_padded_sum_pool() -> None:
    node = graphs.pool(nir.SumPool2d, 3, 1, 2)
    x = np.arange(2, dtype=np.float32).reshape(1, 1, 2, 1, 1)
    graph = chain(nir.Input({"input": np.array([2, 1, 1])}), node, nir.Output({"output": np.array([2, 3, 3])}))
    value = interpret(from_graph(graph, 1.0), {"n0": x}).values["n2"]
    assert torch.equal(value, torch.from_numpy(x).expand(1, 1, 2, 3, 3))


def test_delay_and_forced_values() -> None:
    x = np.random.default_rng(4).normal(1, 1, (2, 6, 3)).astype(np.float32)
    inp, out = flat(3)
    graph = chain(inp, graphs.lif((3,)), nir.Delay(graphs.full((3,), 2)), nir.Scale(graphs.full((3,), 2)), out)
    trace = interpret(from_graph(graph, 1.0), {"n0": x})
    spikes = trace.values["n1"]
    assert torch.equal(trace.values["n4"][:, 2:], 2 * spikes[:, :-2])
    assert not trace.values["n4"][:, :2].any()
    forced = interpret(from_graph(graph, 1.0), {"n0": x}, forced={"n1": torch.ones_like(spikes)})
    assert torch.equal(forced.values["n1"], spikes)
    assert (forced.values["n4"][:, 2:] == 2).all()


def test_samples_do_not_influence_each_other() -> None:
    source = from_graph(graphs.branched())
    image = graphs.samples(6, seed=3).arrays["image"]
    together = interpret(source, {"image": image})
    alone = interpret(source, {"image": image[3:4]})
    for name, value in alone.values.items():
        # Sums in another order may differ in their last bits; no membrane is so near its threshold that they decide.
        torch.testing.assert_close(together.values[name][3:4], value, rtol=1e-5, atol=1e-5, msg=name)
    for name, membrane in together.membrane.items():
        assert (membrane - torch.from_numpy(source.nodes[name].v_threshold)).abs().min() > 1e-5, name
