"""`snnergy compile`: a NIR graph to an integer network, with a report of what that changed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from snnergy.commands.options import (
    Debug,
    Dt,
    Force,
    Gain,
    InputKinds,
    Integration,
    Json,
    Output,
    Readout,
    Reset,
    Spikes,
    Version,
    by_name,
)
from snnergy.show import show_fidelity
from snnergy.terminal import Terminal

EXAMPLE = "snnergy compile model.nir --calibration val.npz -o model.net"


def command(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="NIR graph.", show_default=False)],
    output: Output = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Samples (.npz) that scales are chosen and the result is measured on.", show_default="none"),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="What the framework itself emits on the calibration samples (.npz with `out`, (samples, T, classes)).",
            show_default="none",
        ),
    ] = None,
    dt: Dt = None,
    reset: Reset = None,
    spikes: Spikes = None,
    integration: Integration = None,
    gain: Gain = None,
    input_kind: InputKinds = None,
    readout: Readout = None,
    chip: Annotated[
        Literal["loihi2", "loihi1"], typer.Option(help="Loihi 1 has neither soft reset nor graded spikes.")
    ] = "loihi2",
    bits: Annotated[
        int | None,
        typer.Option(help="Of a weight: 8, 6 or 4.", show_default="those of its fine-tuning, else 8"),
    ] = None,
    allow_approximate: Annotated[
        bool, typer.Option("--allow-approximate", help="Put the chip's own neurons in place of those that it has not.")
    ] = False,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Quantize a NIR graph to a netx file (.net), and report the fidelity of each node (.fidelity.json)."""
    from snnergy.artefacts.files import refuse_overwrite
    from snnergy.artefacts.kinds import NIR, SAMPLES, require

    terminal: Terminal = context.obj
    target = output or model.with_suffix(".net")
    require((model, NIR), (calibration, SAMPLES), (reference, SAMPLES))
    inputs = [model, *filter(None, (calibration, reference))]
    refuse_overwrite(target, force, inputs=inputs)
    refuse_overwrite(target.with_suffix(".fidelity.json"), force, inputs=inputs)
    with terminal.progress(f"compiling {model}", counted=True) as advance:
        from snnergy.neuromorphic.lowering.compile import compile

        compiled = compile(
            model,
            calibration=calibration,
            reference=reference,
            dt=dt,
            reset=by_name("reset", reset),
            spikes=by_name("spikes", spikes),
            integration=by_name("integration", integration),
            gain=by_name("gain", gain),
            input_kind=by_name("input kind", input_kind),
            readout=readout,
            chip=chip,
            bits=bits,
            allow_approximate=allow_approximate,
            progress=advance,
        )
    report_path = compiled.save(target, force=force)
    net, report = compiled.net, compiled.fidelity
    terminal.say(f"{target}: {len(net.populations)} populations, {len(net.synapses)} synapses")
    show_fidelity(terminal, report)
    terminal.result(
        {
            "net": target,
            "fidelity": report_path,
            "populations": len(net.populations),
            "synapses": len(net.synapses),
            "dt": report.dt,
            "bits": report.bits,
            "readout": report.readout,
            "calibration_samples": report.samples,
            "same_prediction": report.same_prediction,
            "accuracy_float": report.accuracy_float,
            "accuracy_quantized": report.accuracy_quantized,
            "reference": report.reference and asdict(report.reference),
            "stock_obstacles": report.stock_obstacles,
            "warnings": report.warnings,
        }
    )
