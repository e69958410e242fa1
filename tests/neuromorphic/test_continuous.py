"""A network that keeps its state: samples follow one another as one stream, whichever way it is simulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnergy.artefacts.records import Records
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.continuous import folded, unfolded, unfolded_progress
from tests.neuromorphic.nets import random_inputs, random_net
from tests.neuromorphic.reference import simulate

SAMPLES, STEPS = 3, 5


@pytest.mark.parametrize("seed", range(4))
def test_the_emulator_keeps_state_and_delays_across_samples(seed):
    net = replace(random_net(seed), reset=False)
    inputs = random_inputs(net, SAMPLES, STEPS)
    stream = {name: array.reshape(1, SAMPLES * STEPS, *array.shape[2:]) for name, array in inputs.items()}
    expected = simulate(net, stream)
    found = emulator.run(net, inputs, record_state=True)
    for p in net.populations:
        shape = (SAMPLES, STEPS, *p.shape)
        assert found.v[p.name].shape == shape
        if p.spiking:
            np.testing.assert_array_equal(found.values[p.name], expected["spikes"][p.name].reshape(shape))
        np.testing.assert_array_equal(found.u[p.name], expected["u"][p.name].reshape(shape))
        np.testing.assert_array_equal(found.v[p.name], expected["v"][p.name].reshape(shape))
    for name, array in inputs.items():
        np.testing.assert_array_equal(found.values[name], array)
    whole = emulator.run(net, stream)
    for counted, in_stream in zip(found.delivered, whole.delivered, strict=True):
        assert counted.shape == (SAMPLES, STEPS)
        np.testing.assert_array_equal(counted.reshape(1, -1), in_stream)
    alone = emulator.run(net, {name: array[1:2] for name, array in inputs.items()}, record_state=True)
    assert any(not np.array_equal(found.v[name][1:2], v) for name, v in alone.v.items()), "nothing was kept"


def test_finished_samples_are_counted_as_the_user_gave_them():
    for reset in (True, False):
        net, finished = replace(random_net(0), reset=reset), []
        emulator.run(net, random_inputs(net, SAMPLES, STEPS), progress=finished.append)
        assert sum(finished) == SAMPLES


def test_a_network_that_clears_its_state_is_left_alone():
    net = random_net(0)
    inputs = random_inputs(net, SAMPLES, STEPS)
    assert all(folded(net, inputs)[name] is array for name, array in inputs.items())
    records = Records(inputs)
    assert unfolded(net, records, SAMPLES) is records
    assert unfolded_progress(net, print, SAMPLES) is print
    assert unfolded_progress(replace(net, reset=False), None, SAMPLES) is None
