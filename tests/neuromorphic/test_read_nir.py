"""Sound files are read; every kind of unsound one is refused with the node and the reason."""

from __future__ import annotations

from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.read_nir import from_graph, read_nir
from tests.neuromorphic import graphs


def written(path: Path, graph: nir.NIRGraph | None = None) -> Path:
    nir.write(path, graph or graphs.branched())
    return path


def chain(*nodes: nir.NIRNode, metadata: dict | None = None) -> nir.NIRGraph:
    names = {f"n{i}": node for i, node in enumerate(nodes)}
    edges = [(f"n{i}", f"n{i + 1}") for i in range(len(nodes) - 1)]
    return nir.NIRGraph(names, edges, metadata=metadata or {}, type_check=False)


def flat(size: int) -> tuple[nir.NIRNode, nir.NIRNode]:
    return nir.Input({"input": np.array([size])}), nir.Output({"output": np.array([size])})


def test_labels_shapes_and_dt_survive_the_file(tmp_path: Path) -> None:
    source = read_nir(written(tmp_path / "g.nir"))
    assert (source.dt, source.dt_reason) == (1.0, "from the file's metadata")
    assert source.shapes["broadcast"] == (4, 4, 4)
    assert source.shapes["head.flatten"] == (6,)
    assert source.labels("stem").role == "stem" and source.labels("stem").stage == 1
    (port,) = source.inputs
    assert (port.value_class, port.bits, port.scale) == ("real", 8, pytest.approx(1 / 255))


def test_dt_is_given_guessed_or_refused() -> None:
    inp, out = flat(3)
    assert from_graph(chain(inp, graphs.lif((3,)), out)).dt == 1.0
    fast = chain(inp, nir.Linear(np.full((3, 3), 9.0)), graphs.lif((3,), tau=0.02), out)
    assert from_graph(fast).dt == 1e-4 and "guessed" in from_graph(fast).dt_reason
    assert from_graph(fast, 1e-3).dt == 1e-3
    with pytest.raises(UserError, match="above 0"):
        from_graph(fast, 0.0)


def test_all_violations_are_reported_at_once() -> None:
    graph = graphs.branched()
    graph.nodes["stem.conv"].weight[0, 0] = np.nan
    graph.nodes["head.linear"].bias[0] = np.inf
    graph.edges.append(("nowhere", "out"))
    with pytest.raises(UserError) as caught:
        from_graph(graph)
    text = str(caught.value)
    assert "'stem.conv': weight holds 9 NaN" in text
    assert "'head.linear': bias holds 1 NaN" in text
    assert "dangling: there is no node 'nowhere'" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.edges.append(("stem", "or.sum")), "appears twice"),
        (lambda g: g.edges.remove(("image", "stem.conv")), "'stem.conv' .* has no input"),
        (lambda g: g.edges.remove(("head", "logits")), "'head' .* leads nowhere"),
        (lambda g: g.edges.append(("out", "deep.conv")), "sums different shapes"),
        (lambda g: g.edges.append(("shortcut.conv", "shortcut.conv")), "no neuron is in the loop"),
        (lambda g: g.edges.append(("logits", "image")), "'image' .* is fed by others"),
        (lambda g: g.edges.append(("logits", "head")), "'logits' .* leads on"),
        (lambda g: g.edges.append(("stem", "out")), "sums different shapes"),
    ],
)
def test_structural_mistakes(change: object, message: str) -> None:
    graph = graphs.branched()
    change(graph)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        from_graph(graph)


def test_files_that_are_not_nir(tmp_path: Path) -> None:
    text = tmp_path / "text.nir"
    text.write_text("no HDF5")
    other = tmp_path / "other.nir"
    with h5py.File(other, "w") as file:
        file["data"] = 1
    for path, message in (
        (text, "not a NIR file"),
        (other, "not a NIR graph"),
        (tmp_path / "none.nir", "no such file"),
    ):
        with pytest.raises(UserError, match=message):
            read_nir(path)


def test_unknown_node_type_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "g.nir")
    with h5py.File(path, "a") as file:
        del file["node/nodes/stem/type"]
        file["node/nodes/stem/type"] = "Hodgkin"
    with pytest.raises(UserError, match="'stem' has unknown type 'Hodgkin'"):
        read_nir(path)


def test_parameters_of_the_wrong_shape() -> None:
    inp, out = flat(3)
    with pytest.raises(UserError, match=r"parameters of shape \(4,\) on an input of shape \(3,\)"):
        from_graph(chain(inp, graphs.lif((4,)), out))
    with pytest.raises(UserError, match="takes a flat vector"):
        from_graph(chain(inp, nir.Linear(np.ones((2, 4))), out))


def test_grouped_and_uneven_convolutions_have_right_shapes() -> None:
    rng = np.random.default_rng(0)
    node = nir.Conv2d((6, 8), rng.normal(size=(4, 1, 1, 3)), (1, 2), (0, 1), (1, 1), 2, np.zeros(4))
    inp = nir.Input({"input": np.array([2, 6, 8])})
    out = nir.Output({"output": np.array([4, 6, 4])})
    assert from_graph(chain(inp, node, out)).shapes["n1"] == (4, 6, 4)
    one = nir.Conv1d(9, rng.normal(size=(4, 2, 3)), 2, "same", 1, 1, np.zeros(4))
    line = chain(nir.Input({"input": np.array([2, 9])}), one, nir.Output({"output": np.array([4, 5])}))
    assert from_graph(line).shapes["n1"] == (4, 5)
