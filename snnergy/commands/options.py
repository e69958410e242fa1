"""Options that several commands have, spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
