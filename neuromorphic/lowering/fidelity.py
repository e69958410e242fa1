"""The fidelity report: for each node, what lowering made of it and how far its spikes moved from the float model's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from snnergy.artefacts.files import written_whole
from snnergy.artefacts.records import Records
from snnergy.artefacts.samples import Samples
from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.limits import ALIGN_SHIFT
from snnergy.neuromorphic.passes.quantize import Calibration, QuantizeResult
from snnergy.neuromorphic.simulation import decode

Verdict = Literal["faithful", "approximate"]


@dataclass(frozen=True)
class NodeFidelity:
    """One population.

    scale: chip units for one model unit. weight_max: largest |mantissa|. saturated: weights clipped to 8 bits.
    own_error: fraction of calibration spikes that differ when the node is fed the float model's spikes (a readout:
        relative RMS error). agreement: fraction of equal spikes end to end, everything before it quantized as well
        (a readout: 1 − relative RMS error). Both None without calibration.
    wrapped, clipped: overflows of u and v met on calibration data.
    """

    node: str
    verdict: Verdict
    reason: str
    scale: float
    threshold: int | None
    weight_max: int
    saturated: int
    own_error: float | None
    agreement: float | None
    wrapped: int
    clipped: int


@dataclass(frozen=True)
class FidelityReport:
    """dt_reason: where the time step came from. readout: the output that predictions are taken from.

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

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write the report as JSON."""
        with written_whole(path, force=force) as scratch:
            scratch.write_text(json.dumps(asdict(self), indent=1))


def uncalibrated(result: QuantizeResult, dt: float, dt_reason: str, readout: str) -> FidelityReport:
    """The report of a network that was compiled without calibration samples."""
    nodes = tuple(_node(result, name, None, None) for name in result.populations)
    return FidelityReport(nodes, dt, dt_reason, 0, None, None, None, readout)


def measure(
    result: QuantizeResult,
    records: Records,
    calibration: Calibration,
    samples: Samples,
    dt: float,
    dt_reason: str,
    readout: str,
) -> FidelityReport:
    """Compare the emulated `records` of the calibration `samples` with the float activity, node by node."""
    nodes = tuple(
        _node(result, name, _agreement(result.net, name, records, calibration), records) for name in result.populations
    )
    quantized = decode.logits(result.net, records, readout)
    floating = _float_logits(result.net, calibration, readout)
    same = float((decode.predictions(quantized) == decode.predictions(floating)).mean())
    labels = samples.labels
    return FidelityReport(
        nodes,
        dt,
        dt_reason,
        len(samples),
        same,
        None if labels is None else decode.accuracy(floating, labels),
        None if labels is None else decode.accuracy(quantized, labels),
        readout,
    )


def _float_logits(net: QuantNet, calibration: Calibration, readout: str) -> FloatArray:
    value = calibration.values[readout]
    output = value.sum(1) if net.population(readout).spiking else value[:, -1]
    return np.asarray(output.double().numpy())


def _agreement(net: QuantNet, name: str, records: Records, calibration: Calibration) -> float:
    population, expected = net.population(name), calibration.values[name]
    if population.spiking:
        spikes = torch.from_numpy(records.values[name]).flatten(2)
        return float((spikes == expected).double().mean())
    membrane = torch.from_numpy(records.v[name]).flatten(2).double() / (population.scale * (1 << ALIGN_SHIFT))
    return 1.0 - float((membrane - expected).square().mean().sqrt() / expected.square().mean().sqrt().clamp_min(1e-12))


def _node(result: QuantizeResult, name: str, agreement: float | None, records: Records | None) -> NodeFidelity:
    quantized = result.populations[name]
    own_error = None if np.isnan(quantized.error) else quantized.error
    verdict, reason = _verdict(own_error, quantized.saturated)
    wrapped, clipped = records.overflows.get(name, (0, 0)) if records is not None else (0, 0)
    return NodeFidelity(
        name,
        verdict,
        reason,
        quantized.population.scale,
        quantized.population.vth if quantized.population.spiking else None,
        max((int(np.abs(s.operator.weight).max()) for s in quantized.synapses), default=0),
        quantized.saturated,
        own_error,
        agreement,
        wrapped,
        clipped,
    )


def _verdict(own_error: float | None, saturated: int) -> tuple[Verdict, str]:
    if own_error is None:
        return "approximate", "rounded to 8 bits; not measured, no calibration samples were given"
    if own_error == 0.0:
        return "faithful", "same spikes as the float node on every calibration sample"
    clipped = f", {saturated} weights clipped" if saturated else ""
    return "approximate", f"rounded to 8 bits{clipped}: {own_error:.2%} off on the float node's own input"
