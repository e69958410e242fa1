"""Shapes that files of other frameworks leave out, repeat, merge or nest: read as they were meant."""

from __future__ import annotations

import h5py
import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph, read_nir
from snnergy.neuromorphic.lowering.compile import compile
from tests.neuromorphic.foreign_graphs import between, chain, full, lif, linear, ports


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
