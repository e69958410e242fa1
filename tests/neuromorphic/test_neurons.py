"""Neurons as files have them: parameters of each neuron, resets, several spikes a step; and what a chip makes of them.

The right values come from loops over single neurons in float64 that share nothing with the oracle or the passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import nir
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.ir import RESETS, SPIKES, QuantNet
from snnergy.neuromorphic.limits import ALIGN_SHIFT
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.netx.files import read_netx, stock_obstacles, write_netx
from snnergy.neuromorphic.passes.check import Check
from snnergy.neuromorphic.passes.infra import BrokenCondition
from snnergy.neuromorphic.passes.quantize import Quantize
from snnergy.neuromorphic.passes.round_decays import RoundDecays
from tests.neuromorphic import graphs, nets
from tests.neuromorphic.test_passes import floating, run_float
from tests.neuromorphic.test_read_nir import chain, flat

N, STEPS = 5, 30
RNG = np.random.default_rng(3)
WEIGHT, BIAS = RNG.normal(0.3, 0.8, (N, N)), RNG.normal(0, 0.2, N)
SPIKES_IN = (RNG.random((2, STEPS, N)) < 0.4).astype(np.float32)


def each(low: float, high: float, seed: int = 0) -> np.ndarray:
    """A value for each neuron."""
    return np.random.default_rng(seed).uniform(low, high, N).astype(np.float32)


def same(value: float) -> np.ndarray:
    return graphs.full((N,), value)


def node(kind: type, **changes: np.ndarray) -> nir.NIRNode:
    fields = {"r": same(1.0), "v_threshold": same(1.0), "v_reset": same(0.0)}
    if kind is not nir.IF:
        fields |= {"tau": same(3.0), "v_leak": same(0.0)}
    if kind is nir.CubaLIF:
        fields |= {"tau_mem": fields.pop("tau"), "tau_syn": same(2.0), "w_in": same(3.0)}
    return kind(**(fields | changes))


def spikes_of(neuron: nir.NIRNode, current: np.ndarray, source: NirSource) -> np.ndarray:
    """NIR's steps on currents `(T, neurons)`, one neuron at a time."""
    out, dt = np.zeros(current.shape), source.conventions.dt
    reset, spikes = source.conventions.reset, source.conventions.spikes
    exact, whole = source.conventions.integration == "exponential", source.conventions.gain == "one"

    def lost(tau: float) -> float:
        return 1 - math.exp(-dt / tau) if exact else dt / tau

    for j in range(current.shape[1]):
        p = {name: float(value[j]) for name, value in vars(neuron).items() if np.shape(value) == (current.shape[1],)}
        i = v = 0.0
        for t, x in enumerate(current[:, j]):
            if "tau_syn" in p:
                d = lost(p["tau_syn"])
                i += (x * (1 - d if exact else 1) if whole else d * p["w_in"] * x) - d * i
            d = lost(p["tau_mem" if "tau_syn" in p else "tau"]) if "v_leak" in p else 0.0
            arriving = i if "tau_syn" in p else x
            v += d * (p["v_leak"] - v) if d else 0.0
            v += arriving if whole else (d or dt) * p["r"] * arriving
            if "late" in reset and t and out[t - 1, j]:
                v = v - out[t - 1, j] * p["v_threshold"] if reset == "late-soft" else p["v_reset"]
            if v > p["v_threshold"]:
                out[t, j] = math.floor(v / p["v_threshold"]) if spikes == "many" else 1
                if "late" not in reset:
                    v = v - out[t, j] * p["v_threshold"] if reset == "soft" else p["v_reset"]
    return out


def graph(neuron: nir.NIRNode, delay: int = 0, dt: float = 1.0, **conventions: str) -> NirSource:
    inp, out = flat(N)
    inp.metadata["value_class"] = "binary"
    late = [nir.Delay(same(delay * dt))] if delay else []
    layer = nir.Affine(WEIGHT.astype(np.float32), BIAS.astype(np.float32))
    source = from_graph(chain(inp, layer, *late, neuron, out), dt)
    return replace(source, conventions=replace(source.conventions, **conventions))


def currents(delay: int = 0) -> np.ndarray:
    """What reaches the neuron of `graph`, `(N, T, neurons)`."""
    sent = SPIKES_IN @ WEIGHT.astype(np.float32).astype(float).T + BIAS.astype(np.float32)
    return np.concatenate([np.zeros((2, delay, N)), sent], 1)[:, :STEPS]


KINDS: dict[str, Callable[[], nir.NIRNode]] = {
    "tau of each": lambda: node(nir.LIF, tau=each(2, 6), r=each(1, 3)),
    "both taus of each": lambda: node(nir.CubaLIF, tau_mem=each(2, 6), tau_syn=each(1.5, 4, 1)),
    "threshold of each": lambda: node(nir.IF, v_threshold=each(0.7, 1.9)),
    "threshold and leak of each": lambda: node(nir.CubaLIF, v_threshold=each(0.7, 1.9), v_leak=each(-0.3, 0.3)),
    "rest at -65": lambda: node(nir.LIF, v_reset=same(-65), v_leak=same(-65), v_threshold=same(-50), r=each(25, 40)),
    "reset of each": lambda: node(nir.LIF, v_reset=each(-0.5, 0.4), v_leak=each(-0.2, 0.2), v_threshold=each(0.7, 1.5)),
    "reset of a current-based": lambda: node(nir.CubaLIF, v_reset=each(-0.5, 0.4), tau_syn=each(1.5, 4)),
    "reset without leak": lambda: node(nir.IF, v_reset=each(-0.5, 0.4)),
    "some never fire": lambda: node(nir.LIF, v_threshold=np.array([1, np.inf, 1, np.inf, 0.8], np.float32)),
    "bias ramps up": lambda: node(nir.CubaLIF),
}


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_oracle_and_float_network_are_the_neurons_of_the_file(kind: str, delay: int) -> None:
    neuron = KINDS[kind]()
    source = graph(neuron, delay)
    name = next(iter(source.of_kind("neuron")))
    expected = np.stack([spikes_of(neuron, current, source) for current in currents(delay)])
    assert expected.any()
    np.testing.assert_array_equal(interpret(source, {"n0": SPIKES_IN}).values[name].numpy(), expected)
    net = floating(source)
    for n in range(2):
        np.testing.assert_array_equal(run_float(net, {"n0": SPIKES_IN[n]})[name], expected[n])


@pytest.mark.parametrize(("reset", "spikes"), list(product(RESETS, SPIKES)))
@pytest.mark.parametrize("kind", [nir.LIF, nir.IF, nir.CubaLIF])
def test_every_reset_and_number_of_spikes(kind: type, reset: str, spikes: str) -> None:
    neuron = node(kind, v_threshold=each(0.2, 0.7))
    source = graph(neuron, reset=reset, spikes=spikes)
    expected = np.stack([spikes_of(neuron, current, source) for current in currents()])
    assert (expected.max() > 1) == (spikes == "many")
    np.testing.assert_array_equal(interpret(source, {"n0": SPIKES_IN}).values["n2"].numpy(), expected)
    net = floating(source)
    assert (net.populations[-1].reset, net.populations[-1].spikes) == (reset, spikes)
    for n in range(2):
        np.testing.assert_array_equal(run_float(net, {"n0": SPIKES_IN[n]})["n2"], expected[n])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize(("integration", "gain"), list(product(("euler", "exponential"), ("file", "one"))))
@pytest.mark.parametrize("kind", ["tau of each", "both taus of each", "threshold and leak of each", "reset of each"])
def test_every_step_and_gain(kind: str, integration: str, gain: str, reset: str) -> None:
    neuron = KINDS[kind]()
    source = graph(neuron, integration=integration, gain=gain, reset=reset)
    expected = np.stack([spikes_of(neuron, current, source) for current in currents()])
    assert expected.any()
    np.testing.assert_array_equal(interpret(source, {"n0": SPIKES_IN}).values["n2"].numpy(), expected)
    net = floating(source)
    for n in range(2):
        np.testing.assert_array_equal(run_float(net, {"n0": SPIKES_IN[n]})["n2"], expected[n])


def test_a_readout_takes_the_exact_step_and_the_whole_input_too() -> None:
    tau, x = each(2, 6), currents()
    kept = np.exp(-1 / tau.astype(float))
    for gain, weight in (("file", 1 - kept), ("one", 1.0)):
        source = graph(nir.LI(tau, same(1), same(0)), integration="exponential", gain=gain)
        v, expected = np.zeros((2, N)), np.zeros(x.shape)
        for t in range(STEPS):
            expected[:, t] = v = kept * v + weight * x[:, t]
        np.testing.assert_allclose(interpret(source, {"n0": SPIKES_IN}).values["n2"].numpy(), expected, atol=1e-5)
        np.testing.assert_allclose(run_float(floating(source), {"n0": SPIKES_IN[0]})["n2"], expected[0], atol=1e-9)


def test_an_exact_step_may_be_longer_than_a_time_constant() -> None:
    neuron = node(nir.LIF, tau=same(0.3))
    with pytest.raises(UserError, match=r"tau 0\.3 is shorter than dt 1; give .*, or integration exponential"):
        floating(graph(neuron))
    (population,) = floating(graph(neuron, integration="exponential")).populations
    assert population.decay_v.item() == pytest.approx(1 - math.exp(-1 / 0.3))


def test_a_late_reset_by_subtraction_is_an_early_one_by_the_threshold_over_what_is_kept() -> None:
    source = graph(node(nir.LIF, tau=same(5), v_threshold=same(0.5)), reset="late-soft")
    late, kept = interpret(source, {"n0": SPIKES_IN}).values["n2"].numpy(), 0.8
    v, early = np.zeros((2, N)), np.zeros(late.shape)
    for t, x in enumerate(currents().transpose(1, 0, 2)):
        v = kept * v + 0.2 * x
        early[:, t] = v > 0.5
        v -= early[:, t] * 0.5 / kept
    assert late.any() and (late == early).mean() == 1.0


def test_single_nodes_have_conventions_of_their_own() -> None:
    inp, out = flat(N)
    inp.metadata["value_class"] = "binary"
    first, second = node(nir.LIF, v_threshold=same(0.4)), node(nir.LIF, tau=each(2, 6))
    both = chain(inp, nir.Linear(WEIGHT), first, nir.Linear(WEIGHT), second, out)
    source = from_graph(both, 1.0, reset={"n2": "late-hard"}, gain={"n4": "one"}, integration={"n4": "exponential"})
    first_net, second_net = floating(source).populations
    assert (first_net.reset, second_net.reset) == ("late-hard", "hard")
    np.testing.assert_allclose(second_net.decay_v, 1 - np.exp(-1 / each(2, 6).astype(float)))
    values = interpret(source, {"n0": SPIKES_IN}).values
    for name, neuron, sent in (("n2", first, SPIKES_IN), ("n4", second, values["n2"].numpy())):
        alone = replace(source, conventions=source.conventions.of(name))
        current = sent.astype(float) @ WEIGHT.T
        expected = np.stack([spikes_of(neuron, steps, alone) for steps in current])
        assert expected.any()
        np.testing.assert_array_equal(values[name].numpy(), expected)
    assert "reset late-hard of 'n2', integration exponential of 'n4', gain one of 'n4'" in source.read_as
    for wrong in ({"reset": {"n9": "soft"}}, {"gain": {"n4": "two"}}, {"reset": {"n1": "soft"}}):
        with pytest.raises(UserError, match=r"no such neuron or readout; there are|must be one of file, one"):
            from_graph(both, 1.0, **wrong)  # type: ignore[arg-type]


def on_chip(source: NirSource) -> tuple[Compiled, QuantNet, np.ndarray]:
    """Compiled on its own samples, and the spikes (or the membrane, in model units) of its output there."""
    samples = Samples({"n0": SPIKES_IN}, None)
    compiled = lower(source, samples)
    net = compiled.net
    records, output = emulator.run(net, to_integers(samples, net.inputs)), net.population(net.outputs[0])
    if output.spiking:
        return compiled, net, records.values[output.name]
    return compiled, net, records.v[output.name] / (output.scale * (1 << ALIGN_SHIFT))


@pytest.mark.parametrize("kind", KINDS)
def test_eight_bits_keep_the_spikes(kind: str) -> None:
    neuron = KINDS[kind]()
    source = graph(neuron)
    expected = np.stack([spikes_of(neuron, current, source) for current in currents()])
    assert (on_chip(source)[2] != expected).mean() <= 0.03


@pytest.mark.parametrize(("reset", "spikes"), [pair for pair in product(RESETS, SPIKES) if pair != ("hard", "one")])
def test_eight_bits_keep_programmed_neurons(reset: str, spikes: str, tmp_path: Path) -> None:
    neuron = node(nir.LIF, tau=each(2, 6), v_threshold=same(0.4))
    source = graph(neuron, reset=reset, spikes=spikes)
    expected = np.stack([spikes_of(neuron, current, source) for current in currents()])
    _, net, found = on_chip(source)
    assert np.abs(found - expected).sum() <= 0.05 * expected.sum()
    write_netx(net, tmp_path / "m.net")
    assert read_netx(tmp_path / "m.net") == net
    obstacles = "\n".join(stock_obstacles(net))
    assert "decays differ" in obstacles
    assert ("reset by subtraction" in obstacles, "several spikes" in obstacles) == ("soft" in reset, spikes == "many")
    assert ("reset a step late" in obstacles) == ("late" in reset)


def test_a_bias_before_a_decaying_current_comes_from_a_source() -> None:
    compiled, net, _ = on_chip(graph(node(nir.CubaLIF)))
    source, target = net.populations
    assert (source.name, source.shape, source.labels.role) == ("n2.bias", (1,), "bias")
    assert (source.bias.item(), source.vth, source.spiking, target.bias.any()) == (1, 0, True, False)
    assert {n.node: n.own_error for n in compiled.fidelity.nodes}["n2.bias"] == 0.0
    records = emulator.run(net, {"n0": SPIKES_IN.astype(np.int32)})
    assert records.values["n2.bias"].all()
    (index,) = (i for i, s in enumerate(net.synapses) if s.source == "n2.bias")
    assert (records.delivered[index] == N).all()  # as many synaptic events as there are synapses, in every step


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 1.0])
def test_a_time_constant_of_dt_in_single_precision_has_no_memory(dt: float) -> None:
    tau = np.float32(dt) / (np.float32(1) - np.float32(0))
    for near in (tau, np.nextafter(tau, np.float32(0)), np.nextafter(tau, np.float32(2))):
        net = floating(graph(node(nir.CubaLIF, tau_syn=same(near), tau_mem=same(3 * dt)), dt=dt))
        (population,) = net.populations  # a bias is a bias again
        assert population.decay_u.tolist() == [1.0] and population.bias.any()
    with pytest.raises(UserError, match="is shorter than dt"):
        floating(graph(node(nir.LIF, tau=same(0.99 * dt)), dt=dt))


def test_infinite_thresholds_are_a_readout() -> None:
    source = graph(node(nir.LIF, v_threshold=same(np.inf)))
    assert isinstance(source.nodes["n2"], nir.LI)
    expected = interpret(source, {"n0": SPIKES_IN}).values["n2"].numpy()
    assert np.abs(on_chip(source)[2] - expected).max() < 0.02 * np.abs(expected).max()
    inp, out = flat(N)
    silent = chain(inp, node(nir.LIF, v_threshold=same(np.inf)), nir.Linear(WEIGHT), node(nir.LIF), out)
    with pytest.raises(UserError, match="node 'n1': v_threshold is infinite, so that it never fires"):
        floating(from_graph(silent, 1.0))


@pytest.mark.parametrize("tau", [500.0, 3000.0, 20000.0])
def test_a_rounded_decay_keeps_the_steady_state(tau: float) -> None:
    inp, out = flat(1)
    inp.metadata["value_class"] = "binary"
    source = from_graph(chain(inp, nir.Linear(graphs.full((1, 1), 0.9)), graphs.lif((1,), tau), out), 1.0)
    (after,) = RoundDecays()(floating(source)).populations
    assert after.decay_v.tolist() == [max(round(4096 / tau), 1) / 4096]
    net = lower(source).net
    dv = net.population("n2").dv.item()
    assert dv == max(round(4096 / tau), 1)
    settled = 5 * 4096 // dv  # steps, five time constants
    records = emulator.run(net, {"n0": np.ones((1, settled, 1), np.int32)}, record_state=True)
    reached = records.v["n2"][0, -1, 0] / (net.population("n2").scale * (1 << ALIGN_SHIFT))
    assert not records.values["n2"].any() and reached == pytest.approx(0.9, abs=0.02)


def test_rounding_keeps_what_a_constant_input_leads_to() -> None:
    neuron = node(nir.CubaLIF, tau_mem=each(50, 9000), tau_syn=each(2, 5000, 1), v_leak=each(-1, 1))
    before = floating(graph(neuron))
    after = RoundDecays()(before)

    def settled(net: object) -> np.ndarray:
        population = net.populations[-1]
        u = sum(s.operator.weight.reshape(N, -1).sum(1) for s in net.synapses) / population.decay_u
        return (u + population.bias) / population.decay_v

    np.testing.assert_allclose(settled(after), settled(before), rtol=1e-9)
    was, now = before.populations[-1].decay_v, after.populations[-1].decay_v
    assert np.abs(was / now - 1).max() > 0.1 and (now * 4096 == np.rint(now * 4096)).all()
    assert RoundDecays()(after).synapses == after.synapses
    with pytest.raises(BrokenCondition, match="every decay is one of 12 bits"):
        Quantize()(before)


def test_what_loihi_1_has_not_is_refused_or_approximated() -> None:
    samples = Samples({"n0": SPIKES_IN}, None)
    source = graph(node(nir.LIF, v_threshold=same(0.3)), reset="soft", spikes="many")
    with pytest.raises(UserError, match="n2: soft reset and several spikes a step, which Loihi 1 has not"):
        lower(source, samples, chip="loihi1")
    with pytest.raises(UserError, match="n2: late-hard reset, which Loihi 1 has not"):
        lower(graph(node(nir.LIF), reset="late-hard"), samples, chip="loihi1")
    compiled = lower(source, samples, chip="loihi1", allow_approximate=True)
    assert compiled.net.population("n2").stock and compiled.net.provenance["chip"] == "loihi1"
    assert compiled.fidelity.nodes[-1].own_error > 0.1  # against the file's own neurons
    inp, out = flat(N)
    inp.metadata |= {"value_class": "real", "scale": 0.1, "bits": 4}
    with pytest.raises(UserError, match="input 'n0': graded"):
        lower(from_graph(chain(inp, node(nir.LIF), out), 1.0), chip="loihi1", allow_approximate=True)


def test_parameters_that_no_chip_can_have_are_refused_by_name() -> None:
    for neuron, conventions, message in (
        (node(nir.LIF, v_reset=same(1.0)), {}, "v_threshold 1: must be above 1, to which the membrane is reset"),
        (node(nir.LIF, v_reset=same(0.1)), {"spikes": "many"}, "v_reset 0.1 and several spikes a step"),
        (node(nir.LIF, v_threshold=np.array([1, 1, 1, 1, 1e-20])), {}, "over a factor 1e\\+15 apart"),
    ):
        with pytest.raises(UserError, match=message):
            floating(graph(neuron, **conventions))
    net = nets.programmed_net(0)
    broken = replace(net, populations=(replace(net.populations[1], vth=0, du=np.arange(2)), *net.populations[2:]))
    with pytest.raises(UserError, match="threshold is 0, the chip takes 1") as caught:
        Check()(broken)
    assert "current decay has 2 values for" in str(caught.value)
