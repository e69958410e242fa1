"""A NIR graph to an integer network, with a report of what that changed."""

from __future__ import annotations

from pathlib import Path

import nir

from snnergy.artefacts.samples import SampleSource, as_samples
from snnergy.neuromorphic.graph.read_nir import from_graph, read_nir
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.inputs import shapes_of
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.lowering.reference import ReferenceSource


def compile(
    graph: Path | str | nir.NIRGraph,
    *,
    calibration: SampleSource | None = None,
    reference: ReferenceSource | None = None,
    dt: float | None = None,
    readout: str | None = None,
) -> Compiled:
    """Quantize a NIR graph to the integers of the chip.

    Args:
        graph: a graph, or the path of a `.nir` file.
        calibration: samples, in any form that `simulate` takes, that scales are chosen and the result is measured on;
            without them scales rest on worst cases and nothing is measured.
        reference: what the framework itself emits on the calibration samples, `(samples, T, classes)`: an array, arrays
            by name (`out`, or the name of the output), or the path of an `.npz` or `.npy`; it shows what the exporter
            lost.
        dt: time step in the unit of the graph's time constants; None takes the graph's own or a stated guess.
        readout: the output that predictions are taken from; None for the first.

    Raises:
        UserError: the graph is unsound or holds something that the chip cannot do.
    """
    source = _source(graph, dt)
    samples = None if calibration is None else as_samples(calibration, shapes_of(source.ports()))
    return lower(source, samples, reference=reference, readout=readout)


def _source(graph: Path | str | nir.NIRGraph, dt: float | None) -> NirSource:
    if isinstance(graph, nir.NIRGraph):
        return from_graph(graph, dt)
    return read_nir(Path(graph), dt)
