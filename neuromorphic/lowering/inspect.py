"""Says what a graph holds and how it would be read, without compiling it, and all that is wrong with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.files import sha256_of
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.conventions import Conventions, Gains, Integrations, Resets, SpikesBy
from snnergy.neuromorphic.graph.input_kinds import with_inputs
from snnergy.neuromorphic.graph.nested import flattened
from snnergy.neuromorphic.graph.nir_file import Stored, load
from snnergy.neuromorphic.graph.nodes import RULES
from snnergy.neuromorphic.graph.read_nir import Asked, InputKinds, from_stored
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.graph.time_step import Candidate, UndecidedStep
from snnergy.neuromorphic.ir import FloatNet
from snnergy.neuromorphic.lowering.findings import rounded_decays
from snnergy.neuromorphic.passes.balance_delays import BalanceDelays
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse

_KINDS = {"binary": "spikes", "integer": "graded", "real": "analog"}


@dataclass(frozen=True)
class InputFacts:
    """One input: its shape without samples and time, and what it sends (`spikes`, `graded` or `analog`)."""

    name: str
    shape: Shape
    kind: str
    declared: bool


@dataclass(frozen=True)
class Inspection:
    """What a graph holds, and how it would be read.

    nir_version: that wrote the file, empty where it does not say. types: number of nodes of each type, nested graphs
    flattened. parameters, neurons: numbers of them. outputs: shape of each by name.
    dt: the time step, None where none can be chosen. dt_reason: the rule that it comes from. other_dts: what else the
    parameters could mean. time_constants: shortest and longest, in steps, or None. delays: likewise.
    conventions: how it would be read, and reset_reason why so; None where that cannot be told. in_loops: nodes that are
    on loops, or between two.
    notes: what is assumed, read otherwise than written, or approximate. refused: why the graph does not compile.
    """

    source: str
    nir_version: str
    types: dict[str, int]
    parameters: int
    neurons: int
    inputs: tuple[InputFacts, ...]
    outputs: dict[str, Shape]
    dt: float | None
    dt_reason: str
    other_dts: tuple[Candidate, ...]
    time_constants: tuple[float, float] | None
    delays: tuple[float, float] | None
    conventions: Conventions | None
    reset_reason: str
    in_loops: tuple[str, ...]
    notes: tuple[str, ...]
    refused: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything by name, as JSON has it."""
        return asdict(self)

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The same in words, a line for each thing."""
        types = ", ".join(f"{count} {kind}" for kind, count in self.types.items())
        written = f" (nir {self.nir_version})" if self.nir_version else ""
        yield f"{self.source}{written}: {types}; {self.neurons:,} neurons, {self.parameters:,} parameters"
        for port in self.inputs:
            yield f"input {port.name!r}: {port.shape}, {port.kind}{'' if port.declared else ' (not declared)'}"
        for name, shape in self.outputs.items():
            yield f"output {name!r}: {shape}"
        if self.dt is not None:
            yield f"time step {self.dt:g} ({self.dt_reason})"
        for candidate in self.other_dts:
            yield f"  or {candidate.dt:g}, if {candidate.reason}"
        if self.time_constants is not None:
            yield "time constants {:.4g} to {:.4g} steps".format(*self.time_constants)
        if self.delays is not None:
            yield "delays {:g} to {:g} steps".format(*self.delays)
        if self.conventions is not None:
            yield f"{self.conventions} (reset: {self.reset_reason})"
        if self.in_loops:
            yield f"loops through {', '.join(map(repr, self.in_loops))}"
        yield from (f"note: {note}" for note in self.notes)
        yield from (f"refused: {line}" for line in self.refused)
        if not self.refused:
            yield "nothing in it is refused"


def inspect(
    graph: Path | str | nir.NIRGraph,
    *,
    dt: float | None = None,
    reset: Resets | None = None,
    spikes: SpikesBy | None = None,
    integration: Integrations | None = None,
    gain: Gains | None = None,
    input_kind: InputKinds | None = None,
) -> Inspection:
    """Look at a NIR graph, or at the path of a `.nir` file, as `compile` would read it with these arguments.

    Raises:
        UserError: the file is none, or cannot be read at all. What only keeps a graph from compiling is in `refused`.
    """
    if isinstance(graph, nir.NIRGraph):
        stored, name, sha256 = Stored(graph, "", True), "graph", ""
    else:
        path = Path(graph)
        stored, name, sha256 = load(path), path.name, sha256_of(path)
    nodes, edges = flattened(stored.graph)
    asked = Asked(dt, reset, spikes, integration, gain, input_kind)
    source, refused = _read(stored, asked, name, sha256)
    changed: list[str] = []
    if source is not None:
        lowered, violations = _lowered(source)
        refused += violations
        changed = [] if lowered is None else list(rounded_decays(lowered))
    return Inspection(
        name,
        stored.version,
        dict(sorted(Counter(type(node).__name__ for node in nodes.values()).items())),
        sum(_sizes(nodes if source is None else source.nodes)),
        0 if source is None else sum(math.prod(source.shapes[n]) for n in source.of_kind("neuron", "readout")),
        () if source is None else _inputs(source),
        {} if source is None else {node: source.shapes[node] for node in source.of_kind("output")},
        None if source is None else source.dt,
        "" if source is None else source.dt_reason,
        () if source is None else source.other_dts,
        None if source is None else _in_steps(source, ("tau", "tau_mem", "tau_syn")),
        None if source is None else _in_steps(source, ("delay",)),
        None if source is None else source.conventions,
        "" if source is None else source.reset_reason,
        _in_loops(edges),
        () if source is None else (*source.notes, *changed),
        tuple(refused),
    )


def _read(stored: Stored, asked: Asked, name: str, sha256: str) -> tuple[NirSource | None, list[str]]:
    """The graph as it would be read, with the likeliest time step where none can be chosen, and what is wrong."""
    try:
        return with_inputs(from_stored(stored, asked, name, sha256), None), []
    except UndecidedStep as undecided:
        if not undecided.candidates:
            return None, list(undecided.violations)
        likely = replace(asked, dt=undecided.candidates[0].dt)
        source, refused = _read(stored, likely, name, sha256)
        return source, [*undecided.violations, *refused]
    except UserError as error:
        return None, list(error.violations)


def _lowered(source: NirSource) -> tuple[FloatNet | None, list[str]]:
    """The graph in model units, or why it is not lowered, as far as that does not depend on samples."""
    try:
        return BalanceDelays()(DiscretiseTime()(Fuse()(source))), []
    except UserError as error:
        return None, list(error.violations)


def _inputs(source: NirSource) -> tuple[InputFacts, ...]:
    return tuple(
        InputFacts(port.name, port.shape, _KINDS[port.value_class], port.name in source.declared_inputs)
        for port in source.inputs
    )


def _sizes(nodes: dict[str, Any]) -> Iterator[int]:
    """Number of values of each parameter."""
    for node in nodes.values():
        known = RULES[type(node)].sizes if type(node) in RULES else {}
        yield from (v.size for field, v in vars(node).items() if isinstance(v, np.ndarray) and field not in known)


def _in_steps(source: NirSource, fields: tuple[str, ...]) -> tuple[float, float] | None:
    """Smallest and largest of what stands in `fields` of all nodes, in time steps."""
    found = [getattr(node, field) for node in source.nodes.values() for field in fields if hasattr(node, field)]
    if not found:
        return None
    return float(min(a.min() for a in found)) / source.dt, float(max(a.max() for a in found)) / source.dt


def _in_loops(edges: list[tuple[str, str]]) -> tuple[str, ...]:
    """Nodes that are left when those are taken away, again and again, that nothing left feeds or that feed nothing."""
    left = {end for edge in edges for end in edge}
    while True:
        inside = [(a, b) for a, b in edges if a in left and b in left]
        kept = {a for a, _ in inside} & {b for _, b in inside}
        if kept == left:
            return tuple(sorted(left))
        left = kept
