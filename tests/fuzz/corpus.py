"""Sound files of every format, small, from which cases are made: graphs, networks, recordings, experiments."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
import yaml

from snnergy.artefacts.samples import write_samples
from snnergy.export.artefact import export
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.netx.files import write_netx
from snnergy.neuromorphic.simulation.networks import load
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.training import checkpoint
from snnergy.training.config.experiment import from_dict
from snnergy.training.data import model_inputs
from snnergy.training.loop.train import train
from snnergy.training.model.network import SNNergy
from tests.energy.activity_files import Edge, Node, write_activity
from tests.fuzz.child import ROOT
from tests.fuzz.values import Array
from tests.neuromorphic import graphs, nets, recurrent, stock_files
from tests.snnergy.conftest import TINY


def write(folder: Path) -> None:
    """Write everything, each kind of file in a folder of its own."""
    for made in (_graphs, _networks, _activity, _experiments):
        made(folder)


def _chain(shape: tuple[int, ...], *nodes: nir.NIRNode, out: tuple[int, ...], **metadata: Any) -> nir.NIRGraph:
    named = {
        "in": nir.Input({"input": np.array(shape)}),
        **{f"n{index}": node for index, node in enumerate(nodes)},
        "out": nir.Output({"output": np.array(out)}),
    }
    names = list(named)
    return nir.NIRGraph(named, list(pairwise(names)), metadata=metadata, type_check=False)


def _graphs(folder: Path) -> None:
    """A graph with branches, and small ones that hold every node type between them."""
    target = folder / "nir"
    (target / "reference").mkdir(parents=True)
    rng = np.random.default_rng(0)

    def full(value: float, *shape: int) -> Array:
        return np.full(shape or (4,), value, np.float32)

    def numbers(*shape: int) -> Array:
        return rng.normal(0, 0.5, shape).astype(np.float32)

    small = {
        "flat": _chain(
            (4,), nir.Affine(numbers(4, 4), numbers(4)), nir.IF(full(1), full(0.8)), nir.Linear(numbers(4, 4)),
            nir.CubaLIF(full(2), full(3), full(3), full(0), full(0.8), w_in=full(2)), nir.Delay(full(2)),
            nir.Linear(numbers(3, 4)), nir.LI(full(3, 3), full(1, 3), full(0, 3)), out=(3,), dt=1.0,
        ),
        "line": _chain(
            (4, 9), nir.Conv1d(9, numbers(6, 2, 3), 2, "same", 1, 2, numbers(6)), nir.Flatten({"input": np.array((6,
            5))}, 0),
            nir.Threshold(full(0.3, 30)), nir.Linear(numbers(3, 30)),
            nir.CubaLI(full(2, 3), full(3, 3), full(3, 3), full(0, 3), w_in=full(2, 3)), out=(3,),
        ),
        "maps": _chain(
            (2, 6, 5), nir.Conv2d((6, 5), numbers(4, 1, 3, 3), (2, 1), (1, 0), (1, 1), 2, numbers(4)),
            graphs.lif((4, 3, 3)), graphs.pool(nir.SumPool2d, 2, 1), nir.Scale(full(0.7, 4, 2, 2)), graphs.lif((4, 2,
            2)),
            graphs.pool(nir.AvgPool2d, 2, 2), nir.Flatten({"input": np.array((4, 1, 1))}, 0), nir.Affine(numbers(3,
            4), numbers(3)),
            nir.I(full(0.2, 3)), out=(3,), dt=1.0,
        ),
        "nested": _chain(
            (4,), nir.Linear(numbers(4, 4)), _chain((4,), nir.Linear(numbers(4, 4)), graphs.lif((4,)), out=(4,)),
            nir.Linear(numbers(3, 4)), graphs.lif((1,)), out=(3,), dt=1.0,
        ),
        "branched": graphs.branched(),
        "late": _chain(
            (4,), nir.Linear(numbers(4, 4)), nir.LIF(full(3), full(1), full(0.1), full(0.4), v_reset=full(0.2)),
            nir.Delay(np.array([0, 1, 70, 200], np.float32)), nir.Linear(numbers(3, 4)), nir.LI(full(3, 3), full(1, 3),
            full(0, 3)), out=(3,), dt=1.0,
        ),
        "loop": recurrent.random_graph(0),
        "loops": recurrent.random_graph(4),
    }  # fmt: skip
    small["maps"].nodes["in"].metadata = {"value_class": "binary"}
    for name, graph in small.items():
        nir.write(target / f"{name}.nir", graph)
        ports = {port: node.output_type["output"] for port, node in graph.nodes.items() if isinstance(node, nir.Input)}
        arrays = {port: (rng.random((3, 4, *shape)) < 0.5).astype(np.float32) for port, shape in ports.items()}
        write_samples(target / f"{name}.npz", arrays | {"label": np.array([0, 2, 1])})
        outputs = [node.input_type["input"] for node in graph.nodes.values() if isinstance(node, nir.Output)]
        write_samples(target / f"reference/{name}.npz", {"out": rng.integers(0, 2, (3, 4, *outputs[0]))})


def _networks(folder: Path) -> None:
    """Our own files, of random networks and of compiled graphs, and a chain as lava-dl writes it; samples for each."""
    target = folder / "net"
    target.mkdir()
    for name, net in {
        "random0": nets.random_net(0),
        "random3": nets.random_net(3),
        "gains": nets.diagonal_net(1),
        "sparse": nets.sparse_net(1),
        "programmed": nets.programmed_net(2),
        "loops": recurrent.random_net(1),
    }.items():
        write_netx(net, target / f"{name}.net")
    for graph in ("flat", "maps"):
        compiled = compile(folder / f"nir/{graph}.nir", calibration=folder / f"nir/{graph}.npz")
        write_netx(compiled.net, target / f"{graph}.net")
    stock_files.chain_file(target / "stock.net").close()
    with stock_files.chain_file(target / "driven.net") as file:
        stock_files.neuron(file["layer/0"], iDecay=4096)
        file["layer/0/weight"], file["layer/0/bias"] = 64, 3
    with stock_files.chain_file(target / "recurrent.net") as file:
        file["layer/3/type"][...] = np.array(["dense_rec"], "S10")
        file["layer/3/weight_rec"] = np.full((4, 4), 8, np.float32)
        del file["layer/3/delay"]
    rng = np.random.default_rng(1)
    for path in sorted(target.glob("*.net")):
        net = load(path)
        arrays = {
            port.name: (rng.integers(0, 2, (3, 5, *port.shape)) * min(1.0, port.scale)).astype(np.float32)
            for port in net.inputs
        }
        write_samples(path.with_suffix(".npz"), arrays | {"label": np.array([0, 1, 2])})
        if len(arrays) == 1:
            np.save(path.with_suffix(".npy"), next(iter(arrays.values())))


def _activity(folder: Path) -> None:
    """Recordings of our networks, and one by hand, as another simulator would write it."""
    target = folder / "activity"
    target.mkdir()
    for name in ("random0", "programmed", "loops", "maps", "stock"):
        net = folder / f"net/{name}.net"
        simulate(net, net.with_suffix(".npz"), output=target / f"{name}.h5")
    for name in ("random0", "programmed", "maps"):
        net = folder / f"net/{name}.net"
        simulate(net, net.with_suffix(".npz"), output=target / f"{name}-counts.h5", record="counts")
    rng = np.random.default_rng(2)
    spikes = {name: rng.integers(0, 2, (2, 3, *shape)) for name, shape in {"in": (2, 4, 4), "a": (3, 4, 4)}.items()}
    nodes = [
        Node("in", spikes["in"], "input", "integer"),
        Node("a", spikes["a"]),
        Node("out", kind="readout", shape=(5,)),
    ]
    edges = [
        Edge("in", "a", rng.integers(-3, 4, (3, 2, 3, 3)), padding=1, origin=("conv",)),
        Edge("a", "out", rng.integers(-3, 4, (5, 48))),
    ]
    write_activity(target / "foreign.h5", nodes, edges, label=[0, 1], prediction=[0, 2])


def _experiments(folder: Path) -> None:
    """An untrained checkpoint, its graph, experiments, and a run that was killed after its first epoch."""
    for name in ("checkpoint", "config", "resume"):
        (folder / name).mkdir()
    small = TINY | {"model": TINY["model"] | {"variant": "spatial"}}  # half the nodes
    config = from_dict(small, "tiny")
    torch.manual_seed(0)
    checkpoint.save(folder / "checkpoint/tiny.pt", SNNergy(config.model).eval(), config, {"test_accuracy": 0.1})
    export(folder / "checkpoint/tiny.pt", folder / "nir/tiny.nir", samples=None)
    write_samples(folder / "nir/tiny.npz", model_inputs(config, "test", 2))
    (folder / "config/tiny.yaml").write_text(yaml.safe_dump(small))
    grid = small | {"data": TINY["data"] | {"name": "grid", "root": "nowhere"}}
    (folder / "config/grid.yaml").write_text(yaml.safe_dump(grid))
    shutil.copy(ROOT / "configs/digits.yaml", folder / "config/digits.yaml")
    shutil.copy(ROOT / "configs/ave.yaml", folder / "config/ave.yaml")
    _killed_run(folder / "resume", replace(config, train=replace(config.train, epochs=2)))


class _Killed(BaseException):
    pass


def _killed_run(folder: Path, config: Any) -> None:
    """A run of two epochs that ended between them, without a sign."""

    def kill(line: object) -> None:
        if (folder / "tiny/resume/last.ckpt").is_file():
            raise _Killed

    try:
        train(config, output=folder, progress=kill)
    except _Killed:
        shutil.rmtree(folder / "tiny/logs", ignore_errors=True)
        (folder / "tiny.yaml").write_text((folder / "tiny/config.yaml").read_text())
        return
    raise AssertionError(f"the run ended: {folder}")
