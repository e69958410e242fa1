"""The fidelity report: for each node, what lowering made of it and how far its spikes moved from the float model's."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.files import written_whole
from snnergy.artefacts.records import Records
from snnergy.artefacts.types import FloatArray, IntArray
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import QuantPopulation
from snnergy.neuromorphic.limits import ALIGN_SHIFT
from snnergy.neuromorphic.lowering import measures
from snnergy.neuromorphic.lowering.reference import ReferenceFidelity
from snnergy.neuromorphic.passes.calibration import Activity
from snnergy.neuromorphic.passes.quantize import QuantizeResult
from snnergy.neuromorphic.passes.rounding import Quantized
from snnergy.neuromorphic.simulation import decode

# Of a node on the calibration samples:
#   faithful     something fires, and end to end every spike is the float model's
#   approximate  something differs; the reason says how much
#   silent       it never fires, in float or on the chip: nothing to compare
#   unmeasured   there were no calibration samples
Verdict = Literal["faithful", "approximate", "silent", "unmeasured"]


@dataclass(frozen=True)
class NodeFidelity:
    """One population.

    scale: chip units for one model unit. weight_max: largest |mantissa|. saturated: weights and biases clipped.
    vanished: weights other than zero that rounded to 0.
    own_error: fraction of calibration spikes that differ when the node is fed the float model's spikes (a readout:
        relative RMS error). agreement: fraction of equal spikes end to end, everything before it quantized as well
        (a readout: 1 − relative RMS error). Both None without calibration.
    spikes_float, spikes_chip: spikes in all samples, end to end. overlap, distance: of the two recordings, as
        `lowering.measures` defines them; agreement counts silence, these do not. None of readouts and without
        calibration, overlap also where both are silent, distance where the float model is.
    wrapped, clipped: overflows of u and v met on calibration data.
    """

    node: str
    verdict: Verdict
    reason: str
    scale: float
    threshold: int | None
    weight_max: int
    saturated: int
    vanished: int
    own_error: float | None
    agreement: float | None
    spikes_float: int | None
    spikes_chip: int | None
    overlap: float | None
    distance: float | None
    wrapped: int
    clipped: int


@dataclass(frozen=True)
class FidelityReport:
    """dt_reason: where the time step came from. readout: the output that predictions are taken from. conventions: what
    a spike does, how many a step has, how time is stepped and inputs are weighed. bits: that a weight has.

    warnings: what must be known wherever a result of this network is shown, a line each.
    stock_obstacles: why stock netx cannot read the network as it is; empty where it can.
    reference: how far the framework's own output is, None where it was not given.
    The accuracies are None without labelled calibration samples.
    """

    nodes: tuple[NodeFidelity, ...]
    dt: float
    dt_reason: str
    samples: int
    same_prediction: float | None
    accuracy_float: float | None
    accuracy_quantized: float | None
    readout: str
    conventions: str
    bits: int = 8
    warnings: tuple[str, ...] = ()
    stock_obstacles: tuple[str, ...] = ()
    reference: ReferenceFidelity | None = None

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write the report as JSON."""
        with written_whole(path, force=force) as scratch:
            scratch.write_text(json.dumps(asdict(self), indent=1))


def uncalibrated(result: QuantizeResult, source: NirSource, readout: str) -> FidelityReport:
    """The report of a network that was compiled without calibration samples."""
    nodes = tuple(_node(quantized, _Seen(), result.bits) for quantized in result.populations.values())
    return FidelityReport(nodes, source.dt, source.dt_reason, 0, None, None, None, readout, source.read_as, result.bits)


class Measured:
    """What emulation and the float model have in common, collected batch by batch."""

    def __init__(self, result: QuantizeResult, readout: str) -> None:
        """Nothing yet. readout: the output that predictions are taken from."""
        self._result, self._readout = result, readout
        self._alike = {name: _Alike() for name in result.populations}
        self._floating: list[FloatArray] = []
        self._quantized: list[FloatArray] = []

    def add(self, records: Records, activity: Activity) -> None:
        """Compare the emulated `records` of some samples with the float `activity` on them, node by node."""
        net = self._result.net
        for name, q in self._result.populations.items():
            self._alike[name] += _Alike.of(q.population, records, activity[name])
        self._quantized.append(decode.logits(net, records, self._readout))
        spiking = net.population(self._readout).spiking
        self._floating.append(float_logits(activity[self._readout], spiking=spiking))

    def report(self, labels: IntArray | None, source: NirSource) -> FidelityReport:
        """Of all samples, which have these labels."""
        floating, quantized = np.concatenate(self._floating), np.concatenate(self._quantized)
        bits, populations = self._result.bits, self._result.populations
        same = float((decode.predictions(quantized) == decode.predictions(floating)).mean())
        return FidelityReport(
            tuple(_node(q, self._alike[name].seen(q.population), bits) for name, q in populations.items()),
            source.dt,
            source.dt_reason,
            len(floating),
            same,
            None if labels is None else decode.accuracy(floating, labels),
            None if labels is None else decode.accuracy(quantized, labels),
            self._readout,
            source.read_as,
            bits,
        )


def float_logits(value: Tensor, *, spiking: bool) -> FloatArray:
    """`(N, classes)` of what an output emitted in float, `(N, T, classes)`, as `decode.logits` has them of the chip."""
    output = value.sum(1, dtype=torch.float64) if spiking else value[:, -1]
    return np.asarray(output.double().numpy())


def emitted(population: QuantPopulation, records: Records) -> Tensor:
    """What a population emits, `(N, T, neurons)`: its spikes, or a readout's membrane in model units, float64."""
    if population.spiking:
        return torch.from_numpy(records.values[population.name]).flatten(2)
    return torch.from_numpy(records.v[population.name]).flatten(2).double() / (population.scale * (1 << ALIGN_SHIFT))


@dataclass(frozen=True)
class _Seen:
    """A population on the calibration samples, end to end; the fields are those of `NodeFidelity`."""

    agreement: float | None = None
    spikes_float: int | None = None
    spikes_chip: int | None = None
    overlap: float | None = None
    distance: float | None = None
    wrapped: int = 0
    clipped: int = 0


@dataclass(frozen=True)
class _Alike:
    """A population's sums over the samples so far. off, norm: of a readout, of squares; values: how many of them."""

    spikes: measures.Alike = measures.NOTHING
    off: float = 0.0
    norm: float = 0.0
    values: int = 0
    wrapped: int = 0
    clipped: int = 0

    @classmethod
    def of(cls, population: QuantPopulation, records: Records, expected: Tensor) -> _Alike:
        overflows, found = records.overflows.get(population.name, (0, 0)), emitted(population, records)
        if population.spiking:
            return cls(measures.Alike.of(found, expected), 0.0, 0.0, 0, *overflows)
        off, norm = float((found - expected).square().sum()), float(expected.double().square().sum())
        return cls(measures.NOTHING, off, norm, expected.numel(), *overflows)

    def __add__(self, other: _Alike) -> _Alike:
        return _Alike(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    def seen(self, population: QuantPopulation) -> _Seen:
        """What the report says of it."""
        if not population.spiking:
            agreement = 1.0 - math.sqrt(self.off / self.values) / max(math.sqrt(self.norm / self.values), 1e-12)
            return _Seen(agreement, wrapped=self.wrapped, clipped=self.clipped)
        both = self.spikes
        return _Seen(
            both.equal / both.values, int(both.b), int(both.a), both.overlap, both.distance, self.wrapped, self.clipped
        )


def _node(quantized: Quantized, seen: _Seen, bits: int) -> NodeFidelity:
    population = quantized.population
    own_error = None if np.isnan(quantized.error) else quantized.error
    verdict, reason = _verdict(quantized, own_error, seen, bits)
    return NodeFidelity(
        population.name,
        verdict,
        reason,
        population.scale,
        population.vth if population.spiking else None,
        max((int(np.abs(s.operator.weight).max(initial=0)) for s in quantized.synapses), default=0),
        quantized.saturated,
        quantized.vanished,
        own_error,
        **vars(seen),
    )


def _verdict(quantized: Quantized, own_error: float | None, seen: _Seen, bits: int) -> tuple[Verdict, str]:
    if own_error is None:
        return "unmeasured", f"rounded to {bits} bits; no calibration samples were given"
    if seen.spikes_float == seen.spikes_chip == 0:
        return "silent", "never fires on the calibration samples, in float or on the chip: nothing to compare"
    if seen.spikes_float and not seen.spikes_chip:
        return "approximate", f"never fires on the chip, {seen.spikes_float} times in float"
    clipped = f", {quantized.saturated} weights clipped" if quantized.saturated else ""
    own = f"rounded to {bits} bits{clipped}: {own_error:.2%} off on the float node's own input"
    if not quantized.population.spiking:
        same = own_error == 0.0 and seen.agreement == 1.0
        return ("faithful", "the membrane of the float node") if same else ("approximate", own)
    if seen.overlap == 1.0:
        return "faithful", f"each of {seen.spikes_float} spikes as in float, end to end"
    if own_error == 0.0:
        own = "keeps every spike on the float node's own input, which differs on the chip"
    return "approximate", f"{own}; end to end {seen.overlap or 0.0:.2%} of the spikes of either are in both"
