"""Graphs of anyone's making: what leads out of the file, asks for too much, or is not what its name says."""

from __future__ import annotations

import re
import resource
import shutil
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.read_nir import from_graph, read_nir
from snnergy.neuromorphic.lowering.compile import compile
from tests.neuromorphic import graphs

SECRET = "the secret of another file"


@pytest.fixture
def spoilt(tmp_path: Path):
    """A file of the branched graph after a function of its group of nodes has changed it."""

    def make(change: Any) -> Path:
        path = tmp_path / "g.nir"
        nir.write(path, graphs.branched())
        with h5py.File(path, "r+") as file:
            change(file["node/nodes"])
        return path

    return make


def replaced(member: str, value: Any) -> Any:
    def change(nodes: h5py.Group) -> None:
        if member in nodes:
            del nodes[member]
        nodes[member] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (replaced("stem.conv/weight", np.ones((4, 2, 3, 3), complex)), "/stem.conv/weight: holds neither numbers nor"),
        (replaced("stem.conv/weight", np.ones((4, 2, 3), "f4")), "weight has shape (4, 2, 3); must have 4 axes"),
        (replaced("stem.conv/weight", np.full((4, 2, 3, 3), 1e300)), "weight reaches 1e+300"),
        (replaced("stem.conv/weight", "many"), "/stem.conv: nir cannot build a Conv2d of it"),
        (replaced("stem.conv/stride", np.array([1.5, 1])), "stride is [1.5, 1.0]; must hold whole numbers from 1"),
        (replaced("stem.conv/stride", np.array([-2, 1])), "stride is [-2, 1]"),
        (replaced("stem.conv/groups", 10**9), "does not part into 1000000000 groups"),
        (replaced("stem.conv/groups", h5py.Empty("i4")), "/stem.conv/groups: holds neither numbers nor texts"),
        (replaced("stem.conv/bias", np.zeros(3, "f4")), "bias of shape (3,) for 4 channels"),
        (replaced("stem/tau", np.zeros((4, 8, 8), "f4")), "tau goes down to 0; must be above 0"),
        (replaced("stem/tau", np.ones(3, "f4")), "/stem: nir cannot build a LIF of it"),
        (replaced("image/metadata/bits", 10**9), "metadata bits is"),
        (replaced("image/metadata/bits", 4.5), "metadata bits is"),
        (replaced("image/metadata/scale", 0.0), "metadata scale is"),
        (replaced("image/metadata/scale", np.nan), "metadata scale is"),
        (replaced("image/metadata/signed", "no"), "metadata signed is 'no'; must be a whole number within 0..1"),
        (replaced("image/metadata/value_class", "analogue"), "metadata value_class is 'analogue'; must be one of"),
        (replaced("image/shape", np.array([2, 8.5, 8])), "extents are whole numbers from 1"),
        (replaced("image/shape", "wide"), "shape wide; declare 1 to 8 extents"),
        (replaced("image/shape", 5), "shape 5; declare 1 to 8 extents"),
        (replaced("image/shape", np.full((2, 2), 8)), "declare 1 to 8 extents"),
        (replaced("image/shape", np.array([2, 2**40, 8])), "an input of shape (4, 1099511627776, 8)"),
        (replaced("head.flatten/start_dim", 2**62), "start_dim"),
        (replaced("stem/type", "write"), "unknown type 'write'"),
        (replaced("stem/type", "NIRGraph"), "/stem: is a graph without nodes"),
        (replaced("stem/surplus", 1), "/stem: nir cannot build a LIF of it"),
        (lambda nodes: nodes["stem"].pop("r"), "/stem: nir cannot build a LIF of it"),
        (lambda nodes: nodes["stem"].pop("type"), "/stem: has no type"),
        (replaced("stem/type", ""), "/stem: has no type"),
        (lambda nodes: replaced("edges", np.zeros((3, 2)))(nodes.parent), "/node/edges: holds float64"),
        (lambda nodes: replaced("edges", h5py.Empty("S4"))(nodes.parent), "/node/edges: holds neither"),
        (lambda nodes: replaced("metadata/dt", "soon")(nodes.parent), "metadata dt is 'soon'"),
        (lambda nodes: replaced("metadata/dt", -1.0)(nodes.parent), "metadata dt is"),
    ],
)
def test_what_a_field_may_not_hold(spoilt, change, problem):
    path = spoilt(change)
    with pytest.raises(UserError) as refused:
        read_nir(path)
    assert any(problem in line for line in refused.value.lines), refused.value
    assert len(refused.value.lines) <= 11


def test_another_file_is_not_read(spoilt, tmp_path):
    """A node's name, its type and its numbers, each kept in another file."""
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["type"], file["role"] = "LIF", SECRET
    for member in ("stem/type", "stem/metadata/role"):
        path = spoilt(replaced(member, h5py.ExternalLink(other, member.rpartition("/")[2])))
        with pytest.raises(UserError, match=f"/node/nodes/{member}: is a link into another file") as refused:
            compile(path)
        assert SECRET not in str(refused.value)


def chain(*nodes: nir.NIRNode) -> nir.NIRGraph:
    names = {f"n{i}": node for i, node in enumerate(nodes)}
    return nir.NIRGraph(names, [(f"n{i}", f"n{i + 1}") for i in range(len(nodes) - 1)], type_check=False)


def ports(*shape: int) -> tuple[nir.Input, nir.Output]:
    declared = {"value_class": "binary"}
    return nir.Input({"input": np.array(shape)}, metadata=declared), nir.Output({"output": np.array(shape)})


def window_of_the_whole_padding() -> nir.NIRGraph:
    image, out = ports(1, 8, 8)
    return chain(image, graphs.pool(nir.SumPool2d, 1 << 15, 1, 1 << 15), out)


def maps_of_a_gigapixel() -> nir.NIRGraph:
    image, out = ports(1, 8, 8)
    return chain(image, graphs.pool(nir.AvgPool2d, 1, 1, 1 << 15), out)


def large_kernel_on_large_maps() -> nir.NIRGraph:
    image, out = ports(1, 1024, 1024)
    kernel = np.zeros((1, 1, 513, 513), np.float32)
    return chain(image, nir.Conv2d(None, kernel, 1, 0, 1, 1, np.zeros(1, np.float32)), out)


def lattice(depth: int) -> nir.NIRGraph:
    """Two linear nodes behind two others, and so on: 2^depth ways from the input to the output."""
    image, out = ports(2)
    nodes: dict[str, nir.NIRNode] = {"0": image}
    edges, before = [], ["0"]
    for i in range(depth):
        here = [f"{i}a", f"{i}b"]
        nodes |= {name: nir.Scale(np.full(2, 0.5, np.float32)) for name in here}
        edges += [(a, b) for a in before for b in here]
        before = here
    return nir.NIRGraph(nodes | {"out": out}, edges + [(a, "out") for a in before], type_check=False)


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (window_of_the_whole_padding(), "a kernel of (32768, 32768)"),
        (maps_of_a_gigapixel(), "values a time step"),
        (large_kernel_on_large_maps(), "multiplications a time step"),
        (lattice(40), "ways lead to it through linear nodes"),
    ],
)
def test_what_asks_for_too_much(graph, problem):
    before = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises(UserError, match=re.escape(problem)):
        compile(graph)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < 5
    assert after.ru_maxrss - before.ru_maxrss < 256 << 10  # KiB


def test_a_small_file_of_many_zeros(tmp_path):
    path = tmp_path / "g.nir"
    image, out = ports(8)
    nir.write(path, chain(image, nir.Linear(np.ones((8, 8), np.float32)), out))
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n1/weight"]
        weight = file["node/nodes/n1"].create_dataset(
            "weight", (6000, 6000), "f4", chunks=(600, 6000), compression="gzip", compression_opts=1
        )
        for first in range(0, 6000, 600):
            weight[first : first + 600] = 0
        replaced("n0/shape", np.array([6000]))(file["node/nodes"])
    assert path.stat().st_size < 800_000
    with pytest.raises(UserError, match=r"36,\d+,\d+ parameters: needs 1\.1GiB"):
        compile(path)


def test_as_many_messages_as_one_can_read(tmp_path):
    graph = graphs.branched()
    graph.edges += [(f"no{i}", "out") for i in range(9_000)]
    with pytest.raises(UserError) as refused:
        from_graph(graph)
    assert len(refused.value.violations) >= 9_000
    assert len(str(refused.value).splitlines()) == 11


def test_too_many_edges_are_not_read(spoilt):
    def many(nodes: h5py.Group) -> None:
        del nodes.parent["edges"]
        nodes.parent["edges"] = np.full((10_001, 2), b"a")

    with pytest.raises(UserError, match=r"/node/edges: holds more than 10,000 edges"):
        read_nir(spoilt(many))


def test_too_many_nodes_are_not_read(spoilt):
    path = spoilt(lambda nodes: [nodes.create_group(f"more{i}") for i in range(3001)])
    with pytest.raises(UserError, match=r"/node/nodes: holds 3,\d+ nodes, 3,000 are allowed"):
        read_nir(path)


@pytest.mark.parametrize(("nodes", "edges"), [(3001, 0), (0, 10_001)])
def test_a_graph_of_too_many_parts(nodes, edges):
    graph = graphs.branched()
    graph.nodes |= {f"more{i}": graph.nodes["out"] for i in range(nodes)}
    graph.edges += [("stem", "out")] * edges
    message = r"graph: ([\d,]+ nodes and [\d,]+ edges, 3,000 and 10,000 are allowed|more nodes than 3,000)"
    with pytest.raises(UserError, match=message):
        from_graph(graph)


def test_a_long_value_of_metadata_is_not_written_out_before_it_is_cut(spoilt):
    def change(nodes: h5py.Group) -> None:
        text = nodes.create_dataset("stem/metadata/modality", (1,), "S20000000", chunks=(1,), compression="gzip")
        text[0] = b"\xff" * 20_000_000

    tracemalloc.start()
    (note,) = read_nir(spoilt(change)).notes
    assert note.startswith("node 'stem': metadata modality is") and len(note) < 500
    assert tracemalloc.get_traced_memory()[1] < 70_000_000
    tracemalloc.stop()


def lowered(*layers: nir.NIRNode, **metadata: float) -> nir.NIRGraph:
    nodes = [nir.Input({"input": np.array([3])}), *layers, graphs.lif((3,)), nir.Output({"output": np.array([3])})]
    nodes[0].metadata |= {"value_class": "binary"}
    names = [f"n{i}" for i in range(len(nodes))]
    return nir.NIRGraph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), {"dt": 1.0} | metadata)


def test_factors_whose_product_leaves_the_floats():
    scales = [nir.Scale(scale=np.full(3, 1e15)) for _ in range(25)]
    with pytest.raises(UserError, match=r"node 'n4': fused with the linear nodes before it, .* exceed 1e\+60"):
        compile(lowered(*scales))


def test_a_weight_below_every_float_has_an_exponent():
    tiny, threshold = nir.Linear(weight=np.full((3, 3), 1e-315)), graphs.lif((3,), threshold=1e15)
    assert not compile(lowered(tiny, threshold)).net.synapses[0].operator.weight.any()


@pytest.mark.parametrize("dt", [np.inf, 1e16, 1e-16])
def test_a_time_step_out_of_range(dt):
    with pytest.raises(UserError, match=r"dt .*: must be above 0, within 1e-15..1e\+15"):
        compile(lowered(), dt=dt)
    with pytest.raises(UserError, match=r"metadata dt is .*; must be a number above 0, within"):
        compile(lowered(dt=dt))


def test_a_time_constant_below_every_float():
    neurons = nir.CubaLIF(*(np.full(3, x) for x in (5e-324, 2.0, 0.0, 0.0, 1.0, 1.0)))
    with pytest.raises(UserError, match=r"is shorter than dt 1"):
        compile(lowered(neurons))


def test_calibration_that_leaves_single_precision():
    samples = np.full((2, 4, 3), 1e308)
    with pytest.raises(UserError, match=r"node 'n0': leaves single precision on the calibration samples"):
        compile(lowered(), calibration=samples, input_kind="analog")


def test_a_sound_file_is_read_as_before(spoilt, tmp_path):
    path = spoilt(lambda nodes: nodes.file.create_group("of somebody else"))
    ours, theirs = read_nir(path), nir.read(path, type_check=False)
    assert set(ours.nodes) == set(theirs.nodes)
    for name, node in theirs.nodes.items():
        assert vars(ours.nodes[name]).keys() == vars(node).keys()
        for field, value in vars(node).items():
            np.testing.assert_equal(getattr(ours.nodes[name], field), value)
    shutil.copy(path, tmp_path / "h.nir")
    assert read_nir(tmp_path / "h.nir").sha256 == ours.sha256


@pytest.mark.parametrize("field", ["bits", "scale", "signed", "value_class"])
@pytest.mark.parametrize("value", [np.zeros(0, np.int32), np.ones(3), "many", -(10**9)], ids=str)
def test_what_an_input_declares_wrongly_is_ignored_where_its_kind_is_given(spoilt, field, value):
    path = spoilt(replaced(f"image/metadata/{field}", value))
    source = read_nir(path, input_kind="graded")
    assert source.inputs[0].bits == 8 and any(f"metadata {field} is" in note for note in source.notes)
