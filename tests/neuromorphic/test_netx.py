"""Our own `.net` files: what is written is read, whatever a file holds instead is refused by name."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import Labels
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import Conv2d, Dense, InputPort, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.lava.guard import end_group, remove
from snnergy.neuromorphic.netx.files import read_netx, stock_obstacles, write_netx
from tests.neuromorphic.nets import diagonal_net, random_inputs, random_net, sparse_net


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


def diagonal_chain(size=24):
    """Spikes → one gain → a gain a neuron → one gain: all diagonals, on flat vectors."""
    rng = np.random.default_rng(0)
    one, each = (1, 1, size), (size, 1, 1)
    operators = [
        Conv2d(rng.integers(1, 128, (shape[0], 1, 1, 1)).astype(np.int32), shape, groups=shape[0])
        for shape in (one, each, one)
    ]
    bias = (np.arange(size) % 100).astype(np.int32)

    def population(name, depth, vth=60):
        return QuantPopulation(name, (size,), 4096, 900, vth, bias, vth < 131071, 1.0, depth)

    return QuantNet(
        (InputPort("spikes", (size,), "binary"),),
        (population("a", 1), population("b", 2), population("c", 3, vth=131071)),
        tuple(QuantSynapse(*ends, op) for ends, op in zip(pairwise(["spikes", *"abc"]), operators, strict=True)),
        ("c",),
    )


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file["layer/2/weight"].__setitem__((0, 1), 3), "is no diagonal of (24, 1, 1)"),
        (lambda file: file["layer/1/weight"].__setitem__((0, 0), 3), "differs within a channel"),
        (lambda file: file["graph/synapses/1"].attrs.__setitem__("input_shape", [23, 1, 1]), "is no diagonal"),
    ],
)
def test_a_damaged_diagonal_is_refused(change, message, tmp_path):
    path = tmp_path / "m.net"
    write_netx(diagonal_chain(), path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        read_netx(path)
    assert message in str(caught.value)


def sequential(seed=0):
    """conv → conv → dense with delays → readout, biased, weights over the whole 8 bits."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return rng.integers(-127, 128, shape).astype(np.int32)

    def population(name, shape, depth, vth, bias):
        return QuantPopulation(name, shape, 1800, 900, vth, bias.astype(np.int32), vth < 131071, 1.0, depth)

    channels = np.repeat(np.array([30, -20, 0, 5]), 16)
    return QuantNet(
        (InputPort("spikes", (2, 6, 6), "binary"),),
        (
            population("a", (4, 4, 4), 1, 300, channels),
            population("b", (4, 2, 2), 2, 150, np.zeros(1)),
            population("c", (9,), 3, 100, rng.integers(-9, 30, 9)),
            population("d", (4,), 4, 131071, np.zeros(1)),
        ),
        (
            QuantSynapse("spikes", "a", Conv2d(weight(4, 2, 3, 3), (2, 6, 6))),
            QuantSynapse("a", "b", Conv2d(weight(4, 2, 3, 3), (4, 4, 4), (2, 2), (1, 1), (1, 1), 2)),
            QuantSynapse("b", "c", Dense(weight(9, 16), rng.integers(0, 3, (9, 16)))),
            QuantSynapse("c", "d", Dense(abs(weight(4, 9))), exponent=1),
        ),
        ("d",),
    )


SEGMENTS = "stock_"
STOCK_RUN = f"""
import multiprocessing.process, multiprocessing.shared_memory, os, sys, types, numpy as np
multiprocessing.shared_memory._SHM_NAME_PREFIX = "/{SEGMENTS}"
multiprocessing.process.current_process()._config["tempdir"] = "."
# netx imports torch for its torch modules and for one function of resonant neurons. It takes long and can hang the
# processes that Lava forks; what builds a network from a file does without.
sys.modules["torch"] = None
sys.modules["lava.lib.dl.netx.sequential_modules"] = types.ModuleType("sequential_modules")
rf = sys.modules["lava.lib.dl.slayer.neuron.rf"] = types.ModuleType("rf")
rf.neuron_params = None
from lava.lib.dl.netx.hdf5 import Network, PyNetworkModel
from lava.proc import io
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.run_conditions import RunSteps
path, frames, out, steps = sys.argv[1], np.load(sys.argv[2]), sys.argv[3], int(sys.argv[4])
net = Network(net_config=path, reset_interval=steps, reset_offset=1)  # the first neurons are one synapse away
total = frames.shape[-1] + len(net)
source = io.source.RingBuffer(data=np.concatenate([frames, np.zeros((*frames.shape[:-1], len(net)), int)], -1))
sinks = [io.sink.RingBuffer(shape=layer.out.shape, buffer=total) for layer in net.layers]
source.s_out.connect(net.inp)
for layer, sink in zip(net.layers, sinks):
    layer.out.connect(sink.a_in)
configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={{net: PyNetworkModel}})
net.run(condition=RunSteps(num_steps=total), run_cfg=configuration)
np.savez(out, *[sink.data.get() for sink in sinks])
os.killpg(0, 9)
"""


@pytest.mark.skipif(find_spec("lava") is None, reason="lava-dl runs on Python 3.10 only")
@pytest.mark.parametrize("make", [sequential, diagonal_chain])
def test_stock_netx_loads_a_sequential_file_and_gives_its_spikes(make, tmp_path):
    net, steps, samples = make(), 7, 3
    spikes = random_inputs(net, samples, steps)["spikes"]
    # Stock Lava's delays carry spikes over into the next sample, which ours are independent of.
    net = replace(net, synapses=tuple(undelayed(s) for s in net.synapses))
    assert stock_obstacles(net) == ()
    write_netx(net, tmp_path / "m.net")
    frames = spikes.reshape(samples * steps, *spikes.shape[2:]).transpose()  # netx orders (W, H, C, time)
    np.save(tmp_path / "frames.npy", frames)
    command = [sys.executable, "-W", "ignore", "-c", STOCK_RUN, "m.net", "frames.npy", "out.npz", str(steps)]
    stock_run(command, tmp_path)
    expected = emulator.run(net, {"spikes": spikes})
    with np.load(tmp_path / "out.npz") as stock:
        for index, population in enumerate(p for p in net.populations if p.spiking):
            streamed = np.moveaxis(stock[f"arr_{index}"], -1, 0)[1 + index :][: samples * steps]
            maps = streamed.transpose(0, *range(streamed.ndim - 1, 0, -1))
            found = maps.reshape(samples, steps, *population.shape)
            assert expected.values[population.name].any()
            assert (found == expected.values[population.name]).all(), population.name


def stock_run(command, folder):
    """Run the script in a process group of its own, which it ends itself or loses at the time-out."""
    output = folder / "output.txt"
    with output.open("w") as file:
        child = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file, start_new_session=True)
    try:
        child.wait(timeout=300)
    finally:
        end_group(child.pid)
        child.wait()
        remove(folder / "sockets", SEGMENTS)
    assert (folder / "out.npz").is_file(), output.read_text()


def undelayed(synapse):
    operator = synapse.operator
    return replace(synapse, operator=replace(operator, delays=None)) if isinstance(operator, Dense) else synapse


def test_stock_obstacles_name_what_netx_would_change():
    net = sequential()
    strong = replace(net.synapses[2], exponent=3)
    found = "\n".join(stock_obstacles(replace(net, synapses=(*net.synapses[:2], strong, net.synapses[3]))))
    assert "b → c" in found and "clips" in found
    assert "branches" in stock_obstacles(random_net(0))[0]
    late = replace(net.synapses[0], delay=1)
    assert "delays" in stock_obstacles(replace(net, synapses=(late, *net.synapses[1:])))[0]


def damaged(tmp_path, change):
    """The violations of a sound file after `change(file)`."""
    path = tmp_path / "m.net"
    write_netx(random_net(1), path, force=True)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        read_netx(path)
    assert all(violation.startswith(str(path)) for violation in caught.value.violations)
    return caught.value.violations


def set_attribute(path, name, value):
    def change(file):
        file[path].attrs[name] = value

    return change


def overwrite(path, value):
    def change(file):
        file[path][...] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_attribute("graph", "version", 99), "version"),
        (set_attribute("graph/synapses/0", "source", "nowhere"), "nowhere"),
        (set_attribute("graph/synapses/0", "target", "nowhere"), "nowhere"),
        (set_attribute("graph/synapses/0", "layer", 999), "999"),
        (set_attribute("graph/synapses/0", "exponent", 70), "exponent: 70, the chip takes -8..7"),
        (set_attribute("graph/synapses/0", "balance", -1), "negative"),
        (overwrite("graph/populations/0/du", 5000), "5000"),
        (set_attribute("graph/populations/0", "vth", -3), "-3"),
        (set_attribute("graph/populations/0", "vth", "high"), "store numbers"),
        (set_attribute("graph/populations/0", "name", "p1"), "p1"),
        (set_attribute("graph/populations/0", "spiking", False), "the source is a readout, which sends nothing"),
        (set_attribute("graph/populations/0", "shape", [0, 3]), "positive"),
        (set_attribute("graph/inputs/0", "value_class", "fuzzy"), "fuzzy"),
        (set_attribute("graph", "outputs", np.array(["gone"], h5py.string_dtype())), "gone"),
        (lambda file: file.__delitem__("graph/populations/1/dv"), "dv: missing"),
        (lambda file: file.__delitem__("graph/populations/0"), "/graph/populations/0: missing"),
        (lambda file: file.__delitem__("graph/inputs"), "inputs"),
        (lambda file: file.__delitem__("layer"), "layer"),
        (overwrite("layer/2/weight", np.nan), "NaN"),
        (overwrite("layer/2/weight", 0.5), "whole"),
        (overwrite("layer/2/weight", 1e6), "255"),
        (overwrite("graph/provenance", "{"), "JSON"),
    ],
)
def test_a_damaged_file_is_refused_by_name(change, message, tmp_path):
    assert any(message in violation for violation in damaged(tmp_path, change))


def test_all_violations_come_at_once(tmp_path):
    def change(file):
        del file["graph/populations/0/du"]
        file["graph/populations/1"].attrs["vth"] = 0.5
        file["layer/2/weight"][...] = np.inf

    assert len(damaged(tmp_path, change)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (overwrite("layer/2/columns", 24), "columns 24..24 exceed the 24 sources of (3, 2, 4)"),
        (overwrite("layer/2/columns", 3), "columns must rise within each target"),
        (overwrite("layer/2/row_starts", 0), "row_starts must rise from 0"),
        (lambda file: file["layer/2/row_starts"].__setitem__(3, 1 << 30), "row_starts must rise from 0"),
        (lambda file: file["layer/2/columns"].__setitem__(0, -1), "columns -1.."),
        (overwrite("layer/2/shape", 7), "row_starts must rise from 0"),
        (lambda file: file["layer/2"].__delitem__("columns"), "/layer/2/columns: missing"),
        (lambda file: file["layer/3"].__delitem__("delay"), "/layer/3/delay: missing"),
        (overwrite("layer/3/delay", -1), "a spike cannot arrive before it is sent"),
        (set_attribute("graph/synapses/0", "input_shape", [3, 2, 1]), "exceed the 6 sources"),
        (set_attribute("graph/synapses/0", "macs", -1.0), "macs: -1; must be a whole number"),
        (set_attribute("graph/synapses/0", "macs", 0.5), "macs: 0.5; must be a whole number"),
    ],
)
def test_damaged_sparse_synapses_are_refused_by_name(change, message, tmp_path):
    write_netx(sparse_net(1), tmp_path / "m.net")
    with h5py.File(tmp_path / "m.net", "r+") as file:
        assert file["layer/2/type"][0] == b"sparse"
        change(file)
    with pytest.raises(UserError) as caught:
        read_netx(tmp_path / "m.net")
    assert any(message in violation for violation in caught.value.violations), caught.value.violations


def test_a_chain_of_sparse_synapses_is_said_not_to_be_one_of_netx():
    net = sparse_net(0)
    chain = replace(
        net,
        inputs=net.inputs[1:],
        populations=(net.populations[1], net.populations[2]),
        synapses=(replace(net.synapses[4], source="spikes", target="b"), net.synapses[4]),
    )
    assert stock_obstacles(chain)[0] == "spikes → b: netx has dense and conv layers, none of sparse synapses"


def test_a_file_of_version_1_is_read(tmp_path):
    write_netx(random_net(2), tmp_path / "m.net")
    with h5py.File(tmp_path / "m.net", "r+") as file:
        file["graph"].attrs["version"] = 1
    assert read_netx(tmp_path / "m.net") == random_net(2)


def test_what_is_not_hdf5_is_refused(tmp_path):
    text, cut = tmp_path / "text.net", tmp_path / "cut.net"
    text.write_text("hello")
    write_netx(random_net(0), cut)
    cut.write_bytes(cut.read_bytes()[:-2000])
    for path in (text, cut, tmp_path / "absent.net", tmp_path):
        with pytest.raises(UserError, match=path.name):
            read_netx(path)


def test_a_network_out_of_range_is_not_written(tmp_path):
    net = random_net(0)
    loud = replace(net.populations[0], bias=np.array([40_000]))
    with pytest.raises(UserError, match="bias"):
        write_netx(replace(net, populations=(loud, *net.populations[1:])), tmp_path / "m.net")
    assert list(tmp_path.iterdir()) == []
