"""A network in training as the float network that compilation rounds: exported and lowered in memory, at every step.

Nothing of that is written here a second time. The structure is read and checked once; from then on what the network
has learned since takes the place of the numbers that were there, and only what it reaches is lowered again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnergy.artefacts.held_scales import HeldScale, HeldScales
from snnergy.artefacts.samples import SampleSource, as_samples
from snnergy.export.to_nir import nodes_of, to_nir
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.inputs import shapes_of
from snnergy.neuromorphic.lowering.calibrate import FloatActivity
from snnergy.neuromorphic.lowering.lower import balanced_net
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.quantize import Quantize, tasks_of
from snnergy.neuromorphic.passes.round_decays import RoundDecays
from snnergy.neuromorphic.passes.rounding import Task
from snnergy.training.model.system import System


class Lowered:
    """The structure of a network, and what its numbers are at any time."""

    def __init__(self, network: System, bits: int) -> None:
        """Read the structure. bits: that a weight has.

        Raises:
            UserError: with everything in the network that NIR cannot express.
        """
        self._source = from_graph(to_nir(network, {}))
        self._bits = bits
        net = RoundDecays()(balanced_net(self._source))
        self._tasks = tasks_of(net, bits)
        self._ways = {n: {node for s in task.synapses for node in s.origin} for n, task in self._tasks.items()}

    def tasks(self, network: System) -> dict[str, Task]:
        """Every population of the network as it is now, as the quantizer is given it."""
        now, source = nodes_of(network), self._source
        changed = {
            name: now[name]
            for name, node in source.nodes.items()
            if rule_of(node).kind == "linear" and not _same(node, now[name])
        }
        self._source = replace(source, nodes=source.nodes | changed)
        fused = Fuse()(self._source)
        reached = {name: arrival for name, arrival in fused.arrivals.items() if self._ways[name] & changed.keys()}
        # A part of a network is none that a pass would let through: its sources are not in it.
        net = RoundDecays().rewrite(DiscretiseTime().rewrite(replace(fused, arrivals=reached)))
        self._tasks |= tasks_of(net, self._bits)
        return self._tasks

    def scales(self, network: System, calibration: SampleSource) -> HeldScales:
        """What `compile` rounds each population to when it is calibrated on these samples."""
        source = from_graph(to_nir(network, {}))
        samples = as_samples(calibration, shapes_of(source.inputs))
        net = RoundDecays()(balanced_net(source))
        chosen = Quantize(FloatActivity(source, samples, net), self._bits)(net).populations
        held = {
            name: HeldScale(q.population.scale, q.population.vth, tuple(s.exponent for s in q.synapses))
            for name, q in chosen.items()
            if q.synapses
        }
        return HeldScales(self._bits, held)


def _same(one: Any, other: Any) -> bool:
    """Whether two nodes of a kind hold the same numbers."""
    arrays = {name: value for name, value in vars(one).items() if isinstance(value, np.ndarray)}
    return all(np.array_equal(value, vars(other)[name]) for name, value in arrays.items())
