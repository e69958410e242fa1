"""How far float32 rounding can move a membrane: the sum of the magnitudes that were added up to make it.

Two orders of the same float32 sum of n terms x differ by at most about 2 n u · Σ|x|, u = 2⁻²⁴, and by about √n u · Σ|x|
where the errors are independent (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 4.2). So Σ|x|
is the scale of the error; the membrane is not, because terms cancel, nor is the threshold. The graph itself computes
it: weights, biases, gains and inputs replaced by their magnitudes, and no reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import nir
import numpy as np
from torch import Tensor

from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.source import NirSource


def magnitude(source: NirSource, name: str, values: Mapping[str, Tensor]) -> Tensor:
    """Sum of the magnitudes behind the membrane of a neuron node, or behind the value of a readout or output.

    Args:
        source: the graph.
        name: of the node.
        values: what every input and every population emits, `(N, T, *shape)`.

    Returns:
        `(N, T, *shape of the node)`, not negative.
    """
    between = set(_upstream(source, name, values))
    feeding = {pred for node in between for pred in source.preds[node]} - between
    nodes = {node: _magnitudes(source.nodes[node]) for node in between}
    nodes |= {node: nir.Input(np.array(source.shapes[node])) for node in feeding}
    cone = replace(
        source,
        nodes=nodes,
        order=tuple(node for node in source.order if node in nodes),
        preds={node: source.preds[node] if node in between else () for node in nodes},
    )
    trace = interpret(cone, {node: values[node].abs().numpy() for node in feeding}, keep=frozenset({name}))
    return trace.membrane.get(name, trace.values[name])


def _upstream(source: NirSource, name: str, values: Mapping[str, Tensor]) -> Iterator[str]:
    """`name`, and the nodes on the way into it from those that have values."""
    yield name
    for pred in source.preds[name]:
        if pred not in values:
            yield from _upstream(source, pred, values)


def _magnitudes(node: nir.NIRNode) -> nir.NIRNode:
    if isinstance(node, nir.Conv2d | nir.Affine):
        return replace(node, weight=np.abs(node.weight), bias=np.abs(node.bias))
    if isinstance(node, nir.Scale):
        return replace(node, scale=np.abs(node.scale))
    if isinstance(node, nir.LIF):  # a reset forgets its error too; without one this is an upper bound
        return replace(node, v_threshold=np.full_like(node.v_threshold, np.inf))
    return node
