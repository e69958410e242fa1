"""The float oracle: executes a NIR graph as NIR defines it, with dt and reset explicit.

Euler steps of the equations in nir's docstrings, in float32 like the model that was trained; each stands with its node
type in the table of `nodes`. State starts at zero for every sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.source import NirSource


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
    missing = [name for name in source.of_kind("input") if name not in inputs]
    if missing:
        raise UserError(f"{source.name}: no array for the inputs {missing}; the file must name them so")
    keep = frozenset(source.of_kind("neuron", "readout", "output")) if keep is None else keep
    emitted: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    membrane: dict[str, Tensor] = {}
    waiting = {name: sum(name in source.preds[node] for node in source.order) for name in source.order}
    for name in source.order:
        node, preds, rule = source.nodes[name], source.preds[name], rule_of(source.nodes[name])
        if rule.kind == "input":
            x = torch.from_numpy(np.asarray(inputs[name], dtype=np.float32))
        else:
            x = emitted[preds[0]]
            for pred in preds[1:]:
                x = x + emitted[pred]
        value, charged = rule.interpret(node, x, source.conventions)
        if name in keep:
            kept[name] = value
            if charged is not None:
                membrane[name] = charged
        emitted[name] = forced[name] if forced is not None and name in forced else value
        for pred in preds:
            waiting[pred] -= 1
            if waiting[pred] == 0:
                del emitted[pred]
    return Trace(kept, membrane)
