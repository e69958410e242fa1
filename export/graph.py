"""Collects the nodes and edges of a NIR graph under the names of the modules that they come from.

A population is one neuron node and carries its module's path; the linear nodes on the way into it, or the gain on the
way out of it, are named `<path>.<what it does>`. Every node is labelled in its metadata with stage, block, modality
and role; a linear node also says whether its numbers were trained (`learned`) or are wiring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import nir
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.samples import PIXEL_MAX
from snnergy.artefacts.types import Labels, Shape
from snnergy.training.model.neurons import LIF

Floats = npt.NDArray[np.float32]
DT = 1.0  # a time constant of the network counts time steps
Metadata = dict[str, str | int | float]
LabelsOf = Callable[[str], Labels]  # of a population's path


@dataclass(frozen=True)
class Stream:
    """The sum of what the nodes `sources` emit, each of `shape`; edges into one NIR node are summed."""

    sources: tuple[str, ...]
    shape: Shape

    def __add__(self, other: Stream) -> Stream:
        assert self.shape == other.shape, (self, other)
        return Stream((*self.sources, *other.sources), self.shape)


class GraphBuilder:
    """A NIR graph in the making."""

    def __init__(self, labels: LabelsOf) -> None:
        self._labels = labels
        self._nodes: dict[str, nir.NIRNode] = {}
        self._edges: list[tuple[str, str]] = []

    def input(self, name: str, shape: Shape) -> Stream:
        """An image of 8-bit pixels, seen by the network as pixel / 255."""
        node = nir.Input(np.array(shape))
        node.metadata = {"role": "input", "modality": name, "value_class": "real", "scale": 1 / PIXEL_MAX, "bits": 8}
        return self._add(name, node, (), shape)

    def linear(self, name: str, node: nir.NIRNode, source: Stream, shape: Shape, *, learned: bool = False) -> Stream:
        """A linear node that emits `shape`. `name` is the path of the population that it belongs to, and a word."""
        owner, _, _ = name.rpartition(".")
        node.metadata = self._metadata(owner) | {"learned": int(learned)}
        return self._add(name, node, source.sources, shape)

    def neurons(self, path: str, node: nir.NIRNode, source: Stream) -> Stream:
        """The neuron node of the population at `path`."""
        node.metadata = self._metadata(path)
        return self._add(path, node, source.sources, source.shape)

    def output(self, name: str, source: Stream) -> None:
        """What leaves the graph."""
        node = nir.Output(np.array(source.shape))
        node.metadata = {"role": "output"}
        self._add(name, node, source.sources, source.shape)

    @property
    def nodes(self) -> dict[str, nir.NIRNode]:
        """What there is of it, by name."""
        return self._nodes

    def build(self, metadata: Metadata) -> nir.NIRGraph:
        """The graph, which nir has type-checked."""
        return nir.NIRGraph(dict(self._nodes), list(self._edges), metadata={**metadata, "dt": DT})

    def _metadata(self, path: str) -> Metadata:
        return {key: value for key, value in asdict(self._labels(path)).items() if value not in (None, "")}

    def _add(self, name: str, node: nir.NIRNode, sources: tuple[str, ...], shape: Shape) -> Stream:
        assert name not in self._nodes, name
        self._nodes[name] = node
        self._edges += [(source, name) for source in sources]
        return Stream((name,), shape)


def lif(neuron: LIF, shape: Shape) -> nir.LIF:
    """The LIF node that fires exactly where `neuron` does, given the same float32 membrane.

    The network fires on v >= threshold and NIR on v > threshold. No float32 lies between the threshold and the next
    one below it, so v > nextbelow(threshold) holds for the same float32 values of v.
    """
    below = np.nextafter(np.float32(neuron.v_threshold), np.float32(-np.inf))
    return _spiking(shape, neuron.tau, below)


def memoryless(threshold: float, shape: Shape) -> nir.LIF:
    """A LIF node with tau = dt: its membrane is its input of this step alone."""
    return _spiking(shape, DT, threshold)


def _spiking(shape: Shape, tau: float, threshold: float | np.float32) -> nir.LIF:
    def full(value: float | np.float32) -> Floats:
        return np.full(shape, value, dtype=np.float32)

    return nir.LIF(tau=full(tau), r=full(1), v_leak=full(0), v_threshold=full(threshold), v_reset=full(0))
