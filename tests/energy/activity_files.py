"""Small activity files for tests, written by counting synapses one by one at the targets.

Nothing here shares code or method with the ledger: every operator is unrolled into a table of taps
`(targets, sources)` by plain loops, and delivered events are counted per target.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass
class Node:
    name: str
    values: Array | None = None  # (samples, T, *shape); a readout has none
    kind: str = "neuron"
    value_class: str = "binary"
    shape: tuple[int, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values is not None:
            self.shape = self.values.shape[2:]


@dataclass
class Edge:
    source: str
    target: str
    weight: Array
    stride: int = 1
    padding: int = 0
    groups: int = 1
    learned: bool = True
    origin: tuple[str, ...] = ()


def taps(edge: Edge, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[Array, Array]:
    """Tables `(targets, sources)`: how many synapses join each pair, all of them and those of non-zero weight."""
    found = np.zeros((2, int(np.prod(target)), int(np.prod(source))), dtype=np.int64)
    if edge.weight.ndim == 2:
        found[0] = 1
        found[1] = edge.weight != 0
        return found[0], found[1]
    outputs, inputs, height, width = edge.weight.shape
    for o, row, column, i, dy, dx in product(
        range(outputs), range(target[1]), range(target[2]), range(inputs), range(height), range(width)
    ):
        channel = o // (outputs // edge.groups) * inputs + i
        y, x = row * edge.stride + dy - edge.padding, column * edge.stride + dx - edge.padding
        if 0 <= y < source[1] and 0 <= x < source[2]:
            place = np.ravel_multi_index((o, row, column), target), np.ravel_multi_index((channel, y, x), source)
            found[0][place] += 1
            found[1][place] += edge.weight[o, i, dy, dx] != 0
    return found[0], found[1]


def write_activity(
    path: Path,
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    *,
    label: Sequence[int] = (),
    prediction: Sequence[int] = (),
) -> Path:
    """Write an activity file of the given nodes and edges, fan-out and delivered events counted from the weights."""
    by_name = {node.name: node for node in nodes}
    samples, steps = next(node.values.shape[:2] for node in nodes if node.values is not None)
    with h5py.File(path, "w") as file:
        file.attrs.update(format="snnergy-activity", version=1, time_steps=steps, samples=samples)
        file.attrs.update(backend="emulator", model="small.net", provenance=json.dumps({"seed": 0}))
        for name, classes in (("label", label), ("prediction", prediction)):
            if len(classes):
                file[name] = np.asarray(classes)
        group = file.create_group("nodes")
        for node in nodes:
            _write_node(group.create_group(node.name), node)
        file.create_group("edges")
        for index, edge in enumerate(edges):
            _write_edge(file.create_group(f"edges/{index}"), edge, by_name[edge.source], by_name[edge.target])
    return path


def _write_node(group: h5py.Group, node: Node) -> None:
    labels = {"role": "", "stage": -1, "block": -1, "modality": "", "memoryless": False, "biased": 0}
    group.attrs.update(kind=node.kind, shape=node.shape, value_class=node.value_class, scale=1.0, **labels)
    group.attrs.update(node.attrs)
    if node.values is not None:
        group["values"] = node.values


def _write_edge(group: h5py.Group, edge: Edge, source: Node, target: Node) -> None:
    assert source.values is not None
    alive = int(np.count_nonzero(edge.weight))
    group.attrs.update(source=edge.source, target=edge.target, kind="dense" if edge.weight.ndim == 2 else "conv2d")
    group.attrs.update(origin=json.dumps(edge.origin), learned=edge.learned)
    group.attrs.update(parameters=edge.weight.size, nonzero_parameters=alive)
    events = (source.values != 0).reshape(*source.values.shape[:2], -1).astype(np.int64)
    tables = taps(edge, source.shape, target.shape)
    for suffix, table in zip(("", "_nonzero"), tables, strict=True):
        group[f"fan_out{suffix}"] = table.sum(axis=0).reshape(source.shape).astype(np.int32)
        group[f"delivered{suffix}"] = np.einsum("ps,nts->nt", table, events)
