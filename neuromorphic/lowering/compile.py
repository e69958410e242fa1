"""A NIR graph to an integer network, with a report of what that changed."""

from __future__ import annotations

from pathlib import Path

import nir

from snnergy.artefacts.held_scales import require_weight_bits
from snnergy.artefacts.sample_file import sample_source
from snnergy.artefacts.samples import SampleSource
from snnergy.neuromorphic.graph.conventions import Gains, Integrations, Resets, SpikesBy
from snnergy.neuromorphic.graph.input_kinds import with_inputs
from snnergy.neuromorphic.graph.read_nir import InputKinds, from_graph, read_nir
from snnergy.neuromorphic.inputs import shapes_of
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.lowering.reference import ReferenceSource
from snnergy.neuromorphic.passes.fit_chip import Chip
from snnergy.neuromorphic.passes.quantize import Progress


def compile(
    graph: Path | str | nir.NIRGraph,
    *,
    calibration: SampleSource | None = None,
    reference: ReferenceSource | None = None,
    dt: float | None = None,
    reset: Resets | None = None,
    spikes: SpikesBy | None = None,
    integration: Integrations | None = None,
    gain: Gains | None = None,
    input_kind: InputKinds | None = None,
    readout: str | None = None,
    chip: Chip = "loihi2",
    bits: int | None = None,
    allow_approximate: bool = False,
    progress: Progress | None = None,
) -> Compiled:
    """Quantize a NIR graph to the integers of the chip.

    Args:
        graph: a graph, or the path of a `.nir` file.
        calibration: samples, in any form that `simulate` takes, that scales are chosen and the result is measured on;
            without them scales rest on worst cases and nothing is measured. Those of a file are read a few at a time.
        reference: what the framework itself emits on the calibration samples, `(samples, T, classes)`: an array, arrays
            by name (`out`, or the name of the output), or the path of an `.npz` or `.npy`; it shows what the exporter
            lost.
        dt: time step in the unit of the graph's time constants; None takes the graph's own, or what its parameters
            tell.
        reset: what a spike does to the membrane: `hard` puts it to v_reset, `soft` takes the threshold off; `late-hard`
            and `late-soft` do so in the next step, once that has charged it. For all neurons, or as `{node: …}` for
            single ones; None leaves it to the file, of which versions before 1.0.5 mean `soft`.
        spikes: how many a step has: `one`, or `many`, as often as the threshold fits into the membrane; likewise; None
            for one.
        integration: the step of NIR's equations: `euler` with a decay of dt/tau, or `exponential`, exact for an input
            that stays the same over the step, with 1 − exp(−dt/tau); likewise; None for Euler's.
        gain: what counts of what enters a neuron: as r and w_in of the `file` say, or all of it, `one`; likewise; None
            for the file's.
        input_kind: what inputs send: `spikes`, `graded` (whole numbers as they are) or `analog`, for all or as
            `{name: kind}`; None leaves it to the graph's metadata, then to the calibration samples.
        readout: the output that predictions are taken from; None for the first.
        chip: `loihi2`, or `loihi1`, which has neither soft reset nor graded spikes.
        bits: that a weight has: 8, or 6 or 4, which are the upper bits of 8; None takes those that the network was
            fine-tuned for, else 8. A network at the bits of its fine-tuning keeps the scales of that.
        allow_approximate: let neurons that `chip` has not be its own, reset to 0 after one spike a step.
        progress: called with the number of populations that were rounded since the last call, and of all.

    Raises:
        UserError: the graph is unsound or holds something that the chip cannot do, or does not tell its time step; or
            weights have no such width.
    """
    require_weight_bits(8 if bits is None else bits)
    if isinstance(graph, nir.NIRGraph):
        source = from_graph(
            graph, dt, reset=reset, spikes=spikes, integration=integration, gain=gain, input_kind=input_kind
        )
    else:
        source = read_nir(
            Path(graph), dt, reset=reset, spikes=spikes, integration=integration, gain=gain, input_kind=input_kind
        )
    samples = None if calibration is None else sample_source(calibration, shapes_of(source.inputs))
    source = with_inputs(source, samples)
    return lower(
        source,
        samples,
        reference=reference,
        readout=readout,
        chip=chip,
        bits=bits,
        allow_approximate=allow_approximate,
        progress=progress,
    )
