"""`snnergy demo`: the whole toolchain on embedded data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnergy.artefacts.errors import CheckFailed
from snnergy.commands.options import Debug, Json
from snnergy.terminal import Terminal

EXAMPLE = "snnergy demo -o runs/demo"


def command(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Another experiment, such as configs/grid.yaml.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("runs/demo"),
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that no demo wrote.")] = False,
    _json: Json = False,
    _debug: Debug = False,
) -> None:
    """Train, export, compile, simulate, verify in Lava and price a small network, in minutes, without downloads."""
    from snnergy.demo import CONFIG, demo

    terminal: Terminal = context.obj
    summary = demo(output, terminal, config=config or CONFIG, force=force)
    terminal.result(summary)
    if summary["lava_mismatches"]:
        raise CheckFailed(
            f"{output}: emulator and Lava differ in {summary['lava_mismatches']} values; please report it"
        )
