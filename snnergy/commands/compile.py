"""`snnergy compile`: a NIR graph to an integer network, with a report of what that changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snnergy.commands.options import Debug, Force, Json, Output, Readout, Version
from snnergy.terminal import Terminal

if TYPE_CHECKING:
    from snnergy.neuromorphic.fidelity import FidelityReport

EXAMPLE = "snnergy compile model.nir --calibration val.npz -o model.net"
_WORST_SHOWN = 5


def command(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="NIR graph.", show_default=False)],
    output: Output = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Samples (.npz) that scales are chosen and the result is measured on.", show_default="none"),
    ] = None,
    dt: Annotated[
        float | None,
        typer.Option(help="Time step, in the unit of the file's time constants.", show_default="the file's own"),
    ] = None,
    readout: Readout = None,
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
    require((model, NIR), (calibration, SAMPLES))
    for path in (target, target.with_suffix(".fidelity.json")):
        refuse_overwrite(path, force, inputs=[model, *filter(None, (calibration,))])
    with terminal.progress(f"compiling {model}"):
        from snnergy.neuromorphic.compile import compile

        compiled = compile(model, calibration=calibration, dt=dt, readout=readout)
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
            "readout": report.readout,
            "calibration_samples": report.samples,
            "same_prediction": report.same_prediction,
            "accuracy_float": report.accuracy_float,
            "accuracy_quantized": report.accuracy_quantized,
        }
    )


def show_fidelity(terminal: Terminal, report: FidelityReport) -> None:
    """Print what quantization cost, and the nodes that lost most."""
    terminal.say(f"time step {report.dt:g} ({report.dt_reason})")
    if not report.samples:
        terminal.say("fidelity not measured: pass --calibration with samples to choose scales on, and to measure")
        return
    if report.accuracy_float is not None and report.accuracy_quantized is not None:
        terminal.say(
            f"accuracy on {report.samples} calibration samples: {report.accuracy_float:.2%} in float, "
            f"{report.accuracy_quantized:.2%} in 8 bits"
        )
    terminal.say(f"same prediction in float and in 8 bits: {report.same_prediction:.2%} of samples")
    worst = sorted(report.nodes, key=lambda node: node.own_error or 0.0, reverse=True)[:_WORST_SHOWN]
    terminal.table(
        f"Nodes that quantization changed most, of {len(report.nodes)}",
        ("node", "own error", "agreement end to end", "weights clipped"),
        [(n.node, f"{n.own_error or 0:.3%}", f"{n.agreement or 0:.3%}", str(n.saturated)) for n in worst],
    )
