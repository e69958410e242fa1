"""Our own `.net` files: what is written is read."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Labels
from snnergy.neuromorphic.netx.files import read_netx, stock_obstacles, write_netx
from tests.neuromorphic.nets import diagonal_net, random_net, sparse_net
from tests.neuromorphic.netx_chains import sequential


def labelled(net):
    """`net` with every optional field filled."""
    populations = [replace(p, labels=Labels("attn", i, None, "audio")) for i, p in enumerate(net.populations)]
    synapses = [
        replace(s, origin=("a.conv", f"b.{i}"), learned=bool(i % 2), macs=i * 2**40) for i, s in enumerate(net.synapses)
    ]
    provenance = {"a/b": "ü", "hash": "0f"}
    return replace(net, populations=tuple(populations), synapses=tuple(synapses), reset=False, provenance=provenance)


@pytest.mark.parametrize("make", [random_net, diagonal_net, sparse_net])
@pytest.mark.parametrize("seed", range(6))
def test_read_returns_what_was_written(seed, make, tmp_path):
    net = make(seed)
    for index, written in enumerate((net, labelled(net))):
        write_netx(written, tmp_path / f"{index}.net")
        assert read_netx(tmp_path / f"{index}.net") == written


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_network_is_read_as_it_was_written(data):
    """Every field of every record, in the whole range of its register."""
    make = data.draw(st.sampled_from([random_net, diagonal_net, sparse_net]))
    net = make(data.draw(st.integers(0, 1 << 20)))
    finite = st.floats(1e-12, 1e12)
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5)
    feeding = {synapse.source for synapse in net.synapses}

    def drawn_population(population):
        size = data.draw(st.sampled_from([1, population.size]))
        return replace(
            population,
            du=data.draw(st.integers(0, 4096)),
            dv=data.draw(st.integers(0, 4096)),
            vth=data.draw(st.integers(0, 131071)),
            bias=np.random.default_rng(data.draw(st.integers(0, 99))).integers(-4095, 4096, size).astype(np.int32),
            spiking=population.name in feeding or data.draw(st.booleans()),
            scale=data.draw(finite),
            labels=Labels(data.draw(texts), data.draw(st.none() | st.integers(0, 9)), None, data.draw(texts)),
        )

    def drawn_synapse(synapse):
        lowest = -8 if synapse.operator.delays is None else 0
        return replace(
            synapse,
            exponent=data.draw(st.integers(lowest, 7)),
            delay=data.draw(st.integers(0, 40)),
            origin=tuple(data.draw(st.lists(texts, max_size=2))),
            learned=data.draw(st.booleans()),
            macs=data.draw(st.none() | st.integers(0, 1 << 53)),
        )

    net = replace(
        net,
        inputs=tuple(replace(p, scale=data.draw(finite), signed=data.draw(st.booleans())) for p in net.inputs),
        populations=tuple(map(drawn_population, net.populations)),
        synapses=tuple(map(drawn_synapse, net.synapses)),
        reset=data.draw(st.booleans()),
    )
    with TemporaryDirectory() as folder:
        write_netx(net, Path(folder) / "m.net")
        assert read_netx(Path(folder) / "m.net") == net


def test_an_input_may_invert_but_not_be_flat(tmp_path):
    net = random_net(0)
    inverted = replace(net, inputs=tuple(replace(port, scale=-0.5) for port in net.inputs))
    write_netx(inverted, tmp_path / "m.net")
    assert read_netx(tmp_path / "m.net") == inverted
    with h5py.File(tmp_path / "m.net", "r+") as file:
        file["graph/inputs/0"].attrs["scale"] = 0.0
    with pytest.raises(UserError, match=r"inputs/0/scale: 0; must be other than 0"):
        read_netx(tmp_path / "m.net")


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    path = tmp_path / "m.net"
    write_netx(random_net(0), path)
    with pytest.raises(UserError, match="exists already"):
        write_netx(random_net(1), path)
    assert read_netx(path) == random_net(0)
    write_netx(random_net(1), path, force=True)
    assert read_netx(path) == random_net(1)


def test_layers_are_netx_layers(tmp_path):
    write_netx(sequential(), tmp_path / "m.net")
    with h5py.File(tmp_path / "m.net") as file:
        kinds = [file[f"layer/{i}/type"][0].decode() for i in range(len(file["layer"]))]
        assert kinds == ["input", "conv", "conv", "flatten", "dense", "dense"]
        assert "neuron" not in file["layer/0"]
        assert file["layer/1/weight"].dtype == np.float32
        assert set(file["layer/1/neuron"]) >= {"type", "iDecay", "vDecay", "vThMant"}


def test_bias_within_a_channel_stays_in_the_graph(tmp_path):
    net = sequential()
    first = replace(net.populations[0], bias=np.arange(net.populations[0].size, dtype=np.int32))
    net = replace(net, populations=(first, *net.populations[1:]))
    write_netx(net, tmp_path / "m.net")
    with h5py.File(tmp_path / "m.net") as file:
        assert "bias" not in file["layer/1"]
    assert read_netx(tmp_path / "m.net") == net
    assert any("bias" in obstacle for obstacle in stock_obstacles(net))


def test_a_file_of_version_1_is_read(tmp_path):
    write_netx(random_net(2), tmp_path / "m.net")
    with h5py.File(tmp_path / "m.net", "r+") as file:
        file["graph"].attrs["version"] = 1
    assert read_netx(tmp_path / "m.net") == random_net(2)


def test_a_network_out_of_range_is_not_written(tmp_path):
    net = random_net(0)
    loud = replace(net.populations[0], bias=np.array([40_000]))
    with pytest.raises(UserError, match="bias"):
        write_netx(replace(net, populations=(loud, *net.populations[1:])), tmp_path / "m.net")
    assert list(tmp_path.iterdir()) == []
