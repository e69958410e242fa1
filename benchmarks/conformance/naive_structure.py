"""What the second oracle knows of a graph before time starts: its flat nodes, shapes, order, back edges, taps.

Like `naive_oracle`, it shares no code with the toolchain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nir
import numpy as np

Shape = tuple[int, ...]
Tap = tuple[int, int, float]  # output, input, weight

NEURONS = (nir.LIF, nir.IF, nir.CubaLIF)
READOUTS = (nir.LI, nir.I, nir.CubaLI)


def flattened(graph: nir.NIRGraph, prefix: str = "") -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Nodes and edges with those of nested graphs in place, named `outer.inner`; their ports pass values on."""
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    enters: dict[str, str] = {}
    leaves: dict[str, str] = {}
    for name, node in graph.nodes.items():
        full = prefix + name
        if isinstance(node, nir.NIRGraph):
            inner_nodes, inner_edges = flattened(node, full + ".")
            nodes |= inner_nodes
            edges += inner_edges
            for inner, port in node.nodes.items():
                if isinstance(port, nir.Input):
                    enters[full] = f"{full}.{inner}"
                if isinstance(port, nir.Output):
                    leaves[full] = f"{full}.{inner}"
        else:
            nodes[full] = node
    for a, b in graph.edges:
        edges.append((leaves.get(prefix + a, prefix + a), enters.get(prefix + b, prefix + b)))
    return nodes, edges


def into(name: str, edges: Sequence[tuple[str, str]]) -> list[str]:
    """The nodes that feed `name`."""
    return [a for a, b in edges if b == name]


def shapes_of(nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> dict[str, Shape]:
    """What each node emits, found by going round until nothing more is found."""
    shapes: dict[str, Shape] = {}
    while True:
        before = len(shapes)
        for name, node in nodes.items():
            known = [shapes[a] for a in into(name, edges) if a in shapes]
            if name not in shapes and (known or not into(name, edges)):
                # A flat branch may join one in maps: the neuron's own parameters say which it is.
                shapes[name] = shape_of(node, max(known, key=len) if known else ())
        if len(shapes) == len(nodes):
            return shapes
        if len(shapes) == before:
            raise ValueError(f"no shape for {sorted(set(nodes) - set(shapes))}")


def shape_of(node: Any, entering: Shape) -> Shape:
    """What one node emits when that enters."""
    if isinstance(node, nir.Input) and not entering:
        return tuple(int(n) for n in node.input_type["input"])
    if isinstance(node, nir.Affine | nir.Linear):
        return (len(node.weight),)
    if isinstance(node, nir.Conv1d):
        kernel, stride, dilation = node.weight.shape[2], _two(node.stride)[0], _two(node.dilation)[0]
        before, after = _padding(node.padding, (kernel,), (dilation,))[0]
        return (len(node.weight), (entering[1] + before + after - dilation * (kernel - 1) - 1) // stride + 1)
    if isinstance(node, nir.Conv2d | nir.SumPool2d | nir.AvgPool2d):
        convolving = isinstance(node, nir.Conv2d)
        kernels = node.weight.shape[2:] if convolving else _two(node.kernel_size)
        dilations = _two(node.dilation) if convolving else (1, 1)
        paddings, strides = _padding(node.padding, kernels, dilations), _two(node.stride)
        sides = [
            (entering[1 + i] + sum(paddings[i]) - dilations[i] * (kernels[i] - 1) - 1) // strides[i] + 1 for i in (0, 1)
        ]
        return (len(node.weight) if convolving else entering[0], *sides)
    if isinstance(node, nir.Flatten):
        start, end = (int(d) % len(entering) for d in (node.start_dim, node.end_dim))
        return (*entering[:start], math.prod(entering[start : end + 1]), *entering[end + 1 :])
    own = np.shape(getattr(node, "v_threshold", getattr(node, "r", getattr(node, "delay", getattr(node, "scale", ())))))
    fits = math.prod(own) == math.prod(entering) and len(own) > 0
    return own if fits and own != (1,) else entering  # one number for all has no shape to tell


def _two(value: Any) -> tuple[int, int]:
    flat = [int(x) for x in np.atleast_1d(value)]
    return flat[0], flat[-1]


def _padding(padding: Any, kernels: Sequence[int], dilations: Sequence[int]) -> list[tuple[int, int]]:
    """Before and after on each axis; what is left of an odd 'same' comes after, as in PyTorch."""
    if isinstance(padding, str):
        if padding == "valid":
            return [(0, 0)] * len(kernels)
        spans = [d * (k - 1) for k, d in zip(kernels, dilations, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    return [(p, p) for p in _two(padding)[: len(kernels)]] if len(kernels) > 1 else [(_two(padding)[0],) * 2]


def _breaks(node: Any, dt: float) -> bool:
    """Whether it holds everything back for a step at least."""
    return isinstance(node, nir.Delay) and bool((np.rint(np.asarray(node.delay) / dt) >= 1).all())


def back_edges(nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]], dt: float) -> set[tuple[str, str]]:
    """The edges that close a loop which no Delay breaks: what they carry arrives one step later.

    Of the nodes on such a loop, the one nearest to an input, then first by name: from it back through the loop's nodes
    without memory to its neurons, and the edges by which these leave on that way are back edges. Then the loops that
    are left.
    """
    late: set[tuple[str, str]] = set()
    distance = _distances(nodes, edges)
    while True:
        present = [(a, b) for a, b in edges if (a, b) not in late and not _breaks(nodes[b], dt)]
        reached = {name: _reached(name, present) for name in nodes}
        looping = [name for name in nodes if name in reached[name]]
        if not looping:
            return late
        first = min(looping, key=lambda name: (distance[name], name))
        loop = {name for name in looping if name in reached[first] and first in reached[name]}
        late |= _closing(first, nodes, [(a, b) for a, b in present if a in loop and b in loop])


def _reached(start: str, edges: Sequence[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        at = ahead.pop()
        for a, b in edges:
            if a == at and b not in found:
                found.add(b)
                ahead.append(b)
    return found


def _distances(nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Edges from the nearest input."""
    found = {name: 0 for name in nodes if not into(name, edges)}
    for length in range(1, len(nodes) + 1):
        for a, b in edges:
            if found.get(a) == length - 1:
                found.setdefault(b, length)
    return found


def _closing(first: str, nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    ahead = [first]
    while ahead:
        at = ahead.pop()
        if at in seen:
            continue
        seen.add(at)
        for a, b in edges:
            if b == at and isinstance(nodes[a], (*NEURONS, *READOUTS, nir.Threshold)):
                found.add((a, b))
            elif b == at:
                ahead.append(a)
    if not found:
        raise ValueError(f"the loop through {first!r} has no neuron")
    return found


def order_of(
    nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]], late: set[tuple[str, str]], dt: float
) -> list[str]:
    """Each node behind what it needs in the same step."""
    order: list[str] = []
    while len(order) < len(nodes):
        for name, node in nodes.items():
            waiting = [] if _breaks(node, dt) else [a for a, b in edges if b == name and (a, b) not in late]
            if name not in order and all(a in order for a in waiting):
                order.append(name)
                break
        else:
            raise ValueError("a loop is left")
    return order


def taps_of(node: Any, entering: Shape, leaving: Shape) -> list[Tap]:
    """Every product of a linear node, as flat places of what leaves and of what enters."""
    if isinstance(node, nir.Affine | nir.Linear):
        return [(o, i, float(node.weight[o, i])) for o, i in np.ndindex(*node.weight.shape)]
    if isinstance(node, nir.Conv1d):
        weight = node.weight[:, :, None, :]
        before, _ = _padding(node.padding, (weight.shape[3],), (_two(node.dilation)[0],))[0]
        return _convolution(
            lambda o, i, _y, x: float(weight[o, i, 0, x]), weight.shape, (entering[0], 1, entering[1]),
            (leaving[0], 1, leaving[1]), (1, _two(node.stride)[0]), (0, before), (1, _two(node.dilation)[0]),
            int(node.groups),
        )  # fmt: skip
    if isinstance(node, nir.Conv2d):
        (top, _), (left, _) = _padding(node.padding, node.weight.shape[2:], _two(node.dilation))
        return _convolution(
            lambda o, i, y, x: float(node.weight[o, i, y, x]), node.weight.shape, entering, leaving,
            _two(node.stride), (top, left), _two(node.dilation), int(node.groups),
        )  # fmt: skip
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        height, width = _two(node.kernel_size)
        value = 1.0 if isinstance(node, nir.SumPool2d) else 1 / (height * width)
        channels = entering[0]
        return _convolution(
            lambda _o, _i, _y, _x: value, (channels, 1, height, width), entering, leaving,
            _two(node.stride), _two(node.padding), (1, 1), channels,
        )  # fmt: skip
    raise TypeError(type(node).__name__)


def _convolution(
    weight: Callable[[int, int, int, int], float],
    extents: Shape,
    entering: Shape,
    leaving: Shape,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> list[Tap]:
    taps = []
    outputs, inputs_of_group, height, width = extents
    for o, i, ky, kx in np.ndindex(outputs, inputs_of_group, height, width):
        channel = o // (outputs // groups) * inputs_of_group + i
        for y in range(leaving[1]):
            for x in range(leaving[2]):
                from_y = y * stride[0] + ky * dilation[0] - padding[0]
                from_x = x * stride[1] + kx * dilation[1] - padding[1]
                if 0 <= from_y < entering[1] and 0 <= from_x < entering[2]:
                    taps.append(
                        (
                            (o * leaving[1] + y) * leaving[2] + x,
                            (channel * entering[1] + from_y) * entering[2] + from_x,
                            weight(o, i, ky, kx),
                        )
                    )
    return taps
