"""What files of other frameworks leave out or write their own way: read as it was meant, or refused with the remedy."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from snnergy.artefacts.errors import UserError
from snnergy.energy.account import energy
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph, read_nir
from snnergy.neuromorphic.graph.time_step import UndecidedStep
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.lowering.inspect import inspect
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic import graphs

PEERS = Path(__file__).parents[3] / "shared" / "peers"
full = graphs.full


def ports(*shape: int, **metadata: Any) -> tuple[nir.Input, nir.Output]:
    return nir.Input({"input": np.array(shape)}, metadata=metadata), nir.Output({"output": np.array(shape)})


def chain(*nodes: nir.NIRNode, **metadata: Any) -> nir.NIRGraph:
    names = [f"n{i}" for i in range(len(nodes))]
    return nir.NIRGraph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), metadata, type_check=False)


def between(*nodes: nir.NIRNode, size: int = 2, **metadata: Any) -> nir.NIRGraph:
    inp, out = ports(size)
    return chain(inp, *nodes, out, **metadata)


def lif(size: int, tau: Any, r: Any = 1.0, threshold: float = 1.0) -> nir.LIF:
    zero, tau, r = full((size,), 0), np.broadcast_to(np.float32(tau), size), np.broadcast_to(np.float32(r), size)
    return nir.LIF(tau=tau.copy(), r=r.copy(), v_leak=zero, v_threshold=full((size,), threshold), v_reset=zero)


def cuba(size: int, tau_syn: float, tau_mem: float, r: float, w_in: float) -> nir.CubaLIF:
    values = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "w_in": w_in, "v_leak": 0, "v_threshold": 1, "v_reset": 0}
    return nir.CubaLIF(**{name: full((size,), value) for name, value in values.items()})


def integrator(size: int, r: float) -> nir.IF:
    return nir.IF(r=full((size,), r), v_threshold=full((size,), 1), v_reset=full((size,), 0))


def linear(size: int = 2, gain: float = 4.0) -> nir.Linear:
    return nir.Linear(full((size, size), gain))


BETA = np.float32([0.8, 0.93])


# Each as its framework writes it, with a time step of its own.
@pytest.mark.parametrize(
    ("nodes", "dt", "rule"),
    [
        ((integrator(2, 1.0),), 1.0, "r = 1/dt"),
        ((integrator(2, 1e4),), 1e-4, "r = 1/dt"),
        ((integrator(2, 1 / 2.5e-3),), 2.5e-3, "r = 1/dt"),
        ((lif(2, np.float32(1e-3) / (1 - np.float32(0.9)), 10.0000005),), 1e-3, "r = tau/dt"),
        ((lif(2, np.float32(1 / 300) / (1 - BETA), 1 / (1 - BETA)),), 1 / 300, "r = tau/dt"),
        ((lif(2, 0.02, 20 * np.exp(-1 / 20)),), 1e-3, "exp"),
        ((lif(2, 0.01, 4 * np.exp(-1 / 4)),), 2.5e-3, "exp"),
        ((cuba(2, 5e-4, 1e-3, 10, 5),), 1e-4, "w_in"),
        ((cuba(2, 5e-4, 1e-3, 1, 5),), 1e-4, "w_in"),
        ((lif(2, 20.06),), 1.0, "count steps"),
        ((integrator(2, 1.0), lif(2, 20.06)), 1.0, "count steps"),
        ((lif(2, 1e-4), lif(2, 1e-3, 10)), 1e-4, "r = tau/dt"),
        ((lif(2, 2e-4),), 1e-4, "customary"),
        ((lif(2, 1e-5),), 1e-6, "Norse"),
        ((integrator(2, 0.5),), 1.0, "no time constant"),
        ((graphs.lif((2,), tau=np.float32(1e-4)),), 1e-4, "customary"),
    ],
)
def test_the_time_step_follows_from_the_parameters(nodes, dt, rule):
    source = from_graph(between(linear(), *nodes))
    assert source.dt == pytest.approx(dt, rel=1e-6) and rule in source.dt_reason
    assert from_graph(between(linear(), *nodes), 3e-5).dt == 3e-5
    assert bool(source.notes) == ("guessed" in source.dt_reason or "exp" in source.dt_reason)
    exact = from_graph(between(linear(), *nodes), integration="exponential", gain="one")
    assert exact.dt == source.dt and not any("ask for integration exponential" in note for note in exact.notes)


@pytest.mark.parametrize(
    ("nodes", "steps"),
    [
        ((integrator(2, 1.0), lif(2, 1e-3, 10)), {1.0, 1e-4}),
        ((integrator(2, 1.0), lif(2, 2e-4)), {1.0, 1e-4}),
        ((lif(2, 20, 200),), {0.1, 1.0}),
        ((lif(2, 1e-3, 10), lif(2, 1e-3, 4)), {1e-4, 2.5e-4}),
    ],
)
def test_rules_that_disagree_are_listed_and_nothing_is_chosen(nodes, steps):
    with pytest.raises(UndecidedStep) as undecided:
        from_graph(between(linear(), *nodes))
    assert steps <= {candidate.dt for candidate in undecided.value.candidates}
    (line,) = undecided.value.lines
    assert "disagree" in line and all(f"{dt:g} if " in line for dt in steps)


def test_a_guess_that_would_silence_the_network_is_none():
    slow = between(linear(), lif(2, 0.02))
    with pytest.raises(UndecidedStep, match=r"with 0.0001 node 'n2' could not fire.*0.001 if .*0.01 if"):
        from_graph(slow)
    assert from_graph(slow, 0.01).dt == 0.01
    with pytest.raises(UndecidedStep, match="a time constant is 1e-07; give dt: 5e-08 if"):
        from_graph(between(linear(), lif(2, 1e-7)))


def test_a_network_that_no_step_could_wake_takes_the_likely_one_and_says_so():
    source = from_graph(between(linear(gain=1e-3), lif(2, np.float32(1e-4))))
    assert source.dt == 1e-4
    assert any("with none of the likely steps could node 'n2' fire" in note for note in source.notes)


def test_the_shortest_time_constant_that_norse_can_write():
    assert from_graph(between(linear(), lif(2, 1e-3 / 900))).dt == 1e-6


def test_metadata_that_contradict_the_parameters_are_followed_and_said():
    source = from_graph(between(linear(), integrator(2, 1e4), dt=1e-3))
    assert source.dt == 1e-3 and "means 0.0001" in source.notes[0]
    for wrong in (0.0, -1.0, float("nan"), "1ms", [1, 2]):
        with pytest.raises(UserError, match="metadata dt is"):
            from_graph(between(linear(), lif(2, 2), dt=wrong))
        assert from_graph(between(linear(), lif(2, 2), dt=wrong), 1.0).dt == 1.0


def test_an_integrating_network_counts_steps_as_its_framework_does():
    graph = between(linear(1, 1.0), integrator(1, 1.0), size=1)
    net = compile(graph, calibration=full((1, 20, 1), 0.0625))
    spikes = simulate(net, full((1, 20, 1), 0.0625)).spikes["n2"][0, :, 0]
    assert np.flatnonzero(spikes).tolist() == [16]  # the 17th step is the first at which 1/16 a step exceed 1


# What users and files may say of themselves.
def test_labels_of_others_are_ignored_and_numbers_of_others_refused():
    graph = between(linear(), lif(2, 2.0))
    graph.nodes["n2"].metadata |= {"stage": "encoder", "block": "resnet.3", "role": "x" * 400, "learned": "yes"}
    source = from_graph(graph)
    assert source.labels("n2").stage is None and source.labels("n2").role == ""
    assert len(source.notes) == 4 and all(note.endswith("; ignored") for note in source.notes)
    assert graph.nodes["n2"].metadata["stage"] == "encoder"
    for metadata in ({"scale": "auto"}, {"value_class": "spikes"}, {"bits": 40}, {"scale": 0.0}, {"signed": 3}):
        graph.nodes["n0"].metadata = metadata
        with pytest.raises(UserError, match=f"metadata {next(iter(metadata))} is"):
            from_graph(graph)
        assert from_graph(graph, input_kind="spikes").inputs[0].value_class == "binary"
    graph.nodes["n0"].metadata = "none"
    assert "metadata is 'none'" in from_graph(graph).notes[0]


def test_an_undeclared_input_of_zeros_and_ones_is_spikes_and_is_counted_so():
    rng = np.random.default_rng(0)
    x = (rng.random((4, 20, 100)) < 0.05).astype(np.float32)
    graph = chain(ports(100)[0], nir.Linear(rng.normal(0, 0.5, (10, 100)).astype(np.float32)), lif(10, 2), ports(10)[1])
    declared = copy.deepcopy(graph)
    declared.nodes["n0"].metadata = {"value_class": "binary"}
    reports = [energy(simulate(compile(g, calibration=x, dt=1.0), x)) for g in (graph, declared)]
    counted = {entry.operation for entry in reports[0].ledger.entries if entry.place.source == "n0"}
    assert "ac" in counted and not any(operation.startswith("mac") for operation in counted)
    assert reports[0].energy_snn_pj == reports[1].energy_snn_pj
    assert compile(graph, dt=1.0).net.inputs[0].value_class == "binary"


@pytest.mark.parametrize(
    ("kind", "values", "value_class", "bits", "signed"),
    [
        (None, [0.0, 0.25, 3.0], "real", 8, False),
        ("analog", [0.0, 1.0, 1.0], "real", 8, False),
        ("graded", [0.0, 1.0, 5.0], "integer", 8, False),
        ("graded", [-300.0, 1.0, 5.0], "integer", 10, True),
        ({"n0": "spikes"}, [0.0, 1.0, 0.0], "binary", 1, False),
    ],
)
def test_what_an_input_sends_is_said_or_seen(kind, values, value_class, bits, signed):
    x = np.broadcast_to(np.float32(values)[:, None], (1, 3, 2)).copy()
    (port,) = compile(between(linear(), lif(2, 2.0)), calibration=x, input_kind=kind).net.inputs
    assert (port.value_class, port.bits, port.signed) == (value_class, bits, signed)
    assert (port.scale == 1.0) == (value_class != "real")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("spikes", 0.5, "not all 0 or 1"),
        ("graded", 0.5, "declared to send whole numbers"),
        ("graded", 2.0**30, "exceed the port's range"),
        ("spike", 0.0, "input kind 'spike' of 'n0': must be one of spikes, graded, analog"),
        ({"image": "spikes"}, 0.0, "there is no such input; there are \\['n0'\\]"),
    ],
)
def test_samples_that_are_not_what_an_input_sends(kind, values, message):
    with pytest.raises(UserError, match=message):
        compile(between(linear(), lif(2, 2.0)), calibration=full((1, 3, 2), values), input_kind=kind)


# Shapes.
@pytest.mark.parametrize("shape", [(), (1,), (1, 3), (3,)])
def test_one_parameter_stands_for_all_neurons(shape, tmp_path):
    tau = np.full(shape, 2.0, np.float32)
    node = nir.LIF(tau=tau, r=tau / 2, v_leak=tau * 0, v_threshold=tau / 2, v_reset=tau * 0)
    graph = chain(ports(4)[0], nir.Linear(full((3, 4), 1)), node, nir.Scale(np.full(shape, 2.0)), ports(3)[1])
    source = from_graph(graph)
    assert source.nodes["n2"].tau.tolist() == [2.0] * 3 and source.nodes["n3"].scale.tolist() == [2.0] * 3
    assert node.tau.shape == shape
    for kind in (nir.CubaLIF(tau, tau, tau, tau, tau), nir.LI(tau, tau, tau), nir.Threshold(tau), nir.IF(tau, tau)):
        graph.nodes["n2"] = kind
        assert from_graph(graph).shapes["n2"] == (3,)


def test_a_stored_number_beside_full_parameters(tmp_path):
    nir.write(tmp_path / "g.nir", between(linear(), lif(2, 2.0)))
    with h5py.File(tmp_path / "g.nir", "r+") as file:
        group = file["node/nodes/n2"]
        for field in ("tau", "v_leak", "v_reset"):
            del group[field]
        group["tau"], group["v_leak"] = 2.0, 0.0
    source = read_nir(tmp_path / "g.nir")
    assert interpret(source, {"n0": full((1, 3, 2), 1)}).values["n2"].all()
    node = source.nodes["n2"]
    assert node.tau.tolist() == [2.0, 2.0] and node.v_reset.tolist() == [0.0, 0.0]


def test_parameters_of_a_channel_and_parameters_that_leave_doubt():
    channels = full((4, 1, 1), 2)
    node = nir.LIF(channels, channels, channels * 0, channels)
    inp, out = ports(4, 3, 3)
    assert from_graph(chain(inp, node, out)).nodes["n1"].tau.shape == (4, 3, 3)
    flat = full((4,), 2)
    with pytest.raises(UserError, match=r"parameters of shape \(4,\) on an input of shape \(4, 3, 3\)"):
        from_graph(chain(inp, nir.LIF(flat, flat, flat * 0, flat), out))


@pytest.mark.parametrize("leading", [(1,), (16,), (1, 16)])
def test_a_batch_or_time_axis_of_an_input_is_taken_off(leading):
    kernel = nir.Conv2d(None, full((4, 2, 3, 3), 1), 1, "same", 1, 1, full((4,), 0))
    flatten = nir.Flatten({"input": np.array((*leading, 4, 6, 6))}, start_dim=len(leading))
    graph = chain(ports(*leading, 2, 6, 6)[0], kernel, flatten, nir.Linear(full((3, 144), 1)), lif(3, 2), ports(3)[1])
    source = from_graph(graph)
    assert source.shapes["n0"] == (2, 6, 6) and source.shapes["n2"] == (144,)
    assert "without its batch or time axis" in source.notes[0]
    assert graph.nodes["n0"].input_type["input"].tolist() == [*leading, 2, 6, 6]
    flat = from_graph(chain(ports(*leading, 64)[0], nir.Linear(full((3, 64), 1)), lif(3, 2), ports(3)[1]))
    assert flat.inputs[0].shape == (64,)


def test_a_flatten_that_counts_a_batch_axis_there_is_not():
    flatten = nir.Flatten({"input": np.array((4, 2, 2))})
    source = from_graph(chain(ports(4, 2, 2)[0], flatten, nir.Linear(full((3, 16), 1)), lif(3, 2), ports(3)[1]))
    assert source.shapes["n1"] == (16,) and "no batch axis" in source.notes[0]


def branches() -> nir.NIRGraph:
    """A convolution with a bias, flattened, and a flat layer, into one neuron."""
    rng = np.random.default_rng(0)
    kernel = nir.Conv2d(None, rng.normal(0, 1, (2, 1, 3, 3)).astype("f4"), 1, 1, 1, 1, full((2,), 0.3))
    nodes = {
        "image": ports(1, 4, 4)[0],
        "vector": ports(5)[0],
        "conv": kernel,
        "flat": nir.Flatten({"input": np.array((2, 4, 4))}, start_dim=0),
        "fc": nir.Affine(rng.normal(0, 1, (32, 5)).astype("f4"), full((32,), 0.1)),
        "n": lif(32, 2.0),
        "out": ports(32)[1],
    }
    edges = [("image", "conv"), ("conv", "flat"), ("flat", "n"), ("vector", "fc"), ("fc", "n"), ("n", "out")]
    return nir.NIRGraph(nodes, edges, {}, type_check=False)


@pytest.mark.parametrize("flattened", [True, False])
def test_a_flattened_and_a_flat_branch_are_summed(flattened):
    graph = branches()
    if not flattened:
        del graph.nodes["flat"]
        graph.edges = [(a, "n" if b == "flat" else b) for a, b in graph.edges if a != "flat"]
    rng = np.random.default_rng(1)
    x = {"image": rng.integers(0, 2, (2, 5, 1, 4, 4)), "vector": rng.integers(0, 2, (2, 5, 5))}
    trace = interpret(from_graph(graph), {name: array.astype("f4") for name, array in x.items()})
    kernel, fc = graph.nodes["conv"], graph.nodes["fc"]
    image = torch.from_numpy(x["image"].astype("f4")).flatten(0, 1)
    first = F.conv2d(image, torch.from_numpy(kernel.weight), torch.from_numpy(kernel.bias), padding=1)
    drive = first.flatten(1).reshape(2, 5, 32).numpy() + x["vector"] @ fc.weight.T + fc.bias
    assert np.allclose(trace.membrane["n"][:, 0], drive[:, 0] / 2, atol=1e-5)
    assert compile(graph, calibration=x).net.population("n").size == 32
    with pytest.raises(UserError, match=r"no array 'vector', has \['vec'\]|no array 'vector', has \['image', 'vec'\]"):
        compile(graph, calibration={"image": x["image"], "vec": x["vector"]})


def test_outputs_of_different_shapes_that_an_exporter_merged():
    graph = branches()
    graph.edges.append(("vector", "out"))
    with pytest.raises(UserError, match=r"'out' sums different shapes, \(32,\) from 'n', \(5,\) from 'vector'.*remove"):
        from_graph(graph)


@pytest.mark.parametrize(
    ("weight", "options"),
    [
        ((4, 3, 3), {"stride": 2, "padding": 1, "dilation": 2, "groups": 1}),
        ((6, 1, 5), {"stride": 1, "padding": "same", "dilation": 1, "groups": 3}),
        ((4, 3, 3, 1), {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "groups": 1}),
        ((6, 1, 3, 5), {"stride": 1, "padding": "same", "dilation": (2, 1), "groups": 3}),
    ],
)
def test_convolutions_are_pytorchs(weight, options):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=weight).astype("f4"), rng.normal(size=weight[0]).astype("f4")
    shape = (3, 11) if len(weight) == 3 else (3, 7, 11)
    kind, wanted = (nir.Conv1d, F.conv1d) if len(weight) == 3 else (nir.Conv2d, F.conv2d)
    x = rng.normal(size=(2, 3, *shape)).astype("f4")
    source = from_graph(chain(ports(*shape)[0], kind(None, kernel, bias=bias, **options), ports(*shape)[1]))
    got = interpret(source, {"n0": x}).values["n2"]
    expected = wanted(torch.from_numpy(x).flatten(0, 1), torch.from_numpy(kernel), torch.from_numpy(bias), **options)
    assert torch.allclose(got.flatten(0, 1), expected, atol=1e-5) and source.shapes["n1"] == expected.shape[1:]


# Nested graphs.
def nested(depth: int = 1) -> nir.NIRGraph:
    inner = between(linear(2, 1.0), lif(2, 2.0))
    for _ in range(depth - 1):
        inner = between(inner)
    return between(linear(), inner, linear(), lif(2, 2.0))


@pytest.mark.parametrize("depth", [1, 3])
def test_nested_graphs_are_taken_apart(depth, tmp_path):
    graph = nested(depth)
    source = from_graph(graph)
    inner = "n2" + ".n1" * (depth - 1)
    assert source.order == ("n0", "n1", f"{inner}.n1", f"{inner}.n2", "n3", "n4", "n5")
    flat = between(linear(), linear(2, 1.0), lif(2, 2.0), linear(), lif(2, 2.0))
    x = np.random.default_rng(0).integers(0, 2, (2, 9, 2)).astype("f4")
    values = interpret(source, {"n0": x}, keep=frozenset(source.order)).values
    assert torch.equal(values["n5"], interpret(from_graph(flat), {"n0": x}).values["n6"])
    nir.write(tmp_path / "g.nir", graph)
    assert read_nir(tmp_path / "g.nir").preds == source.preds


def test_a_nested_graph_that_only_passes_on_and_one_with_two_ways_in():
    passing = between(linear(), nir.NIRGraph(dict(zip("ab", ports(2), strict=True)), [("a", "b")], {}), lif(2, 2.0))
    assert from_graph(passing).preds["n3"] == ("n1",)
    graph = nested()
    graph.nodes["n2"].nodes["second"] = ports(2)[0]
    graph.nodes["n2"].edges.append(("second", "n2"))
    with pytest.raises(
        UserError, match=r"'n2': the nested graph has 2 Input nodes; write edges to one by name, as 'n2"
    ):
        from_graph(graph)
    graph.edges = [(a, "n2.n0" if b == "n2" else b) for a, b in graph.edges] + [("n0", "n2.second")]
    assert set(from_graph(graph).preds["n2.n2"]) == {"n2.n1", "n0"}


def test_graphs_within_themselves_are_refused():
    endless = nested()
    endless.nodes["n2"].nodes["n1"] = endless
    with pytest.raises(UserError, match="is a graph within 9 others, 8 are allowed"):
        from_graph(endless)
    wide = nested()
    for _ in range(7):
        wide = nir.NIRGraph({f"{i}": wide for i in range(40)}, [], {}, type_check=False)
    with pytest.raises(UserError, match="more nodes than 3,000"):
        from_graph(wide)
    double = nested()
    double.nodes["n2.n1"] = linear()
    with pytest.raises(UserError, match=r"'n2\.n1': two nodes have this name"):
        from_graph(double)


# Reset.
@pytest.mark.parametrize(
    ("version", "has_reset", "reset"),
    [
        ("1.0.4", False, "soft"),
        ("1.0.4", True, "hard"),
        ("1.0.8", False, "hard"),
        ("", False, "hard"),
        ("?", False, "hard"),
    ],
)
def test_the_version_of_a_file_decides_what_a_spike_does(version, has_reset, reset, tmp_path):
    path = tmp_path / "g.nir"
    nir.write(path, between(linear(), lif(2, 2.0)))
    with h5py.File(path, "r+") as file:
        del file["version"]
        if version:
            file["version"] = version
        if not has_reset:
            del file["node/nodes/n2/v_reset"]
    source = read_nir(path)
    assert source.conventions.reset == reset and source.reset_reason
    asked = read_nir(path, reset="hard", spikes="many")
    assert (asked.conventions.reset, asked.conventions.spikes, asked.reset_reason) == ("hard", "many", "given")
    for wrong in ({"reset": "none"}, {"spikes": "two"}, {"integration": "exact"}, {"gain": "r"}):
        with pytest.raises(UserError, match="must be one of"):
            read_nir(path, **wrong)  # type: ignore[arg-type]


# Inspection, and files of others.
def test_inspection_says_everything_that_is_wrong():
    graph = between(
        linear(), cuba(2, 4.0, 9000.0, 1.0, 1.0), nir.Linear(np.eye(2)), lif(2, 0.5, 5.0), integrator(2, 1e4)
    )
    graph.nodes["n1"] = nir.Affine(full((2, 2), 1), full((2,), 1))
    graph.nodes["n4"].v_threshold[0] = 2.0
    found = inspect(graph)
    assert found.types == {"Affine": 1, "CubaLIF": 1, "IF": 1, "Input": 1, "LIF": 1, "Linear": 1, "Output": 1}
    assert (found.neurons, found.outputs, found.inputs[0].shape) == (6, {"n6": (2,)}, (2,))
    assert "disagree on the time step" in found.refused[0] and len(found.refused) > 1
    text = repr(found)
    assert "input 'n0': (2,), spikes (not declared)" in text and "time constants" in text
    fine = inspect(between(linear(), lif(2, 9000.0)))
    assert (
        not fine.refused
        and "rounding to 12 bits changes time constants: n2 (of v 9000 steps to 4096)" in repr(fine)
        and "nothing in it is refused" in repr(fine)
    )


def test_inspection_of_what_cannot_be_read():
    loop = between(linear(), lif(2, 2.0))
    loop.nodes["n2"].v_threshold = full((5,), 1)
    found = inspect(loop)
    assert found.dt is None and found.types["LIF"] == 1 and "parameters of shape (5,)" in found.refused[0]


STEPS = {"snn": 1e-4, "sj": 1e-4, "sinabs": 1.0, "norse": 1e-6, "rock": 1e-3}


@pytest.mark.skipif(not PEERS.is_dir(), reason="no files of other frameworks beside this checkout")
@pytest.mark.parametrize("path", sorted(PEERS.glob("*.nir")), ids=lambda path: path.stem)
def test_files_of_other_frameworks_are_read_in_their_own_steps(path):
    if path.stem == "snn_f_vec_residual":
        with pytest.raises(UserError, match=r"'output' sums different shapes.*remove the edges that do not belong"):
            read_nir(path)
        return
    found = inspect(path)
    if "cycle" in "".join(found.refused):
        pytest.skip("loops are not read yet")
    assert found.dt == pytest.approx(STEPS[path.stem.split("_")[0]], rel=1e-6)
    assert len(found.inputs[0].shape) == (3 if "csnn" in path.stem else 1)
    assert found.conventions.reset == ("soft" if path.stem.startswith("sinabs") else "hard")
