"""Options that several commands have, spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _use_json(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.with_resource(context.obj.use_json())


def _use_debug(context: typer.Context, wanted: bool) -> None:
    context.obj.debug = wanted


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from snnergy.artefacts.release import __version__

        typer.echo(f"snnergy {__version__}")
        raise typer.Exit


# None of the three values reaches the command: the first two change the Terminal that it is given.
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object to standard output and nothing else.",
        callback=_use_json,
        is_eager=True,
        expose_value=False,
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show the traceback of an error.",
        callback=_use_debug,
        is_eager=True,
        expose_value=False,
    ),
]
Version = Annotated[
    bool,
    typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True, expose_value=False),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.", show_default="beside the input")]
Readout = Annotated[
    str | None,
    typer.Option(help="Output that predictions are read from, by name.", show_default="the first"),
]
Dt = Annotated[
    float | None,
    typer.Option(
        help="Time step, in the unit of the file's time constants.",
        show_default="the file's own, or what its parameters tell",
    ),
]
Reset = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NODE=]hard|soft|late-hard|late-soft",
        help="After a spike: v_reset, or v less the threshold; at once, or late, once the next step has charged v.",
        show_default="by the file and the version that wrote it",
    ),
]
Spikes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NODE=]one|many",
        help="Spikes a step: at most one, or as often as the threshold fits into v.",
        show_default="one",
    ),
]
Integration = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NODE=]euler|exponential",
        help="Step of the equations: a decay of dt/tau, or the exact one of 1 − exp(−dt/tau).",
        show_default="euler",
    ),
]
Gain = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NODE=]file|one",
        help="What counts of what enters a neuron: as the file's r and w_in say, or all of it.",
        show_default="file",
    ),
]
InputKinds = Annotated[
    list[str] | None,
    typer.Option(
        "--input-kind",
        metavar="[NAME=]KIND",
        help="What inputs send: spikes, graded (whole numbers as they are) or analog; for one input as NAME=KIND.",
        show_default="by the file, or by the calibration samples",
    ),
]


def by_name(what: str, given: list[str] | None) -> Any:
    """What such an option says, as the library takes it: a value for all, values by name, or None for nothing.

    Raises:
        UserError: both are given.
    """
    from snnergy.artefacts.errors import UserError

    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    if plain := [value for value in given if "=" not in value]:
        raise UserError(f"{what} {plain[0]!r}: is for all, others have names; give NAME={plain[0]}")
    return {name: value for name, _, value in (text.rpartition("=") for text in given)}
