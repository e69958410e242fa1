"""Options that several commands have, spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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
    Literal["hard", "soft"] | None,
    typer.Option(
        help="After a spike: v_reset, or v less the threshold.",
        show_default="by the file and the version that wrote it",
    ),
]
Spikes = Annotated[
    Literal["one", "many"] | None,
    typer.Option(help="Spikes a step: at most one, or as often as the threshold fits into v.", show_default="one"),
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


def kinds_from(given: list[str] | None) -> Any:
    """What `--input-kind` says, as `input_kind` of the library takes it: a kind for all inputs, or kinds by name.

    Raises:
        UserError: both are given.
    """
    from snnergy.artefacts.errors import UserError

    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    if plain := [kind for kind in given if "=" not in kind]:
        raise UserError(f"input kind {plain[0]!r}: is for all inputs, others have names; give NAME={plain[0]}")
    return {name: kind for name, _, kind in (text.rpartition("=") for text in given)}
