"""Lowering from NIR to chip integers, read from top to bottom."""

from __future__ import annotations

import math
from dataclasses import replace

from snnergy.artefacts.files import versions
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import decode, emulator, fidelity
from snnergy.neuromorphic.calibrate import calibrate
from snnergy.neuromorphic.compiled import Compiled
from snnergy.neuromorphic.graph.read_nir import NirSource
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.passes.balance_delays import pipeline_depths
from snnergy.neuromorphic.passes.check import check
from snnergy.neuromorphic.passes.discretise_time import discretise_time
from snnergy.neuromorphic.passes.fuse import fuse
from snnergy.neuromorphic.passes.quantize import quantize


def lower(source: NirSource, samples: Samples | None = None, *, readout: str | None = None) -> Compiled:
    """Lower a graph that has been read; `snnergy.neuromorphic.compile` describes the rest."""
    fused = fuse(source)
    chosen = decode.readout_of(fused.outputs, readout)
    if samples is not None:
        decode.check_labels(samples.labels, math.prod(source.shapes[chosen]), chosen)
    floating = discretise_time(fused)
    depths = pipeline_depths(floating)
    calibration = None if samples is None else calibrate(source, samples)
    quantized = quantize(floating, depths, calibration)
    net = check(replace(quantized.net, provenance=_provenance(source, samples)))
    if samples is None or calibration is None:
        return Compiled(net, fidelity.uncalibrated(quantized, source.dt, source.dt_reason, chosen))
    records = emulator.run(net, to_integers(samples, net.inputs))
    return Compiled(
        net, fidelity.measure(quantized, records, calibration, samples, source.dt, source.dt_reason, chosen)
    )


def _provenance(source: NirSource, samples: Samples | None) -> dict[str, str]:
    found = {f"version {package}": version for package, version in versions().items()}
    found |= {"source": source.name, "source sha256": source.sha256, "dt": f"{source.dt:g} ({source.dt_reason})"}
    found["calibration samples"] = "0" if samples is None else str(len(samples))
    return found
