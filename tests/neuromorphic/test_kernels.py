"""Every way through the emulator against the step-by-step reference, bit for bit, at the ends of every range."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.records import Records
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.emulator import on_torch
from snnergy.neuromorphic.emulator.kernels import events
from snnergy.neuromorphic.emulator.layerwise import Emulation
from snnergy.neuromorphic.emulator.run import engine_here
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, Operator, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.taps import fan_out
from tests.neuromorphic import nets, reference

RATES = (0.0, 0.02, 0.3, 1.0)
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def ways(net: QuantNet) -> dict[str, Any]:
    return {
        "events": Emulation(net, "events").run,
        "products": Emulation(net, "products").run,
        "by activity": Emulation(net).run,
        **{device: partial(on_torch.run, net, device=device) for device in DEVICES},
    }


def assert_all_equal_reference(net: QuantNet, inputs: dict[str, np.ndarray]) -> dict[str, Records]:
    expected = reference.simulate(net, inputs)
    done = {name: run(inputs, record_state=True) for name, run in ways(net).items()}
    first = done["cpu"]
    for name, found in done.items():
        for p in net.populations:
            if p.spiking:
                np.testing.assert_array_equal(found.values[p.name], expected["spikes"][p.name], err_msg=name)
            np.testing.assert_array_equal(found.u[p.name], expected["u"][p.name], err_msg=name)
            np.testing.assert_array_equal(found.v[p.name], expected["v"][p.name], err_msg=name)
        for index, synapse in enumerate(net.synapses):
            sent = (found.values[synapse.source] != 0).reshape(*found.delivered[index].shape, -1)
            reached = sent @ fan_out(synapse.operator).astype(np.int64)
            alive = sent @ fan_out(synapse.operator, nonzero=True).astype(np.int64)
            np.testing.assert_array_equal(found.delivered[index], reached, err_msg=name)
            np.testing.assert_array_equal(found.delivered_nonzero[index], alive, err_msg=name)
        assert found.overflows == first.overflows, name
    return done


def population(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], vth: int, **changes: Any
) -> QuantPopulation:
    du, dv = int(rng.choice([4096, 4096, 1, 700])), int(rng.choice([0, 300, 4095, 4096]))
    bias = rng.integers(-30, 30, int(np.prod(shape))).astype(np.int32)
    return replace(QuantPopulation(name, shape, du, dv, vth, bias, vth < 131071, 1.0, 1), **changes)


def one_layer(seed: int, operator: Operator, widest: int, rate: float) -> tuple[QuantNet, dict[str, np.ndarray]]:
    """Spikes of `rate` through weights up to `widest` into a population, and from there into a readout."""
    rng = np.random.default_rng(seed)
    inside, outside = operator.input_shape, operator.output_shape
    weight = rng.integers(-widest, widest, operator.weight.shape, endpoint=True).astype(np.int32)
    weight[rng.random(weight.shape) < 0.2] = 0
    out = rng.integers(-127, 128, (3, int(np.prod(outside)))).astype(np.int32)
    net = QuantNet(
        (InputPort("x", inside, "binary"),),
        (population(rng, "a", outside, int(rng.integers(1, 200))), population(rng, "out", (3,), 131071)),
        (
            QuantSynapse("x", "a", replace(operator, weight=weight), int(rng.choice([0, 0, 2, -1])), rng.integers(3)),
            QuantSynapse("a", "out", Dense(out)),
        ),
        ("out",),
    )
    return net, {"x": (rng.random((2, 5, *inside)) < rate).astype(np.int32)}


@st.composite
def convolutions(draw: st.DrawFn, *, each_channel: bool = False) -> Conv2d:
    groups = draw(st.integers(1, 20 if each_channel else 3))
    per_group, depth = (1, 1) if each_channel else (draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    kernel, stride, padding, dilation, extra = (
        (draw(st.integers(low, high)), draw(st.integers(low, high)))
        for low, high in ((1, 4), (1, 3), (0, 3), (1, 2), (0, 5))
    )
    size = tuple(max(1, dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i]) + extra[i] for i in (0, 1))
    weight = np.zeros((groups * per_group, depth, *kernel), np.int32)
    return Conv2d(weight, (groups * depth, *size), stride, padding, dilation, groups)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), convolutions(), st.sampled_from([1, 127, 256, 100_000]), st.sampled_from(RATES))
def test_convolutions(seed: int, operator: Conv2d, widest: int, rate: float) -> None:
    assert_all_equal_reference(*one_layer(seed, operator, widest, rate))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000), convolutions(each_channel=True), st.sampled_from([1, 127, 256, 100_000]),
    st.sampled_from(RATES),
)  # fmt: skip
def test_convolutions_of_each_channel(seed: int, operator: Conv2d, widest: int, rate: float) -> None:
    assert_all_equal_reference(*one_layer(seed, operator, widest, rate))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 300), st.integers(1, 40), st.sampled_from([1, 127, 256, 5000, 100_000]),
    st.sampled_from(RATES),
)  # fmt: skip
def test_matrices(seed: int, sources: int, targets: int, widest: int, rate: float) -> None:
    operator = Dense(np.zeros((targets, sources), np.int32))
    net, inputs = one_layer(seed, operator, widest, rate)
    assert_all_equal_reference(replace(net, synapses=tuple(replace(s, exponent=0) for s in net.synapses)), inputs)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from([nets.random_net, nets.programmed_net, nets.diagonal_net, nets.sparse_net])
)
def test_branches_delays_and_graded_input(seed: int, make: Any) -> None:
    net = make(seed)
    assert_all_equal_reference(net, nets.random_inputs(net, 2, 5, seed))


@pytest.mark.parametrize("moving", [0, 1, 4])
def test_an_image_that_stays_is_carried_once(moving: int) -> None:
    """From the first step to the last, or with another one before or after it."""
    net = nets.random_net(3)
    inputs = nets.random_inputs(net, 2, 5)
    still = {name: np.repeat(values[:, :1], 5, axis=1) for name, values in inputs.items()}
    for name, values in still.items():
        values[:, moving:] = inputs[name][:, moving : moving + 1]
    assert_all_equal_reference(net, still)


@pytest.mark.parametrize("memory", [4096, 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_currents_and_membranes_that_leave_their_registers(memory: int, sign: int) -> None:
    """Sums from just inside one wrap of u up to those that one wrap does not bring back."""
    rng = np.random.default_rng(0)
    for sources in (500, 1030, 2100, 9000):
        operator = Dense(np.full((4, sources), 127 * sign, np.int32))
        leaky = population(rng, "a", (4,), 131071, du=np.array([memory]), dv=np.array([100]))
        net = QuantNet((InputPort("x", (sources,), "binary"),), (leaky,), (QuantSynapse("x", "a", operator),), ("a",))
        done = assert_all_equal_reference(net, {"x": np.ones((1, 6, sources), np.int32)})
        wrapped, _ = done["events"].overflows.get("a", (0, 0))
        assert (wrapped > 0) == (sources > 1030 or memory == 1)


def test_graded_sums_beyond_32_bits_keep_what_a_right_shift_leaves_of_them() -> None:
    rng = np.random.default_rng(0)
    operator = Dense(rng.integers(100, 128, (3, 400)).astype(np.int32))
    net = QuantNet(
        (InputPort("x", (400,), "real", 1.0, 20),),
        (population(rng, "a", (3,), 131071, du=np.array([4096]), dv=np.array([4096])),),
        (QuantSynapse("x", "a", operator, -8),),
        ("a",),
    )
    x = rng.integers(0, 1 << 20, (1, 2, 400)).astype(np.int32)
    assert (x @ operator.weight.T.astype(np.int64)).max() > 1 << 31
    for run in ways(net).values():
        np.testing.assert_array_equal(run({"x": x}).u["a"], reference.simulate(net, {"x": x})["u"]["a"])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from((*RATES, 0.1)), st.integers(0, 400))
def test_events_are_found_in_order(seed: int, words: int, rate: float, expected: int) -> None:
    row = (np.random.default_rng(seed).random(8 * words) < rate).astype(np.uint8)
    found = np.full(row.size + 1, -1, np.int32)
    count = events.find_events(row, found, expected)
    np.testing.assert_array_equal(found[:count], np.flatnonzero(row))


@pytest.mark.parametrize("engine", ["kernels", "torch"])
def test_samples_shared_by_threads_are_the_same(engine: Any) -> None:
    net = nets.random_net(3)
    inputs = nets.random_inputs(net, 37, 4)
    finished: list[int] = []
    alone = emulator.run(net, inputs, engine=engine, jobs=1)
    shared = emulator.run(net, inputs, engine=engine, jobs=3, progress=finished.append)
    for name, values in alone.values.items():
        np.testing.assert_array_equal(shared.values[name], values)
    for one, other in zip(alone.delivered, shared.delivered, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sum(finished) == 37 and alone.overflows == shared.overflows


def test_without_numba_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nets.random_net(1)
    inputs = nets.random_inputs(net, 2, 3)
    expected = emulator.run(net, inputs)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "snnergy.neuromorphic.emulator.layerwise")
    assert engine_here() == "torch"
    found = emulator.run(net, inputs)
    for name, values in expected.values.items():
        np.testing.assert_array_equal(found.values[name], values)


def test_a_device_that_cannot_compute_is_named() -> None:
    net = nets.random_net(1)
    with pytest.raises(UserError, match=r"device 'nowhere': torch .* cannot compute in 64 bits there"):
        emulator.run(net, nets.random_inputs(net, 1, 2), device="nowhere")
    with pytest.raises(UserError, match="kernels compute on the processor"):
        emulator.run(net, nets.random_inputs(net, 1, 2), engine="kernels", device="cpu")


def test_the_device_is_the_one_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it is the processor under its own name, through torch, in one batch."""
    net = nets.random_net(3)
    inputs = nets.random_inputs(net, 37, 4)
    asked: list[tuple[str, int]] = []
    simulated = on_torch.run

    def watched(net: QuantNet, batch: dict[str, np.ndarray], *, record_state: bool, device: str) -> Records:
        asked.append((device, len(next(iter(batch.values())))))
        return simulated(net, batch, record_state=record_state, device=device)

    monkeypatch.setattr(on_torch, "run", watched)
    found, expected = emulator.run(net, inputs, device="cpu"), emulator.run(net, inputs)
    assert asked == [("cpu", 37)]
    for name, values in expected.values.items():
        np.testing.assert_array_equal(found.values[name], values)
