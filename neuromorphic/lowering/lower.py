"""Lowering from NIR to chip integers, read from top to bottom."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from snnergy.artefacts.activity import WARNINGS, warning_text
from snnergy.artefacts.files import versions
from snnergy.artefacts.sample_file import SampleFile
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.ir import FloatNet, QuantNet
from snnergy.neuromorphic.lowering import fidelity, findings
from snnergy.neuromorphic.lowering.calibrate import FloatActivity
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.fidelity import FidelityReport
from snnergy.neuromorphic.lowering.reference import ReferenceSource, as_reference, compare
from snnergy.neuromorphic.netx.layer_group import stock_obstacles
from snnergy.neuromorphic.passes.balance_delays import BalanceDelays
from snnergy.neuromorphic.passes.check import Check
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fit_chip import Chip, FitChip
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.quantize import Progress, Quantize, QuantizeResult
from snnergy.neuromorphic.passes.relay_delays import RelayDelays
from snnergy.neuromorphic.passes.round_decays import RoundDecays
from snnergy.neuromorphic.simulation import decode


def lower(
    source: NirSource,
    samples: Samples | SampleFile | None = None,
    *,
    reference: ReferenceSource | None = None,
    readout: str | None = None,
    chip: Chip = "loihi2",
    bits: int | None = None,
    allow_approximate: bool = False,
    progress: Progress | None = None,
) -> Compiled:
    """Lower a graph that has been read; `snnergy.neuromorphic.lowering.compile` describes the arguments."""
    bits = source.held.bits if bits is None else bits
    balanced = balanced_net(source, chip, allow_approximate)
    chosen = decode.readout_of(balanced.outputs, readout)
    if samples is not None:
        decode.check_labels(samples.labels, math.prod(source.shapes[chosen]), chosen)
    rounded = RoundDecays()(balanced)
    compared = None if reference is None else as_reference(reference, source, chosen, samples)
    activity = None if samples is None else FloatActivity(source, samples, rounded)
    quantized = Quantize(activity, bits, source.held, progress)(rounded)
    provenance = _provenance(source, samples) | {"chip": chip, "weight bits": str(bits)}
    net = RelayDelays()(replace(quantized.net, provenance=provenance))
    net = Check()(net)
    report = fidelity.uncalibrated(quantized, source, chosen)
    if activity is not None:
        report = _measured(activity, quantized, net, chosen, compared)
    warnings = (*source.notes, *findings.found(balanced, quantized, report))
    report = replace(report, warnings=warnings, stock_obstacles=stock_obstacles(net))
    return Compiled(replace(net, provenance=net.provenance | {WARNINGS: warning_text(warnings)}), report)


def balanced_net(source: NirSource, chip: Chip = "loihi2", allow_approximate: bool = False) -> FloatNet:
    """The network of a graph in model units, with balanced delays; what is left to do is rounding."""
    return BalanceDelays()(FitChip(chip, allow_approximate)(DiscretiseTime()(Fuse()(source))))


def _measured(
    activity: FloatActivity, quantized: QuantizeResult, net: QuantNet, chosen: str, reference: Tensor | None
) -> FidelityReport:
    """The report on all calibration samples, with what the framework itself emitted on them where that is known."""
    source, samples, outputs = activity.source, activity.samples, []
    measured, output = fidelity.Measured(quantized, chosen), net.population(chosen)
    simulator = emulator.prepared(net)
    for given, batch in zip(activity.given(), activity.batches(), strict=True):
        records = emulator.run(net, to_integers(given, net.inputs), simulator=simulator)
        measured.add(records, batch)
        if reference is not None:
            outputs.append((batch[chosen], fidelity.emitted(output, records)))
    report = measured.report(samples.labels, source)
    if reference is None:
        return report
    floating, chip = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    compared = compare(source, samples, chosen, reference, floating, chip, spiking=output.spiking)
    return replace(report, reference=compared)


def _provenance(source: NirSource, samples: Samples | SampleFile | None) -> dict[str, str]:
    found = {f"version {package}": version for package, version in versions().items()}
    found |= {"source": source.name, "source sha256": source.sha256, "dt": f"{source.dt:g} ({source.dt_reason})"}
    found["conventions"] = source.read_as
    found["calibration samples"] = "0" if samples is None else str(len(samples))
    return found
