"""The emulator against the step-by-step reference, bit for bit, and its counts against fan-outs."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.emulator.on_torch.synapses import delivered, drive
from snnergy.neuromorphic.ir import Conv2d, Dense, QuantNet, QuantSynapse
from snnergy.neuromorphic.taps import fan_out
from tests.neuromorphic import nets, reference


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([nets.random_net, nets.programmed_net]))
def test_spikes_u_and_v_equal_the_reference(seed: int, make: Callable[[int], QuantNet]) -> None:
    assert_equals_reference(make(seed), seed)


def assert_equals_reference(net: QuantNet, seed: int) -> None:
    inputs = nets.random_inputs(net, 3, 6, seed)
    expected = reference.simulate(net, inputs)
    found = emulator.run(net, inputs, record_state=True)
    for p in net.populations:
        if p.spiking:
            np.testing.assert_array_equal(found.values[p.name], expected["spikes"][p.name])
        np.testing.assert_array_equal(found.u[p.name], expected["u"][p.name])
        np.testing.assert_array_equal(found.v[p.name], expected["v"][p.name])


@pytest.mark.parametrize("seed", range(4))
def test_diagonals_equal_the_reference(seed: int) -> None:
    assert_equals_reference(nets.diagonal_net(seed), seed)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_sparse_synapses_equal_the_reference(seed: int) -> None:
    assert_equals_reference(nets.sparse_net(seed), seed)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([nets.random_net, nets.diagonal_net, nets.sparse_net]))
def test_delivered_events_equal_events_times_fan_out(seed: int, make: Callable[[int], QuantNet]) -> None:
    net = make(seed)
    records = emulator.run(net, nets.random_inputs(net, 2, 5, seed))
    for index, synapse in enumerate(net.synapses):
        events = (records.values[synapse.source] != 0).reshape(2, 5, -1)
        for nonzero, counted in ((False, records.delivered), (True, records.delivered_nonzero)):
            reached = fan_out(synapse.operator, nonzero=nonzero).astype(np.int64)
            np.testing.assert_array_equal(counted[index], events @ reached)


def test_a_diagonal_of_many_neurons_is_one_product() -> None:
    size = 12_000
    weight = np.random.default_rng(0).integers(-127, 128, (size, 1, 1, 1)).astype(np.int32)
    synapse = QuantSynapse("a", "b", Conv2d(weight, (size, 1, 1), groups=size))
    x = torch.from_numpy(np.random.default_rng(1).integers(-255, 256, (4, 8, size)).astype(np.int32))
    begun = time.process_time()
    driven, (taps, alive) = drive(synapse, x), delivered(synapse, x)
    assert time.process_time() - begun < 2.0  # a group at a time takes far longer
    expected = x * torch.from_numpy(weight.reshape(-1))
    assert torch.equal(driven, expected.double())
    assert torch.equal(taps, (x != 0).sum(2)) and torch.equal(alive, (expected != 0).sum(2))


def test_a_sample_is_the_same_alone_and_in_any_batch() -> None:
    net = nets.random_net(5)
    inputs = nets.random_inputs(net, 20, 4)  # more than one internal batch
    together = emulator.run(net, inputs, record_state=True)
    for n in (0, 7, 19):
        alone = emulator.run(net, {name: x[n : n + 1] for name, x in inputs.items()}, record_state=True)
        for name, v in alone.v.items():
            np.testing.assert_array_equal(together.v[name][n : n + 1], v)


def test_zero_input_costs_no_synaptic_operation_into_the_first_layer() -> None:
    net = nets.random_net(6)
    inputs = {name: np.zeros_like(x) for name, x in nets.random_inputs(net, 1, 4).items()}
    records = emulator.run(net, inputs)
    fed = [i for i, s in enumerate(net.synapses) if s.source in inputs]
    assert fed and all(records.delivered[i].sum() == 0 for i in fed)


def test_large_sums_leave_float32_and_stay_exact() -> None:
    weight = np.full((1, 600), 127, np.int32)
    weight[0, 0] = 1
    synapse = QuantSynapse("a", "b", Dense(weight), exponent=7)
    x = np.full((1, 1, 600), 255, np.int32)
    assert int(drive(synapse, torch.from_numpy(x))) == (127 * 599 + 1) * 255 * 128


def test_overflow_is_counted() -> None:
    net = nets.random_net(7, delays=False)
    heavy = tuple(QuantSynapse(**{**vars(s), "exponent": 7}) for s in net.synapses)
    records = emulator.run(type(net)(net.inputs, net.populations, heavy, net.outputs), nets.random_inputs(net, 4, 6))
    assert sum(wrapped + clipped for wrapped, clipped in records.overflows.values()) > 0


def test_wrong_inputs_are_refused_together() -> None:
    net = nets.random_net(8)
    with pytest.raises(UserError) as caught:
        emulator.run(net, {"graded": np.full((1, 2, 2, 5, 4), 16, np.int32)})
    assert "values 16..16 exceed 0..15" in str(caught.value) and "spikes: missing" in str(caught.value)
    with pytest.raises(UserError, match="shape"):
        emulator.run(net, nets.random_inputs(net, 1, 2) | {"spikes": np.zeros((1, 2, 6), np.int32)})
    with pytest.raises(UserError, match="takes integers"):
        emulator.run(net, nets.random_inputs(net, 1, 2) | {"spikes": np.zeros((1, 2, 7))})
    inputs = nets.random_inputs(net, 2, 3)
    with pytest.raises(UserError, match="graded: 0 samples of 3 steps"):
        emulator.run(net, {name: x[:0] for name, x in inputs.items()})
    with pytest.raises(UserError, match="spikes: 2 samples of 0 steps"):
        emulator.run(net, {name: x[:, :0] for name, x in inputs.items()})
    with pytest.raises(UserError, match="differ in samples or time steps"):
        emulator.run(net, inputs | {"spikes": inputs["spikes"][:, :2]})
