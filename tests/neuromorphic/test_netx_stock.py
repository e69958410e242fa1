"""Stock lava-dl files: real ones, and small ones with everything netx allows and much that it does not."""

import h5py
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Conv2d, Dense
from snnergy.neuromorphic.netx.files import read_netx, stock_obstacles
from snnergy.neuromorphic.netx.stock_weights import stock_dense_weight
from tests.neuromorphic.stock_files import chain_file, stock_file


def test_ntidigits_is_a_chain_of_delayed_dense_layers():
    net = read_netx(stock_file("gts/ntidigits/ntidigits.net"), num_layers=5)
    assert [p.name for p in net.populations] == ["layer2", "layer3", "layer4"]
    assert [(p.shape, p.du, p.dv, p.vth, p.depth) for p in net.populations] == [
        ((256,), 1024, 1024, 80, 1),
        ((256,), 1024, 1024, 80, 2),
        ((242,), 1024, 1024, 80, 3),
    ]
    assert (net.inputs[0].shape, net.inputs[0].value_class, net.reset) == ((1, 1, 64), "binary", False)
    delays = net.synapses[0].operator.delays
    assert delays.shape == (256, 64) and (delays == delays[:, :1]).all() and delays.max() == 62
    assert net.synapses[2].operator.delays is None
    assert set(net.provenance) == {"source", "source_sha256"}


def test_the_layer_that_netx_cannot_build_is_named_with_the_way_out():
    with pytest.raises(UserError, match=r"/layer/5/type: .*'average'.*num_layers 5 stops"):
        read_netx(stock_file("gts/ntidigits/ntidigits.net"))


def test_a_bias_encoded_input_is_an_integer_input():
    net = read_netx(stock_file("tiny.net"))
    port, population = net.inputs[0], net.populations[0]
    assert (port.name, port.shape, port.value_class, port.signed) == ("drive", (3, 16, 16), "integer", True)
    assert port.scale == 1 / 36
    assert (population.name, population.bias.tolist()) == ("input", [34])
    identity = net.synapses[0].operator
    assert isinstance(identity, Conv2d) and identity.groups == 3 and (identity.weight == 1).all()


def test_a_layer_without_neurons_integrates_and_never_fires():
    readout = read_netx(stock_file("mnist.net")).populations[-1]
    assert (readout.du, readout.dv, readout.vth, readout.spiking) == (0, 4096, 131071, False)


def test_a_layer_without_neurons_before_another_sends_what_its_threshold_lets_through(tmp_path):
    with chain_file(tmp_path / "m.net") as file:
        del file["layer/1/neuron"]
    net = read_netx(tmp_path / "m.net")
    first = net.populations[0]
    assert (first.du, first.dv, first.vth, first.spiking) == (0, 4096, 131071, True)
    port = net.inputs[0]
    run = emulator.run(net, {port.name: np.ones((1, 3, *port.shape), np.int32)})
    assert not run.values[first.name].any()


def test_pilotnet_reads_whole():
    net = read_netx(stock_file("gts/pilotnet_lif/network.net"))
    assert [p.shape for p in net.populations][-5:] == [(64, 2, 20), (100,), (50,), (10,), (1,)]
    assert not net.populations[-1].spiking
    assert net.synapses[4].operator.padding == (1, 0) and net.synapses[4].operator.stride == (2, 1)


def test_every_unsupported_neuron_is_named():
    with pytest.raises(UserError) as caught:
        read_netx(stock_file("gts/pilotnet_sdnn/network.net"))
    assert len(caught.value.violations) == 9
    assert all("'SDNN'" in violation for violation in caught.value.violations)


def test_effective_weights_are_those_of_the_real_files():
    """As lava-dl's optimize_weight_bits and lava-nc's clipping and truncation leave them, checked where Lava is."""
    weightutils = pytest.importorskip("lava.utils.weightutils", reason="lava-nc runs on Python 3.10 only")
    for relative in ("gts/ntidigits/ntidigits.net", "mnist.net", "gts/pilotnet_lif/network.net"):
        with h5py.File(stock_file(relative)) as file:
            layers = [file[f"layer/{i}"] for i in range(len(file["layer"]))]
            matrices = [layer["weight"][()] for layer in layers if layer["type"][0] == b"dense"]
        assert matrices
        for stored in matrices:
            weight = np.atleast_2d(stored.astype(np.int64))
            found = stock_dense_weight(weight)
            # These matrices are mixed and even, so that Lava's 8 bits hold them twice as coarsely: as they are.
            held = weightutils.clip_weights(found, weightutils.SignMode.MIXED, 8)
            assert (weightutils.truncate_weights(held, weightutils.SignMode.MIXED, 8) == found).all()
            assert (found == weight).all()


@pytest.mark.parametrize(
    ("stored", "acting"),
    [
        ([[-300, 260], [3, 4]], [[-256, 254], [3, 4]]),  # clipped to what netx loads
        ([[-256, -1]], [[-255, -1]]),  # Lava's inhibitory synapse ends at -255
        ([[-1, -1]], [[0, 0]]),  # scaled by 2^8, clipped, then truncated to nothing
        ([[255, 0]], [[255, 0]]),
        ([[127, -127]], [[127, -127]]),
        ([[-3, 0]], [[-3, 0]]),
    ],
)
def test_effective_weights_by_hand(stored, acting):
    assert stock_dense_weight(np.array(stored)).tolist() == acting


@pytest.mark.parametrize("stored", [[[0, 0]], [[256, 1]], [[-257, 0]]])
def test_a_matrix_that_netx_cannot_load_is_refused(stored):
    with pytest.raises(ValueError, match="netx"):
        stock_dense_weight(np.array(stored))


def test_a_small_chain_reads_as_netx_builds_it(tmp_path):
    chain_file(tmp_path / "m.net").close()
    net = read_netx(tmp_path / "m.net")
    conv, dense = net.synapses
    assert isinstance(conv.operator, Conv2d) and isinstance(dense.operator, Dense)
    assert (conv.operator.input_shape, conv.operator.output_shape) == ((2, 5, 5), (3, 3, 3))
    assert net.populations[0].bias.tolist() == [5] * 9 + [-2] * 9 + [0] * 9
    assert dense.operator.delays[:, 0].tolist() == [0, 3, 62, 1]
    assert stock_obstacles(net) == ()
    assert len(read_netx(tmp_path / "m.net", num_layers=2).populations) == 1


@pytest.mark.parametrize(
    ("delay", "spread"),
    [(2, [[2] * 27] * 4), (np.arange(27), [list(range(27))] * 4), (np.full((4, 27), 5), [[5] * 27] * 4)],
)
def test_delays_spread_as_netx_spreads_them(delay, spread, tmp_path):
    with chain_file(tmp_path / "m.net") as file:
        del file["layer/3/delay"]
        file["layer/3/delay"] = delay
    assert read_netx(tmp_path / "m.net").synapses[1].operator.delays.tolist() == spread


def replace_field(path, value):
    def change(file):
        del file[path]
        file[path] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace_field("layer/3/type", np.array([b"dense_rec"])), "/layer/3/type: netx cannot build.*dense_rec"),
        (replace_field("layer/1/type", np.array([b"pool"])), "/layer/1/type: .*pool.*num_layers 1 stops"),
        (replace_field("layer/1/weight", np.full((3, 2, 3, 3), np.nan)), "/layer/1/weight: .*NaN"),
        (replace_field("layer/1/weight", np.full((3, 2, 3, 3), 0.25)), "/layer/1/weight: .*whole"),
        (replace_field("layer/1/weight", np.full((3, 2, 3, 3), 300)), "255"),
        (replace_field("layer/1/weight", np.ones((3, 2, 3))), "/layer/1/weight: shape"),
        (replace_field("layer/1/weight", np.ones((3, 5, 3, 3))), "/layer/1/weight: .*input channels"),
        (replace_field("layer/1/stride", [0, 1]), "positive"),
        (replace_field("layer/1/stride", [1, 1, 1]), "/layer/1/stride"),
        (replace_field("layer/1/shape", [3, 4, 4]), "/layer/1/shape: .*yields"),
        (replace_field("layer/1/bias", np.ones(7)), "/layer/1/bias"),
        (replace_field("layer/3/weight", np.ones((5, 5))), "/layer/3/weight"),
        (replace_field("layer/3/weight", np.full((4, 27), 256)), "/layer/3/weight: .*netx"),
        (replace_field("layer/3/delay", np.arange(5)), "/layer/3/delay: shape"),
        (replace_field("layer/3/delay", -1), "-1"),
        (replace_field("layer/1/neuron/type", np.bytes_("RF_PHASE")), "/layer/1/neuron/type: 'RF_PHASE'"),
        (replace_field("layer/1/neuron/iDecay", 9000), "9000"),
        (replace_field("layer/0/type", 7), "/layer/0/type: not a text"),
        (lambda file: file.__delitem__("layer/1/groups"), "/layer/1/groups: missing"),
        (lambda file: file.__delitem__("layer/1"), "/layer/1: missing"),
        (lambda file: file.__delitem__("layer/3/neuron/vThMant"), "/layer/3/neuron/vThMant: missing"),
        (lambda file: file["layer/1"].create_dataset("delay", data=[1]), "/layer/1/delay: netx drops"),
        (lambda file: file.__delitem__("layer"), "/layer: no such group"),
        (lambda file: file["layer/0"].create_group("neuron"), "/layer/0/neuron/type: missing"),
    ],
)
def test_what_netx_would_not_build_is_refused_by_name(change, message, tmp_path):
    with chain_file(tmp_path / "m.net") as file:
        change(file)
    with pytest.raises(UserError, match=message):
        read_netx(tmp_path / "m.net")


def test_a_bias_encoded_input_with_a_current_that_remembers_is_refused(tmp_path):
    with chain_file(tmp_path / "m.net") as file:
        file.copy(file["layer/1/neuron"], file["layer/0"], "neuron")
    with pytest.raises(UserError, match=r"/layer/0/neuron/iDecay: 1024; .*4096"):
        read_netx(tmp_path / "m.net")


def test_violations_of_several_layers_come_at_once(tmp_path):
    with chain_file(tmp_path / "m.net") as file:
        del file["layer/1/groups"]
        del file["layer/3/neuron/vThMant"]
    with pytest.raises(UserError) as caught:
        read_netx(tmp_path / "m.net")
    assert len(caught.value.violations) == 2


def test_num_layers_must_leave_neurons(tmp_path):
    chain_file(tmp_path / "m.net").close()
    for layers, message in ((0, "at least 1"), (1, "no layer of neurons")):
        with pytest.raises(UserError, match=message):
            read_netx(tmp_path / "m.net", num_layers=layers)


def test_a_stride_of_no_numbers(tmp_path):
    with chain_file(tmp_path / "m.net") as file:
        del file["layer/1/stride"]
        file["layer/1/stride"] = np.zeros(0)
    with pytest.raises(UserError, match="/layer/1/stride: 0 values; expected one, or one for height and one for"):
        read_netx(tmp_path / "m.net")
