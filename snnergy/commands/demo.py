"""`snnergy demo`: the whole toolchain on embedded data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnergy.artefacts.errors import CheckFailed
from snnergy.commands.options import Debug, Json, Version
from snnergy.terminal import Terminal
from snnergy.training.loop.train import PACKAGES

EXAMPLE = "snnergy demo -o runs/demo"


def command(
    context: typer.Context,
    config: Annotated[str, typer.Option(help="Experiment: a YAML file, or the name of a packaged one.")] = "digits",
    quick: Annotated[
        bool, typer.Option("--quick", help="A minute or two: a small network, too briefly trained.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("runs/demo"),
    force: Annotated[bool, typer.Option("--force", help="Replace the folder of an earlier demo.")] = False,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Train, export, compile, simulate, verify in Lava and price a small network, in minutes, without downloads."""
    from snnergy.artefacts.extras import require

    require("the demo", "train", *PACKAGES)
    from snnergy.demo import FULL, QUICK, demo

    terminal: Terminal = context.obj
    summary = demo(output, terminal, config=config, extent=QUICK if quick else FULL, force=force)
    terminal.result(summary)
    if summary["lava_mismatches"]:
        raise CheckFailed(
            f"{output}: emulator and Lava differ in {summary['lava_mismatches']} values; please report it"
        )
