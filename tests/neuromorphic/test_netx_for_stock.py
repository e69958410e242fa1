"""Files of ours in stock netx: chains give the same spikes there, and what netx would change is named."""

from dataclasses import replace
from importlib.util import find_spec

import h5py
import numpy as np
import pytest

from benchmarks.emulator.stock import stock_run
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Dense
from snnergy.neuromorphic.netx.files import read_netx, stock_obstacles, write_netx
from tests.neuromorphic.nets import random_inputs, random_net, sparse_net
from tests.neuromorphic.netx_chains import diagonal_chain, recurrent_chain, sequential


def test_a_small_diagonal_in_a_chain_is_a_matrix_that_netx_reads(tmp_path):
    net = diagonal_chain()
    assert stock_obstacles(net) == ()
    write_netx(net, tmp_path / "m.net")
    assert read_netx(tmp_path / "m.net") == net
    with h5py.File(tmp_path / "m.net", "r+") as file:
        assert [file[f"layer/{i}/type"][0].decode() for i in range(4)] == ["input", *3 * ["dense"]]
        assert (file["layer/2/weight"][()] == np.diag(net.synapses[1].operator.weight.reshape(-1))).all()
        del file["graph"]
    stock = read_netx(tmp_path / "m.net")  # as netx understands the layers
    spikes = random_inputs(net, 1, 9)["spikes"]
    ours, theirs = emulator.run(net, {"spikes": spikes}), emulator.run(stock, {"input": spikes})
    for mine, name in (("a", "layer1"), ("b", "layer2")):
        assert ours.values[mine].any()
        assert (ours.values[mine] == theirs.values[name]).all()


def test_a_large_diagonal_stays_small_and_netx_is_said_not_to_read_it(tmp_path):
    net = diagonal_chain(size=12_000)
    write_netx(net, tmp_path / "m.net")
    assert read_netx(tmp_path / "m.net") == net
    assert (tmp_path / "m.net").stat().st_size < 300_000  # the biases of 36 000 neurons; no weight matrix
    assert "spikes → a: netx needs an input of (1, 1, 12000)" in stock_obstacles(net)[0]


@pytest.mark.skipif(find_spec("lava") is None, reason="lava-dl runs on Python 3.10 only")
@pytest.mark.parametrize(("make", "samples"), [(sequential, 3), (diagonal_chain, 3), (recurrent_chain, 1)])
def test_stock_netx_loads_a_sequential_file_and_gives_its_spikes(make, samples, tmp_path):
    net, steps = make(), 21 // samples
    spikes = random_inputs(net, samples, steps)["spikes"]
    # Stock Lava's delays carry spikes over into the next sample, which ours are independent of, and so do its loops.
    net = replace(net, synapses=tuple(undelayed(s) for s in net.synapses))
    assert stock_obstacles(net) == ()
    write_netx(net, tmp_path / "m.net")
    frames = spikes.reshape(samples * steps, *spikes.shape[2:])
    sent, _ = stock_run(tmp_path / "m.net", frames, reset=steps, which="all")
    expected = emulator.run(net, {"spikes": spikes})
    for index, population in enumerate(p for p in net.populations if p.spiking):
        found = sent[index][1 + index :][: samples * steps].reshape(samples, steps, *population.shape)
        assert expected.values[population.name].any()
        assert (found == expected.values[population.name]).all(), population.name


def undelayed(synapse):
    operator = synapse.operator
    return replace(synapse, operator=replace(operator, delays=None)) if isinstance(operator, Dense) else synapse


def kinds_in(path):
    with h5py.File(path) as file:
        return [file[f"layer/{i}/type"][0].decode() for i in range(len(file["layer"]))]


def test_layers_that_feed_themselves_are_recurrent_layers_of_netx(tmp_path):
    net, path = recurrent_chain(), tmp_path / "m.net"
    write_netx(net, path)
    assert stock_obstacles(net) == () and read_netx(path) == net
    assert kinds_in(path) == ["input", "dense_rec", "dense_rec", "dense"]
    with h5py.File(path, "r+") as file:
        del file["graph"]
    stock, spikes = read_netx(path), random_inputs(net, 1, 30)["spikes"]  # as netx understands the layers
    ours, theirs = emulator.run(net, {"spikes": spikes}), emulator.run(stock, {"input": spikes})
    assert (ours.values["b"] == theirs.values["layer2"]).all() and ours.values["b"].any()
    write_netx(stock, path, force=True)
    assert read_netx(path) == stock and kinds_in(path) == ["input", "dense_rec", "dense_rec", "dense"]


@pytest.mark.parametrize(
    ("end", "changes", "said"),
    [
        ("a", {"delay": 2, "balance": -2}, "a → a: netx feeds a layer back one step later"),
        ("spikes", {"delay": 1, "balance": -1}, "a → a: netx feeds a layer back one step later"),
        ("a", {"exponent": -1}, "a → a: netx has no exponents 0 and -1"),
        ("a", {"exponent": 2}, "a → a: netx clips or truncates weights"),
        ("a", {"operator": Dense(np.ones((9, 9), np.int32) * 255)}, "a → a: netx asks for 9 bits"),
    ],
)
def test_a_loop_that_netx_would_not_repeat_stays_a_layer_of_its_own(end, changes, said, tmp_path):
    net, path = recurrent_chain(), tmp_path / "m.net"
    changed = (replace(s, **changes) if (s.source, s.target) == (end, "a") else s for s in net.synapses)
    net = replace(net, synapses=tuple(changed))
    write_netx(net, path)
    assert stock_obstacles(net)[0].startswith(said) and read_netx(path) == net
    assert kinds_in(path) == ["input", "dense", "dense", "dense_rec", "dense"]


def test_stock_obstacles_name_what_netx_would_change():
    net = sequential()
    strong = replace(net.synapses[2], exponent=3)
    found = "\n".join(stock_obstacles(replace(net, synapses=(*net.synapses[:2], strong, net.synapses[3]))))
    assert "b → c" in found and "clips" in found
    assert "branches" in stock_obstacles(random_net(0))[0]
    late = replace(net.synapses[0], delay=1)
    assert "delays" in stock_obstacles(replace(net, synapses=(late, *net.synapses[1:])))[0]


def test_a_chain_of_sparse_synapses_is_said_not_to_be_one_of_netx():
    net = sparse_net(0)
    chain = replace(
        net,
        inputs=net.inputs[1:],
        populations=(net.populations[1], net.populations[2]),
        synapses=(replace(net.synapses[4], source="spikes", target="b"), net.synapses[4]),
    )
    assert stock_obstacles(chain)[0] == "spikes → b: netx has dense and conv layers, none of sparse synapses"
