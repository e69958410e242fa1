"""The two networks that lowering knows: `FloatNet` in model units and `QuantNet` in chip integers.

Both are frozen graphs of *populations* (neurons that share one equation) joined by *synapses* (one linear
operator from one source to one population). They are different types on purpose: a value is either a
float of the model or an integer of the chip, and `passes/quantize.py` is the only step from one to the other.

Time is logical: every population handles time step `t` of a sample at step `t`. What a pipeline adds
on a chip is kept apart, in the fields `depth` of populations and `balance` of synapses.

Populations stand in an order in which they can be computed: a synapse whose source is its target, or stands behind it,
closes a loop and is late by one logical step at least.

Everything here compares by value (`ByValue`): two networks are equal where their structure and all their numbers are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.types import FloatArray, IntArray, Labels, Shape, ValueClass

Pair = tuple[int, int]
# After a spike: v = 0, or v less the threshold for each spike; at once, or in the next step after charging.
Reset = Literal["hard", "soft", "late-hard", "late-soft"]
Spikes = Literal["one", "many"]  # in a step: at most one, or as many as the threshold fits into v, as one graded spike
RESETS: tuple[Reset, ...] = get_args(Reset)
SPIKES: tuple[Spikes, ...] = get_args(Spikes)


def subtracts(reset: Reset) -> bool:
    """Whether a spike takes the threshold off, and does not clear the membrane."""
    return reset in ("soft", "late-soft")


def is_late(reset: Reset) -> bool:
    """Whether a spike acts on the membrane of the next step."""
    return reset in ("late-hard", "late-soft")


class ByValue:
    """Equality of dataclasses that hold arrays, directly or in a field: same class, and equal values in every field.

    Arrays are equal where their shape and all elements are. How a number is stored does not count: a bias of 3 is the
    same bias in int32 and in float64. Nothing of this is hashable, since an array can change.
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return all(_same(vars(self)[name], vars(other)[name]) for name in names)


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return bool(a == b)


@dataclass(frozen=True, eq=False)
class Conv2d(ByValue):
    """Cross-correlation as in PyTorch. Arrays are read and written flat, C-ordered.

    weight `(O, I / groups, kH, kW)`, input `(I, H, W)`, output `(O, H', W')`.
    """

    weight: npt.NDArray[Any]
    input_shape: tuple[int, int, int]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """`(O, H', W')`."""
        spans = (self.dilation[i] * (self.weight.shape[2 + i] - 1) + 1 for i in (0, 1))
        height, width = (
            (self.input_shape[1 + i] + 2 * self.padding[i] - span) // self.stride[i] + 1 for i, span in enumerate(spans)
        )
        return (self.weight.shape[0], height, width)

    @property
    def delays(self) -> None:
        """None: all synapses of a convolution are equally late."""

    @property
    def is_diagonal(self) -> bool:
        """Whether it multiplies each channel by one number and nothing else: 1×1, a group for each channel."""
        channels = self.input_shape[0]
        plain = self.stride == (1, 1) and self.padding == (0, 0)
        return plain and self.groups == channels and self.weight.shape == (channels, 1, 1, 1)


@dataclass(frozen=True, eq=False)
class Dense(ByValue):
    """Matrix product on the flattened source. weight `(out, in)`.

    delays: extra time steps of each synapse, `(out, in)`, or None where there are none.
    """

    weight: npt.NDArray[Any]
    delays: IntArray | None = None

    @property
    def input_shape(self) -> Shape:
        """`(in,)`."""
        return (self.weight.shape[1],)

    @property
    def output_shape(self) -> Shape:
        """`(out,)`."""
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class Sparse(ByValue):
    """The synapses of a linear map that is neither dense nor a convolution, target by target (CSR).

    weight: of each synapse, `(synapses,)`; one of weight zero is a synapse all the same.
    columns: flat index of its source, rising for each target, `(synapses,)` int32.
    row_starts: where each target's synapses begin, and their number, `(targets + 1,)` int64.
    delays: extra time steps of each synapse, `(synapses,)`, or None where there are none.
    """

    weight: npt.NDArray[Any]
    columns: IntArray
    row_starts: IntArray
    input_shape: Shape
    output_shape: Shape
    delays: IntArray | None = None


Operator = Conv2d | Dense | Sparse


def soonest(synapse: FloatSynapse | QuantSynapse) -> int:
    """Logical steps after which the first of a synapse's targets is met."""
    delays = synapse.operator.delays
    return synapse.delay + (int(delays.min()) if delays is not None and delays.size else 0)


@dataclass(frozen=True)
class InputPort:
    """One input of the network.

    scale: real value of one integer step: the chip receives `round(x / scale)`.
    bits: width of the integer payload; 1 means a binary spike train.
    signed: whether negative integers may be sent.
    """

    name: str
    shape: Shape
    value_class: ValueClass
    scale: float = 1.0
    bits: int = 1
    signed: bool = False


def _flatten(population: object, dtype: npt.DTypeLike, *names: str) -> None:
    for name in names:  # assigned once, before anyone has seen the record
        object.__setattr__(population, name, np.asarray(getattr(population, name), dtype).reshape(-1))


@dataclass(frozen=True, eq=False)
class FloatPopulation(ByValue):
    """u[t] = (1 − decay_u)·u[t−1] + I[t];  v[t] = (1 − decay_v)·v[t−1] + u[t] + bias;
    n spikes where v > threshold: n = 1, or with `spikes` many n = floor(v / threshold), sent as one spike of value n;
    then v = 0, or with `reset` soft v = v − n·threshold. A late reset leaves v as it is, and does the same to the v of
    the next step, once it is charged and before it is compared.

    decay_u, decay_v: flattened `shape` or size 1 (a number is taken for the latter).
    threshold: None for a readout, which integrates and never fires.
    bias: scalar or an array that broadcasts to `shape`.
    depth: as in `QuantPopulation`; 0 until delays are balanced.

    A population that no synapse leads to is a source: what it does follows from its bias alone.
    """

    name: str
    shape: Shape
    decay_u: FloatArray
    decay_v: FloatArray
    threshold: float | None
    bias: FloatArray
    labels: Labels = field(default_factory=Labels)
    depth: int = 0
    reset: Reset = "hard"
    spikes: Spikes = "one"

    def __post_init__(self) -> None:
        _flatten(self, np.float64, "decay_u", "decay_v")

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def stock(self) -> bool:
        """As `QuantPopulation.stock`."""
        return self.reset == "hard" and self.spikes == "one"

    @property
    def counts_thresholds(self) -> bool:
        """As `QuantPopulation.counts_thresholds`."""
        return subtracts(self.reset) or self.spikes == "many"


@dataclass(frozen=True, eq=False)
class FloatSynapse(ByValue):
    """One linear operator from `source` (a population or an input) to the population `target`.

    delay: logical time steps. origin: NIR nodes that were fused into the operator, in order.
    learned: whether the weights were trained; False for wiring such as identities, pools and channel sums.
    macs: multiplications of the learned nodes among them, were each computed by itself, borders included; None where
        that is not known.
    balance: as in `QuantSynapse`; 0 until delays are balanced.
    """

    source: str
    target: str
    operator: Operator
    delay: int = 0
    origin: tuple[str, ...] = ()
    learned: bool = True
    balance: int = 0
    macs: int | None = None


@dataclass(frozen=True, eq=False)
class FloatNet(ByValue):
    """A network in model units. outputs: names of populations."""

    inputs: tuple[InputPort, ...]
    populations: tuple[FloatPopulation, ...]
    synapses: tuple[FloatSynapse, ...]
    outputs: tuple[str, ...]  # population names


@dataclass(frozen=True, eq=False)
class QuantPopulation(ByValue):
    """A population in Loihi's fixed point; `fixed_point.py` holds the equation.

    du: current decay as netx's `iDecay` (1..4096); Lava's own `du` is one less. dv: membrane decay (0..4096). Both
        flattened `shape` or size 1 (a number is taken for the latter).
    vth: threshold mantissa (0..131071), compared as `v > vth << 6`.
    bias: mantissa, flattened `shape` or size 1; added as `bias << 6`.
    spiking: False for a readout; its vth is the largest there is and must never be crossed.
    scale: chip units (before the shift by 6) for one unit of the float model.
    depth: the pipeline step of logical t is t + depth (see `passes/balance_delays.py`).
    reset, spikes: as in `FloatPopulation`; other than hard and one, they need Loihi 2.
    """

    name: str
    shape: Shape
    du: IntArray
    dv: IntArray
    vth: int
    bias: IntArray
    spiking: bool
    scale: float
    depth: int
    labels: Labels = field(default_factory=Labels)
    reset: Reset = "hard"
    spikes: Spikes = "one"

    def __post_init__(self) -> None:
        _flatten(self, np.int32, "du", "dv")

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def stock(self) -> bool:
        """Whether its neurons are Loihi 1's and Lava's own: one spike a step, after which v is 0."""
        return self.reset == "hard" and self.spikes == "one"

    @property
    def counts_thresholds(self) -> bool:
        """Whether the threshold is taken off the membrane, or counted in it: its rounding would add up."""
        return subtracts(self.reset) or self.spikes == "many"

    @property
    def spike_type(self) -> npt.DTypeLike:
        """What holds its spikes of a step: a byte, or a count of up to 17 bits."""
        return np.uint8 if self.spikes == "one" else np.int32


@dataclass(frozen=True, eq=False)
class QuantSynapse(ByValue):
    """8-bit weights from `source` to `target` with one exponent: adds `(Σ mantissa·x) · 2^exponent`, rounded down.

    operator.weight: int32 mantissas in −127..127 (a stock lava-dl file may hold −256..255).
    exponent: −8..7. A negative one shifts the whole sum right; synapses with delays of their own have none such.
    delay: logical steps (uniform; per-synapse delays sit in the operator).
    balance: extra pipeline steps that make this branch arrive with the longest one; 0 in logical time. In a loop it may
        be negative, down to what the synapse is late anyway.
    origin, learned, macs: as in `FloatSynapse`.
    """

    source: str
    target: str
    operator: Operator
    exponent: int = 0
    delay: int = 0
    balance: int = 0
    origin: tuple[str, ...] = ()
    learned: bool = True
    macs: int | None = None


@dataclass(frozen=True, eq=False)
class QuantNet(ByValue):
    """An integer network.

    reset: whether state (u, v and spikes on their way) is cleared at the start of each sample; otherwise N samples of
        T steps are one stream of N·T steps.
    provenance: plain strings (source file, its hash, versions, calibration) for reports.
    """

    inputs: tuple[InputPort, ...]
    populations: tuple[QuantPopulation, ...]
    synapses: tuple[QuantSynapse, ...]
    outputs: tuple[str, ...]
    reset: bool = True
    provenance: dict[str, str] = field(default_factory=dict)

    def population(self, name: str) -> QuantPopulation:
        """The population called `name`."""
        return self._by_name[name]

    def incoming(self, name: str) -> tuple[QuantSynapse, ...]:
        """The synapses into the population `name`."""
        return tuple(self._by_target.get(name, ()))

    def preds(self) -> dict[str, list[str]]:
        """The sources of each population's synapses."""
        return {p.name: [s.source for s in self.incoming(p.name)] for p in self.populations}

    @cached_property
    def _by_name(self) -> dict[str, QuantPopulation]:
        return {population.name: population for population in self.populations}

    @cached_property
    def _by_target(self) -> dict[str, list[QuantSynapse]]:
        found: dict[str, list[QuantSynapse]] = {}
        for synapse in self.synapses:
            found.setdefault(synapse.target, []).append(synapse)
        return found
