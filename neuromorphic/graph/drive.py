"""Whether a network can be alive at all: the hardest drive that every neuron could ever get, for some steps.

It is an upper bound, for a network that is dead under it is dead: every input on in each step, every neuron firing in
each step, and every weight and bias as if it were positive.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from snnergy.artefacts.types import FloatArray, Shape
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.layout import Layout
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.graph.nodes.rule import LinearRule

# Samples of trained networks have 4 to some 100 steps: a neuron that needs more than this of all that it can get, to
# fire once, is dead in practice.
_STEPS = 16


def silent(layout: Layout, magnitudes: Mapping[str, float], conventions: Conventions) -> list[str]:
    """Names of the neurons that cannot fire within 16 steps from the start, in order.

    Args:
        magnitudes: largest value of each input.
    """
    drives = _drives(layout, magnitudes)
    return [
        name
        for name in layout.order
        if rule_of(layout.nodes[name]).kind == "neuron"
        and not _fires(layout.nodes[name], drives[name], conventions.of(name))
    ]


def _fires(node: Any, drive: FloatArray, conventions: Conventions) -> bool:
    step = rule_of(node).begin(node, conventions)
    current = torch.from_numpy(drive.astype(np.float32))[None]
    return any(bool(step(current)[0].any()) for _ in range(_STEPS))


def _drives(layout: Layout, magnitudes: Mapping[str, float]) -> dict[str, FloatArray]:
    """What reaches each neuron at most."""
    sent: dict[str, FloatArray] = {}
    drives: dict[str, FloatArray] = {}
    for name in layout.order:
        node, rule = layout.nodes[name], rule_of(layout.nodes[name])
        if rule.kind == "input":
            sent[name] = np.full(layout.shapes[name], magnitudes[name])
            continue
        # What stands behind the node can feed it as well, in a loop: no more than a spike.
        x = np.sum([sent.get(pred, np.ones(layout.shapes[pred])) for pred in layout.preds[name]], axis=0)
        if isinstance(rule, LinearRule):
            sent[name] = _through(rule, node, x, layout.shapes[name])
        else:
            drives[name] = x
            sent[name] = np.ones(layout.shapes[name])
    return drives


def _through(rule: LinearRule, node: Any, x: FloatArray, shape: Shape) -> FloatArray:
    positive = copy.copy(node)
    for field in ("weight", "bias", "scale"):
        if hasattr(node, field):
            setattr(positive, field, np.abs(getattr(node, field)))
    operator, bias = rule.operator(positive, x.shape), rule.bias(positive)
    x = x if operator is None else operators.apply(operator, x)
    return np.asarray(x if bias is None else x + bias).reshape(shape)
