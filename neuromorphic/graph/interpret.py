"""The float oracle: executes a NIR graph as NIR defines it, with dt and reset explicit.

Steps of the equations in nir's docstrings, in float32 like the model that was trained; each stands with its node type
in the table of `nodes`. State starts at zero for every sample.

A node that is in no loop handles all time steps at once. The nodes of a loop go step by step together: each takes what
its predecessors emitted in this step, over a back edge what they emitted in the step before, at first 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import by_steps, over_time
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.loops import groups, is_loop

# Name of a node, what it emits over time, and its membrane as in `Rule.interpret`.
Emission = tuple[str, Tensor, Tensor | None]


@dataclass(frozen=True)
class Trace:
    """values: what each node emits, `(N, T, *shape)` (a readout emits its membrane).
    membrane: of each spiking neuron node, the value that was compared with the threshold.
    """

    values: dict[str, Tensor]
    membrane: dict[str, Tensor]


def interpret(
    source: NirSource,
    inputs: dict[str, FloatArray],
    *,
    forced: dict[str, Tensor] | None = None,
    keep: frozenset[str] | None = None,
) -> Trace:
    """Run `source` on `inputs`, each `(N, T, *shape)`.

    Args:
        forced: values `(N, T, *shape)` that the successors of these nodes receive instead of what the node itself
            emitted, so that each node can be checked on its own.
        keep: names whose values and membranes are returned; None keeps those of all neurons, readouts and outputs.
    """
    keep = frozenset(source.of_kind("neuron", "readout", "output")) if keep is None else keep
    kept: dict[str, Tensor] = {}
    membrane: dict[str, Tensor] = {}
    for name, value, charged in emissions(source, inputs, forced=forced):
        if name in keep:
            kept[name] = value
            if charged is not None:
                membrane[name] = charged
    return Trace(kept, membrane)


def emissions(
    source: NirSource,
    inputs: dict[str, FloatArray],
    *,
    forced: dict[str, Tensor] | None = None,
    membranes: bool = True,
) -> Iterator[Emission]:
    """Every node as soon as it has run, for whoever keeps less of it than `interpret`, whose arguments these are.

    Args:
        membranes: whether they are wanted; neurons outside loops come without them otherwise, and sooner.
    """
    missing = [name for name in source.of_kind("input") if name not in inputs]
    if missing:
        raise UserError(f"{source.name}: no array for the inputs {missing}; the file must name them so")
    forced = {} if forced is None else forced
    emitted: dict[str, Tensor] = {}
    waiting = {name: sum(name in source.preds[node] for node in source.order) for name in source.order}
    for group in groups(source.order, source.preds):
        for name, value, charged in _run(source, group, inputs, emitted, forced, membranes):
            yield name, value, charged
            emitted[name] = forced.get(name, value)
        for pred in (pred for name in group for pred in source.preds[name]):
            waiting[pred] -= 1
            if waiting[pred] == 0:
                del emitted[pred]


def _run(
    source: NirSource,
    group: tuple[str, ...],
    inputs: dict[str, FloatArray],
    emitted: dict[str, Tensor],
    forced: dict[str, Tensor],
    membranes: bool,
) -> Iterator[Emission]:
    """The members of `group` on what has been emitted before them."""
    if is_loop(group, source.preds):
        yield from _loop(source, group, emitted, forced)
        return
    (name,) = group
    rule = rule_of(source.nodes[name])
    if rule.kind == "input":
        x = torch.from_numpy(np.asarray(inputs[name], dtype=np.float32))
    else:
        x = _sum([emitted[pred] for pred in source.preds[name]])
    node, conventions = source.nodes[name], source.conventions.of(name)
    if membranes or rule.kind not in ("neuron", "readout"):
        yield name, *rule.interpret(node, x, conventions)
    else:
        yield name, *over_time(rule.begin(node, conventions), x, membranes=False)


def _sum(values: list[Tensor]) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _loop(
    source: NirSource, group: tuple[str, ...], emitted: dict[str, Tensor], forced: dict[str, Tensor]
) -> Iterator[Emission]:
    """The members of a loop, step by step."""
    rules = {name: rule_of(source.nodes[name]) for name in group}
    steps = {name: rule.begin(source.nodes[name], source.conventions.of(name)) for name, rule in rules.items()}
    # Of each node that emits before its input of the present step is known: a Delay.
    delays = {
        name: by_steps(np.asarray(rule.delay_steps(source.nodes[name], source.dt)))
        for name, rule in rules.items()
        if rule.is_late(source.nodes[name], source.dt)
    }
    values: dict[str, list[Tensor]] = {name: [] for name in group}
    charges: dict[str, list[Tensor]] = {name: [] for name in group}
    outside = next(emitted[pred] for name in group for pred in source.preds[name] if pred not in values)
    samples, count = outside.shape[:2]

    def entering(name: str, t: int) -> Tensor:
        return _sum([arriving(pred, name, t) for pred in source.preds[name]])

    def arriving(pred: str, name: str, t: int) -> Tensor:
        sent = t - 1 if (pred, name) in source.back else t
        if sent < 0:
            return torch.zeros(samples, *source.shapes[pred])
        if pred not in values:
            return emitted[pred][:, sent]
        return forced[pred][:, sent] if pred in forced else values[pred][sent]

    def late(name: str, t: int) -> Tensor:
        out = torch.zeros(samples, *source.shapes[name])
        for d, where in delays[name].items():
            out = torch.where(where, entering(name, t - d), out) if d <= t else out
        return out

    for t in range(count):
        for name in group:
            value, charged = (late(name, t), None) if name in delays else steps[name](entering(name, t))
            values[name].append(value)
            if charged is not None:
                charges[name].append(charged)
    for name in group:
        yield name, torch.stack(values[name], 1), torch.stack(charges[name], 1) if charges[name] else None
