"""`snnergy inspect`: what a NIR graph holds, how it would be read, and all that keeps it from compiling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnergy.commands.options import (
    Debug,
    Dt,
    Gain,
    InputKinds,
    Integration,
    Json,
    Reset,
    Spikes,
    Version,
    by_name,
)
from snnergy.terminal import Terminal

EXAMPLE = "snnergy inspect model.nir"


def command(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="NIR graph.", show_default=False)],
    dt: Dt = None,
    reset: Reset = None,
    spikes: Spikes = None,
    integration: Integration = None,
    gain: Gain = None,
    input_kind: InputKinds = None,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Say what a NIR graph holds: inputs, types, time step and the rule behind it, reset, and what is refused."""
    from snnergy.artefacts.kinds import NIR, require

    terminal: Terminal = context.obj
    require((model, NIR))
    from snnergy.neuromorphic.lowering.inspect import inspect

    found = inspect(
        model,
        dt=dt,
        reset=by_name("reset", reset),
        spikes=by_name("spikes", spikes),
        integration=by_name("integration", integration),
        gain=by_name("gain", gain),
        input_kind=by_name("input kind", input_kind),
    )
    for line in found.lines():
        terminal.say(line)
    terminal.result(found.to_dict())
