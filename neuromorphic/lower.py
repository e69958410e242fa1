"""Lowering from NIR to chip integers, read from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from snnergy.artefacts.files import versions
from snnergy.neuromorphic import emulator, fidelity
from snnergy.neuromorphic.calibrate import calibrate
from snnergy.neuromorphic.fidelity import FidelityReport
from snnergy.neuromorphic.graph.read_nir import read_nir
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.inputs import Samples, read_samples, to_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.passes.balance_delays import BalanceDelays
from snnergy.neuromorphic.passes.check import Check
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.passes.quantize import Quantize


@dataclass(frozen=True)
class Compiled:
    """An integer network and what lowering did to each of its nodes."""

    net: QuantNet
    fidelity: FidelityReport


def compile_nir(path: Path, *, dt: float | None = None, calibration: Path | None = None) -> Compiled:
    """Lower the NIR graph at `path`.

    Args:
        dt: time step in the unit of the file's time constants; None takes the file's own or a stated guess.
        calibration: input file of calibration samples; without them scales rest on worst cases and nothing is measured.

    Raises:
        UserError: the file is unsound or holds something that the chip cannot do.
    """
    source = read_nir(path, dt)
    return lower(source, None if calibration is None else read_samples(calibration, source.ports()))


def lower(source: NirSource, samples: Samples | None = None) -> Compiled:
    """Lower a graph from a file (`read_nir`) or from memory (`from_graph`); see `compile_nir`."""
    fused = Fuse()(source)
    floating = DiscretiseTime()(fused)
    balanced = BalanceDelays()(floating)
    calibration = None if samples is None else calibrate(source, samples)
    quantized = Quantize(calibration)(balanced)
    net = Check()(replace(quantized.net, provenance=_provenance(source, samples)))
    if samples is None or calibration is None:
        return Compiled(net, fidelity.uncalibrated(quantized, source.dt, source.dt_reason))
    records = emulator.run(net, to_integers(samples, net.inputs))
    return Compiled(net, fidelity.measure(quantized, records, calibration, samples, source.dt, source.dt_reason))


def _provenance(source: NirSource, samples: Samples | None) -> dict[str, str]:
    found = {f"version {package}": version for package, version in versions().items()}
    found |= {"source": source.name, "source sha256": source.sha256, "dt": f"{source.dt:g} ({source.dt_reason})"}
    found["calibration samples"] = "0" if samples is None else str(len(samples))
    return found
