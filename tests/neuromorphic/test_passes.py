"""Each pass: what it does, what it must not do, and a property that holds for every graph."""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np
import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import FloatNet
from snnergy.neuromorphic.lowering.calibrate import FloatActivity
from snnergy.neuromorphic.passes.balance_delays import BalanceDelays
from snnergy.neuromorphic.passes.check import Check
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.quantize import Quantize
from tests.neuromorphic import graphs, nets, reference
from tests.neuromorphic.test_read_nir import chain, flat


def lowered(seed: int = 0) -> FloatNet:
    return floating(from_graph(graphs.branched(seed)))


def floating(source: NirSource) -> FloatNet:
    return BalanceDelays()(DiscretiseTime()(Fuse()(source)))


def run_float(net: FloatNet, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The equations of `FloatPopulation` in float64, one sample: spikes, or the membrane of a readout."""
    values = {name: x.reshape(x.shape[0], -1).astype(float) for name, x in inputs.items()}
    weights = [reference.matrix(s.operator) for s in net.synapses]
    for p in net.populations:
        steps = next(iter(values.values())).shape[0]
        u, v, sent, out = 0.0, 0.0, np.zeros(p.size), []
        for t in range(steps):
            drive = sum(
                weight @ values[s.source][t - s.delay] if t >= s.delay else 0.0
                for s, weight in zip(net.synapses, weights, strict=True)
                if s.target == p.name
            )
            u = (1 - p.decay_u) * u + drive
            v = (1 - p.decay_v) * v + u + np.broadcast_to(p.bias, p.shape).reshape(-1)
            if p.threshold is None:
                out.append(v)
                continue
            if "late" in p.reset:
                v = np.where(sent > 0, v - sent * p.threshold if p.reset == "late-soft" else 0.0, v)
            sent = np.where(v > p.threshold, np.floor(v / p.threshold) if p.spikes == "many" else 1.0, 0.0)
            out.append(sent)
            if "late" not in p.reset:
                v = np.where(sent > 0, v - sent * p.threshold if p.reset == "soft" else 0.0, v)
        values[p.name] = np.stack(out)
    return values


@pytest.mark.parametrize("seed", range(4))
def test_fused_and_discretised_network_equals_the_oracle(seed: int) -> None:
    source, net = from_graph(graphs.branched(seed)), lowered(seed)
    image = graphs.samples(3, seed).arrays["image"]
    oracle = interpret(source, {"image": image}).values
    for n in range(3):
        ours = run_float(net, {"image": image[n]})
        for p in net.populations:
            expected = oracle[p.name][n].flatten(1).numpy()
            if p.threshold is None:
                np.testing.assert_allclose(ours[p.name], expected, rtol=1e-4, atol=1e-4)
            else:
                np.testing.assert_array_equal(ours[p.name], expected, err_msg=p.name)


def test_fuse_keeps_branches_apart_and_says_where_they_came_from() -> None:
    synapses = {(s.source, s.target): s for s in lowered().synapses}
    assert synapses[("both", "out")].origin == ("alpha", "out.conv")
    assert synapses[("deep", "out")].origin == ("out.conv",)
    assert not synapses[("deep", "mask")].learned and synapses[("deep", "out")].learned
    np.testing.assert_allclose(
        synapses[("both", "out")].operator.weight, 1.5 * synapses[("deep", "out")].operator.weight
    )


def test_fuse_refuses_what_would_be_lost() -> None:
    inp, out = flat(3)
    ones = graphs.full((3,), 1)
    analog = chain(inp, nir.LI(ones, ones, ones * 0), graphs.lif((3,)), out)
    with pytest.raises(UserError, match="emits its membrane"):
        Fuse()(from_graph(analog))


def test_linear_output_becomes_a_readout() -> None:
    inp, out = flat(3)
    net = floating(from_graph(chain(inp, graphs.lif((3,)), nir.Linear(2 * np.eye(3)), out)))
    assert net.outputs == ("n3",)
    assert net.populations[-1].threshold is None and net.populations[-1].decay_v == 1.0


def test_discretise_reports_every_parameter_that_does_not_fit() -> None:
    inp, out = flat(3)
    node = graphs.lif((3,))
    node.v_reset[:], node.v_threshold[:] = 0.1, -1.0
    with pytest.raises(UserError) as caught:
        floating(from_graph(chain(inp, node, out), 4.0))
    text = str(caught.value)
    for part in ("shorter than dt", "v_threshold -1: must be above 0.1"):
        assert part in text


@pytest.mark.parametrize("seed", range(4))
def test_balance_makes_every_path_equally_long(seed: int) -> None:
    net = lowered(seed)
    depths = {port.name: 0 for port in net.inputs} | {p.name: p.depth for p in net.populations}
    for s in net.synapses:
        assert depths[s.source] + 1 + s.balance == depths[s.target] and s.balance >= 0
    for p in net.populations:
        assert min(s.balance for s in net.synapses if s.target == p.name) == 0
    assert any(s.balance > 0 for s in net.synapses)


def test_balance_changes_nothing_else_and_a_second_time_nothing_at_all() -> None:
    before = DiscretiseTime()(Fuse()(from_graph(graphs.branched())))
    after = BalanceDelays()(before)
    assert after != before
    undone = replace(
        after,
        populations=tuple(replace(p, depth=0) for p in after.populations),
        synapses=tuple(replace(s, balance=0) for s in after.synapses),
    )
    assert undone == before
    assert BalanceDelays()(after) == after


def test_quantize_keeps_the_depths() -> None:
    net = lowered()
    result = Quantize()(net).net
    assert [s.balance for s in result.synapses] == [s.balance for s in net.synapses]
    assert [p.depth for p in result.populations] == [p.depth for p in net.populations]


@pytest.mark.parametrize("seed", range(4))
def test_quantized_registers_fit_and_weights_round_to_half_a_step(seed: int) -> None:
    source, net = from_graph(graphs.branched(seed)), lowered(seed)
    result = Quantize(FloatActivity(source, graphs.samples(8), net))(net)
    assert Check()(result.net) is result.net
    scales = {port.name: port.scale for port in result.net.inputs}
    for floating, integer in zip(net.synapses, result.net.synapses, strict=True):
        population = result.net.population(integer.target)
        exact = floating.operator.weight * scales.get(floating.source, 1.0) * population.scale / 2.0**integer.exponent
        inside = np.abs(exact) < 127.5
        assert np.abs(exact - integer.operator.weight)[inside].max() <= 0.5
        assert (~inside).sum() <= result.populations[integer.target].saturated


def test_gates_are_exact_and_calibration_never_hurts() -> None:
    source, net = from_graph(graphs.branched()), lowered()
    result = Quantize(FloatActivity(source, graphs.samples(16), net))(net)
    for gate in ("or", "mask", "and", "both"):
        assert result.populations[gate].error == 0.0
    assert all(q.error < 0.02 for q in result.populations.values())


def test_undeclared_analog_input_needs_calibration() -> None:
    inp, out = flat(3)
    source = from_graph(chain(inp, nir.Linear(np.eye(3)), graphs.lif((3,)), out))
    net = floating(source)
    with pytest.raises(UserError, match="give calibration samples"):
        Quantize()(net)
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    port = Quantize(FloatActivity(source, graphs.Samples({"n0": x}, None), net))(net).net.inputs[0]
    assert port.signed and port.scale == pytest.approx(np.abs(x).max() / 127)


def test_check_names_every_register_that_overflows() -> None:
    net = nets.random_net(0)
    first, synapse = net.populations[0], net.synapses[0]
    broken = replace(
        net,
        populations=(replace(first, vth=1 << 17, bias=np.array([9999], np.int32)), *net.populations[1:]),
        synapses=(replace(synapse, balance=63, exponent=8), *net.synapses[1:]),
        outputs=("missing",),
    )
    with pytest.raises(UserError) as caught:
        Check()(broken)
    text = str(caught.value)
    for part in ("threshold is 131072", "bias is 9999", "exponent is 8", "delay is", "output 'missing'"):
        assert part in text
    assert Check()(net) is net


def test_calibration_is_the_oracle() -> None:
    source, data = from_graph(graphs.branched()), graphs.samples(20, seed=4)
    batches = list(FloatActivity(source, data, lowered()).batches())
    values = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    whole = interpret(source, dict(data.arrays)).values
    for name in ("stem", "and"):
        assert torch.equal(values[name].float(), whole[name].flatten(2))
    torch.testing.assert_close(values["head"], whole["head"].flatten(2), rtol=1e-5, atol=1e-5)
