"""What the toolchain knows of one NIR node type: the form of an entry in the table of `nodes`.

A rule holds no state: the node, whose parameters it reads, is always handed in. Shapes and tensors have no room for a
batch and a time axis unless it is said.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.types import FloatArray, IntArray, Shape
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.ir import Reset, Spikes
from snnergy.neuromorphic.operators import Linear

Kind = Literal["input", "output", "neuron", "readout", "linear"]
# One time step of a node, `(N, …)` in and out: what it emits, and the membrane as in `Rule.interpret`.
Step = Callable[[Tensor], tuple[Tensor, Tensor | None]]


class Rule(ABC):
    """Of every node type.

    nir_type: the type. kind: its part in a network; a neuron spikes, a readout emits its membrane.
    time_constant: the field that holds the membrane's, or empty. learned: whether a foreign graph's numbers count as
    trained. ranks: number of axes of the fields for which it is fixed. sizes: fields that hold whole numbers, each with
    the smallest. positive: fields whose values lie above 0. unbounded: fields whose values may be infinite above. All
    others hold real numbers. elementwise: whether each parameter stands beside each element of the input, as
    `elementwise_shape` says.
    """

    nir_type: ClassVar[type]
    kind: ClassVar[Kind]
    time_constant: ClassVar[str] = ""
    learned: ClassVar[bool] = False
    ranks: ClassVar[Mapping[str, int]] = {}
    sizes: ClassVar[Mapping[str, int]] = {}
    positive: ClassVar[tuple[str, ...]] = ()
    unbounded: ClassVar[tuple[str, ...]] = ()
    elementwise: ClassVar[bool] = False

    @abstractmethod
    def output_shape(self, node: Any, shape: Shape | None) -> Shape:
        """What `node` emits for an input of `shape` (None where nothing leads to it).

        Raises:
            ValueError: the node does not take that shape.
        """

    def without_axes(self, node: Any, count: int) -> Any:
        """`node` for arrays short of `count` leading axes that it was written for; itself if that changes nothing."""
        return node

    def multiplications(self, node: Any, shape: Shape) -> int:
        """How many the node does for an input of `shape` in one time step, zeros included; neurons count none."""
        return 0

    @abstractmethod
    def interpret(self, node: Any, x: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor | None]:
        """The node as NIR defines it, in float32: what it emits for `x` over time, both `(N, T, …)`.

        The second is the membrane that a neuron compares with its threshold, before reset; None for all others.
        """

    def integrator(self, node: Any) -> Any | None:
        """The readout that a neuron is which can never fire; None for every other node."""
        return None

    def begin(self, node: Any, conventions: Conventions) -> Step:
        """The same step by step, from the start of a sample; a node without memory needs no state for it."""

        def step(x: Tensor) -> tuple[Tensor, Tensor | None]:
            value, charged = self.interpret(node, x[:, None], conventions)
            return value[:, 0], None if charged is None else charged[:, 0]

        return step

    def delay_steps(self, node: Any, dt: float) -> IntArray | None:
        """Whole steps by which the node delays each element; None for a node that is no delay."""
        return None

    def rounding(self, node: Any, dt: float) -> str:
        """What of the node whole time steps only nearly keep; empty where they keep everything."""
        return ""

    def is_late(self, node: Any, dt: float) -> bool:
        """Whether what the node emits in a step depends on no input of that step."""
        steps = self.delay_steps(node, dt)
        return steps is not None and bool(steps.min() > 0)


class LinearRule(Rule):
    """Of a node that can be fused into a synapse."""

    kind = "linear"

    @abstractmethod
    def operator(self, node: Any, shape: Shape) -> Linear | None:
        """The linear map on an input of `shape`, in float64; None where flat arrays pass unchanged."""

    def bias(self, node: Any) -> FloatArray | None:
        """What the node adds, in float64 and shaped to add to the operator's output."""
        return None


def by_steps(delays: IntArray) -> dict[int, Tensor]:
    """Where each of the numbers of steps stands in `delays`, by rising number."""
    return {int(d): torch.from_numpy(np.asarray(delays == d)) for d in np.unique(delays)}


def over_time(step: Step, x: Tensor, *, membranes: bool = True) -> tuple[Tensor, Tensor | None]:
    """`step` on each step of `x` `(N, T, *shape)`, of a node that emits the shape it is given."""
    value, membrane = torch.empty_like(x), None
    for t in range(x.shape[1]):
        value[:, t], charged = step(x[:, t])
        if membranes and charged is not None:
            membrane = torch.empty_like(x) if membrane is None else membrane
            membrane[:, t] = charged
    return value, membrane


@dataclass(frozen=True)
class Equation:
    """A population for a step of dt, as `FloatPopulation` has it.

    decay_u, decay_v: `(neurons,)`, or `(1,)` where all have the same. gain multiplies synaptic input and the constants
    that come with it, leak is a bias of the neuron's own, start the membrane before the first step; all three have the
    population's shape. threshold: None for a readout.
    """

    decay_u: FloatArray
    decay_v: FloatArray
    gain: FloatArray
    leak: FloatArray
    start: FloatArray
    threshold: float | None
    reset: Reset = "hard"
    spikes: Spikes = "one"


class PopulationRule(Rule):
    """Of a node that can become a population."""

    @abstractmethod
    def equation(self, node: Any, conventions: Conventions, shape: Shape) -> Equation:
        """The node's discretised equation.

        Raises:
            UserError: with every parameter that the chip's neuron cannot take.
        """


def given(shape: Shape | None) -> Shape:
    """`shape`, which must be there."""
    if shape is None:
        raise ValueError("has no input")
    return shape


def elementwise_shape(parameter: Any, shape: Shape | None) -> Shape:
    """Shape that a node emits whose parameters stand one beside each element, that of its input.

    A parameter may be short of it where that leaves no doubt: one number for all, one a channel with the other extents
    1, extents of 1 before it, or the same elements flat.
    """
    shape, own = given(shape), tuple(np.shape(parameter))
    size = math.prod(own)
    spread = len(own) == len(shape) and all(extent in (1, full) for extent, full in zip(own, shape, strict=True))
    alike = size == math.prod(shape) and (1 in (len(own), len(shape)) or own[len(own) - len(shape) :] == shape)
    if not (size == 1 or spread or alike):
        raise ValueError(f"parameters of shape {own} on an input of shape {shape}; give one an element, or one for all")
    return shape
