"""The emulator against the vectors that lava-dl ships, which its own tests hold Lava to.

All are in logical time here: a population handles input step t at step t. What the vectors add to that is stated in
each test.
"""

from __future__ import annotations

import numpy as np

from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.netx.files import read_netx
from tests.neuromorphic.stock_files import stock_file


def vector(name):
    return np.load(stock_file(f"gts/{name}"))


def one_population(port, population, operator):
    synapse = QuantSynapse(port.name, population.name, operator)
    return QuantNet((port,), (population,), (synapse,), (population.name,), reset=False)


def test_ntidigits_spike_for_spike():
    """242 outputs, 3000 steps, delays up to 62 and currents that decay: vector[t + 4] = out[t].

    Three of the four steps are the synapses' on the way, which logical time leaves out; the recording of lava-dl's
    training code adds one.
    """
    net = read_netx(stock_file("gts/ntidigits/ntidigits.net"), num_layers=5)
    spikes = vector("ntidigits/input.npy").T.astype(np.int32).reshape(1, 3000, 1, 1, 64)
    found = emulator.run(net, {"input": spikes}).values["layer4"][0].T
    expected = vector("ntidigits/output.npy")
    assert found.sum() == expected.sum() == 22_572
    assert np.count_nonzero(found[:, :-4] != expected[:, 4:]) == 0


def test_a_dense_layer_in_spikes_and_current():
    """256 neurons, 2000 steps. Lava's block delays its input by the synapse's step: vector[t + 1] answers input[t]."""
    weight = vector("dense/weight.npy").astype(np.int32)
    spikes = vector("dense/in.npy").T.astype(np.int32)[None]
    population = QuantPopulation("out", (256,), 4096, 415, 6, np.zeros(1, np.int32), True, 1.0, 1)
    net = one_population(InputPort("in", (200,), "binary"), population, Dense(weight))
    records = emulator.run(net, {"in": spikes}, record_state=True)
    expected_spikes, expected_current = vector("dense/out.npy"), 64 * vector("dense/current.npy")
    assert expected_spikes.any()
    assert np.count_nonzero(records.values["out"][0].T[:, :-1] != expected_spikes[:, 1:]) == 0
    assert np.count_nonzero(records.u["out"][0].T[:, :-1] != expected_current[:, 1:]) == 0


def tiny_drive(net, steps):
    """The bias that lava-dl's test writes into the input neurons, as integers beyond the bias that they have."""
    image = vector("tinynet/input_bias.npy").transpose(2, 1, 0).astype(np.int32)
    return np.broadcast_to(image - net.populations[0].bias[0], (1, steps, *image.shape))


def test_tinynet_input_and_output():
    """A bias-encoded image, two convolutions with bias; vector[t + 1] = out[t] in every layer."""
    net = read_netx(stock_file("tiny.net"))
    records = emulator.run(net, {"drive": tiny_drive(net, 15)})
    for population, name in (("input", "input"), ("layer2", "output")):
        expected = np.moveaxis(vector(f"tinynet/{name}.npy")[0], -1, 0)[1:]
        assert expected.any()
        assert np.count_nonzero(records.values[population][0] != expected) == 0


def test_tinynet_convolution_in_spikes_and_current():
    """The first convolution alone, driven by the recorded input: input[t + 1] is answered at vector[t + 1]."""
    spikes = np.moveaxis(vector("tinynet/input.npy")[0], -1, 0)[None, 1:].astype(np.int32)
    kernel = vector("tinynet/layer1_kernel.npy").transpose(0, 3, 2, 1)[:, :, ::-1, ::-1].astype(np.int32)
    bias = np.repeat(vector("tinynet/layer1_bias.npy").astype(np.int32), 36)
    population = QuantPopulation("out", (24, 6, 6), 4096, 1024, 25, bias, True, 1.0, 1)
    operator = Conv2d(np.ascontiguousarray(kernel), (3, 16, 16), stride=(2, 2))
    records = emulator.run(
        one_population(InputPort("in", (3, 16, 16), "binary"), population, operator), {"in": spikes}, record_state=True
    )
    for found, name, unit in ((records.values, "layer1", 1), (records.u, "current", 64)):
        expected = unit * np.moveaxis(vector(f"tinynet/{name}.npy")[0], -1, 0)[1:]
        assert np.count_nonzero(found["out"][0] != expected) == 0


PILOTNET = ("input", "conv-0", "conv-1", "conv-2", "conv-3", "conv-4", "fc-0", "fc-1", "fc-2")


def pilotnet_vector(name, quantity):
    """`(T, *shape)`, or None where lava-dl ships no such recording.

    The recorded v of a neuron that has just fired is 128, Loihi's mark of its refractory step; the model's v is 0.
    """
    if (name, quantity) in {("input", "u"), ("input", "v")}:
        return None
    suffix = {"s": "", "u": "-u", "v": "-v"}[quantity]
    array = vector(f"pilotnet_lif/{name}{suffix}.npy").transpose()  # from Lava's (W, H, C, time)
    if quantity == "v":
        fired = vector(f"pilotnet_lif/{name}.npy").transpose()
        assert (array[fired] == 128).all()
        return np.where(fired, 0, array)
    return array


def test_pilotnet_in_spikes_current_and_membrane_of_every_layer():
    """A recording of 24 steps: samples of 17 steps stream through nine layers, each reset when a sample reaches it.

    The same image is shown twice, and the layer at place d answers step t of sample n at vector[17·n + t + d]. The
    tenth layer, the readout, was recorded in another run: its current does not follow from the spikes before it.
    """
    steps, recorded = 17, 24
    net = read_netx(stock_file("gts/pilotnet_lif/network.net"))
    image = vector("pilotnet_lif/image.npy").transpose().astype(np.int32) - net.populations[0].bias[0]
    records = emulator.run(net, {"drive": np.broadcast_to(image, (1, steps, *image.shape))}, record_state=True)
    compared = 0
    for place, (name, population) in enumerate(zip(PILOTNET, net.populations, strict=False)):
        for quantity, found in (("s", records.values), ("u", records.u), ("v", records.v)):
            expected = pilotnet_vector(name, quantity)
            if expected is None:
                continue
            for start in range(place, recorded, steps):
                window = expected[start : min(start + steps, recorded)].reshape(-1, *population.shape)
                mismatches = np.count_nonzero(found[population.name][0][: len(window)] != window)
                assert mismatches == 0, f"{name} {quantity} from {start}"
                compared += window.size
    assert compared > 8_000_000
