"""Synapses laid out for the kernels: by source, in as few bits as their weights take, in the order of the nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix

from snnergy.artefacts.types import IntArray, Shape
from snnergy.neuromorphic.emulator.kernels import events
from snnergy.neuromorphic.emulator.layout import channels_last, meets, places
from snnergy.neuromorphic.ir import Conv2d, Dense, Pair, QuantSynapse
from snnergy.neuromorphic.taps import largest_row_sum, tap_positions, unrolled

Spikes = npt.NDArray[np.uint8]
_EXACT_FLOAT32 = 1 << 24


class Packed(Protocol):
    """The synapses of one operator."""

    @property
    def by_events(self) -> bool:
        """Whether `add_events` can be called with sums to add to."""
        ...

    @property
    def many(self) -> float:
        """Share of sources that spike in a step from which on a product costs less than events."""
        ...

    @property
    def heaviest(self) -> float:
        """The largest sum of |weight| of one target."""
        ...

    @property
    def reach(self) -> IntArray:
        """Synapses of each source, all and those of a weight other than zero, `(2, row)` as in `kernels.events`."""
        ...

    def add_events(self, spikes: Spikes, first: int, last: int, a_in: IntArray, at: int, counts: IntArray) -> None:
        """See `kernels.events`."""
        ...

    def product(self, rows: IntArray, largest: int) -> IntArray:
        """Sums for each row of integers, `(B, sources)` → `(B, targets)`, exact. largest: of the rows, in size."""
        ...


@dataclass(frozen=True, eq=False)
class Delivery:
    """Synapses of one delay. index: of the network's synapse that they belong to."""

    index: int
    source: str
    delay: int
    exponent: int
    packed: Packed


def deliveries(synapses: Sequence[QuantSynapse], target: str, channels: Mapping[str, int]) -> tuple[Delivery, ...]:
    """What leads to the population `target`."""
    return tuple(
        Delivery(index, synapse.source, synapse.delay + late, synapse.exponent, packed)
        for index, synapse in enumerate(synapses)
        if synapse.target == target
        for late, packed in _packed(synapse, channels)
    )


def _packed(synapse: QuantSynapse, channels: Mapping[str, int]) -> Iterator[tuple[int, Packed]]:
    """The synapses by the delay that they have of their own."""
    operator, ends = synapse.operator, (channels[synapse.source], channels[synapse.target])
    if isinstance(operator, Conv2d) and meets(synapse, channels):
        each = operator.groups == operator.input_shape[0] == operator.output_shape[0]
        yield 0, Channels(operator) if each else Kernel(operator)
    elif isinstance(operator, Dense) and operator.delays is None:
        yield 0, Matrix(channels_last(channels_last(operator.weight, ends[0]).T, ends[1]))
    else:
        one = unrolled(operator)
        targets = np.repeat(np.arange(len(one.row_starts) - 1), np.diff(one.row_starts))
        sizes = math.prod(operator.input_shape), math.prod(operator.output_shape)
        sources, targets = places(sizes[0], ends[0])[one.columns], places(sizes[1], ends[1])[targets]
        delays = np.zeros(one.weight.size, np.int32) if one.delays is None else one.delays
        for late in np.unique(delays):
            these = delays == late
            yield int(late), Scattered(one.weight[these], sources[these], targets[these], sizes)


def _narrow(weight: IntArray) -> IntArray:
    """In the fewest bits that hold each weight and its negative."""
    widest = np.abs(weight).max(initial=0)
    fitting = next(kind for kind in (np.int8, np.int16, np.int32) if widest <= np.iinfo(kind).max)
    return np.ascontiguousarray(weight, fitting)


class Matrix:
    """Dense synapses. weight `(sources, targets)`."""

    many = 0.4

    def __init__(self, weight: IntArray) -> None:
        self._targets = weight.shape[1]
        # Rows of whole vectors: what is left of a row would be added one by one.
        self._weight = _narrow(np.pad(weight, ((0, 0), (0, -self._targets % events.LANES))))
        self.reach = _pairs(np.full(len(weight), weight.shape[1]), np.count_nonzero(weight, axis=1))
        self._factors: dict[torch.dtype, torch.Tensor] = {}
        self.by_events = bool(np.abs(weight).max(initial=0) <= events.WIDEST)
        self.heaviest = float(np.abs(weight).sum(axis=0, dtype=np.float64).max(initial=0))

    def add_events(self, spikes: Spikes, first: int, last: int, a_in: IntArray, at: int, counts: IntArray) -> None:
        """See `Packed`."""
        events.through_matrix(spikes, first, last, self._weight, self.reach, a_in, at, counts)

    def product(self, rows: IntArray, largest: int) -> IntArray:
        """See `Packed`."""
        exact = _exact(self.heaviest * largest)
        if exact not in self._factors:
            self._factors[exact] = torch.from_numpy(self._weight[:, : self._targets]).to(exact)
        return np.asarray((torch.from_numpy(rows).to(exact) @ self._factors[exact]).numpy())


class Kernel:
    """A convolution between maps that lie channels last."""

    many: float

    def __init__(self, operator: Conv2d) -> None:
        weight, groups = operator.weight, operator.groups
        outputs, depth, *taps = weight.shape
        # (groups, targets of a group, depth, taps) → (source channels, taps in reverse, targets of a group)
        by_source = weight[:, :, ::-1, ::-1].reshape(groups, outputs // groups, depth, math.prod(taps))
        by_source = by_source.transpose(0, 2, 3, 1).reshape(groups * depth, math.prod(taps), outputs // groups)
        self._operator = operator
        self._weight = _narrow(by_source.reshape(groups * depth, -1))
        alive = np.count_nonzero(by_source, axis=2).reshape(-1, *taps)
        whole = (operator.stride, operator.padding, groups) == ((1, 1), (0, 0), 1)
        self._plain = whole and tuple(taps) == (1, 1)  # each pixel by itself: one product of matrices
        # torch 2.3.1 ends the process over a convolution with channels last, some windows of which see padding alone.
        spans = (extent * (count - 1) for extent, count in zip(operator.dilation, taps, strict=True))
        inside = all(margin <= span for margin, span in zip(operator.padding, spans, strict=True))
        self._format = torch.channels_last if inside else torch.contiguous_format
        self._kernels: dict[torch.dtype, torch.Tensor] = {}
        self.heaviest = largest_row_sum(operator, np.abs(weight))
        self.by_events = bool(np.abs(weight).max(initial=0) <= events.WIDEST)
        met = _met(
            weight.shape, operator.input_shape, operator.stride, operator.padding, operator.dilation, operator.groups
        )
        self._lines, self._columns, self._runs, self._starts = met.lines, met.columns, met.runs, met.starts
        # The more synapses a spike has, the less it costs to find it. Measured from 24 to 864 of them.
        self.many = 0.1 + self._weight.shape[1] / 1200
        every = np.full_like(alive, outputs // groups)
        self.reach = _pairs(met.reach(every), met.reach(alive))
        self._shape = (operator.input_shape[0], groups, outputs // groups)

    def add_events(self, spikes: Spikes, first: int, last: int, a_in: IntArray, at: int, counts: IntArray) -> None:
        """See `Packed`."""
        events.through_kernel(
            spikes, first, last, self._weight, self._lines, self._runs, self._starts, self._shape, self.reach,
            a_in, at, counts,
        )  # fmt: skip

    def product(self, rows: IntArray, largest: int) -> IntArray:
        """See `Packed`."""
        operator, exact = self._operator, _exact(self.heaviest * largest)
        if exact not in self._kernels:
            self._kernels[exact] = self._copied(torch.from_numpy(operator.weight), exact)
        channels, height, width = operator.input_shape
        if self._plain:
            pixels = torch.from_numpy(rows).to(exact).reshape(-1, channels)
            return np.asarray((pixels @ self._kernels[exact].flatten(1).T).reshape(len(rows), -1).numpy())
        maps = self._copied(torch.from_numpy(rows).reshape(-1, height, width, channels).permute(0, 3, 1, 2), exact)
        found = F.conv2d(
            maps, self._kernels[exact], None, operator.stride, operator.padding, operator.dilation, operator.groups
        )
        return np.asarray(found.permute(0, 2, 3, 1).reshape(len(rows), -1).numpy())

    def _copied(self, maps: torch.Tensor, exact: torch.dtype) -> torch.Tensor:
        # `contiguous` would keep the strides of channels last where an extent is 1.
        return torch.empty(maps.shape, dtype=exact, memory_format=self._format).copy_(maps)


class Channels(Kernel):
    """A convolution of each channel by itself: so few synapses that looking for spikes costs more than all of them."""

    def __init__(self, operator: Conv2d) -> None:
        super().__init__(operator)
        self.many = 1.0
        self._by_tap = np.ascontiguousarray(self._weight.T, np.int16)

    def add_events(self, spikes: Spikes, first: int, last: int, a_in: IntArray, at: int, counts: IntArray) -> None:
        """See `Packed`."""
        events.through_channels(
            spikes, first, last, self._by_tap, self._lines, self._columns, self.reach, a_in, at, counts
        )


@dataclass(frozen=True, eq=False)
class _Met:
    """Which outputs the taps of a convolution, in reverse, carry its inputs to: as `events` takes it.

    columns `(W, kW)`, lines `(H, kH)`: output column, and first target of the output row, -1 for none. runs, starts: as
    `_runs` has them.
    """

    lines: IntArray
    columns: IntArray
    runs: IntArray
    starts: IntArray

    def reach(self, taps: IntArray) -> IntArray:
        """How many synapses each input has, `(H, W, channels)`, from those of each tap `(channels, kH, kW)`."""
        rows, columns = (self.lines >= 0).astype(np.int64), (self.columns >= 0).astype(np.int64)
        return np.moveaxis(rows @ taps @ columns.T, 0, -1)


@lru_cache(maxsize=64)  # weights are exchanged more often than what they connect
def _met(kernel: Shape, inputs: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> _Met:
    operator = Conv2d(
        np.broadcast_to(np.int32(0), kernel), (inputs[0], inputs[1], inputs[2]), stride, padding, dilation, groups
    )
    rows, columns = _outputs_met(operator, 0), _outputs_met(operator, 1)
    outputs, _, width = operator.output_shape
    lines = np.where(rows >= 0, rows * outputs * width, -1).astype(np.int32)
    return _Met(lines, columns, *_runs(columns, outputs, outputs // groups))


def _outputs_met(operator: Conv2d, axis: int) -> IntArray:
    """Along one axis, the output that each tap, in reverse, carries an input position to, -1 for none:
    `(inputs, taps)` int32.
    """
    inside, positions = tap_positions(operator, axis)
    outputs, taps = np.nonzero(inside)
    found = np.full((operator.input_shape[1 + axis], inside.shape[1]), -1, np.int32)
    found[positions[inside], inside.shape[1] - 1 - taps] = outputs
    return found


def _runs(columns: IntArray, outputs: int, per_group: int) -> tuple[IntArray, IntArray]:
    """Neighbouring taps of a row whose targets are neighbours too, as `events.through_kernel` takes them.

    columns: which output each tap carries an input to, -1 for none, `(inputs, taps)`.
    """
    found: list[list[int]] = []
    starts = [0]
    for met in columns:
        for tap in np.flatnonzero(met >= 0):
            # Between targets of one group lie those of the others.
            if per_group == outputs and len(found) > starts[-1] and met[tap - 1] == met[tap] - 1 >= 0:
                found[-1][2] += per_group
            else:
                found.append([met[tap] * outputs, tap * per_group, per_group])
        starts.append(len(found))
    return np.array(found, np.int32).reshape(-1, 3), np.array(starts, np.int32)


class Scattered:
    """Synapses one by one: weight, source and target of each."""

    many = 0.2
    by_events = True

    def __init__(self, weight: IntArray, sources: IntArray, targets: IntArray, sizes: tuple[int, int]) -> None:
        order = np.argsort(sources, kind="stable")
        self._weight = weight[order].astype(np.int32)
        self._targets = targets[order].astype(np.int32)
        counts = np.bincount(sources, minlength=sizes[0])
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self.reach = _pairs(counts, np.bincount(sources[weight != 0], minlength=sizes[0]))
        self.heaviest = float(np.bincount(targets, np.abs(weight), sizes[1]).max(initial=0))
        self._matrix = csr_matrix((weight.astype(np.int64), (targets, sources)), sizes[::-1])

    def add_events(self, spikes: Spikes, first: int, last: int, a_in: IntArray, at: int, counts: IntArray) -> None:
        """See `Packed`."""
        events.through_synapses(
            spikes, first, last, self._weight, self._targets, self._starts, self.reach, a_in, at, counts
        )

    def product(self, rows: IntArray, largest: int) -> IntArray:
        """See `Packed`."""
        return np.asarray((self._matrix @ rows.T.astype(np.int64)).T)


def _exact(largest_sum: float) -> torch.dtype:
    """What holds sums of integers up to this exactly, in whatever order they are taken."""
    return torch.float32 if largest_sum < _EXACT_FLOAT32 else torch.float64


def _pairs(every: IntArray, alive: IntArray) -> IntArray:
    """As the kernels look them up, none for what fills up a row's last word."""
    found = np.zeros((2, -(-every.size // events.WORD) * events.WORD), np.int32)
    found[0, : every.size], found[1, : every.size] = every.reshape(-1), alive.reshape(-1)
    return found
