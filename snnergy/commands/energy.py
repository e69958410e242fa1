"""`snnergy energy`: recorded activity to a report of operations and joules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnergy.commands.options import Debug, Force, Json, Output
from snnergy.terminal import Terminal

EXAMPLE = "snnergy energy activity.h5 -o report --technology 45nm-int8"


def command(
    context: typer.Context,
    activity: Annotated[Path, typer.Argument(help="Recorded activity (HDF5).", show_default=False)],
    output: Output = None,
    technology: Annotated[str, typer.Option(help="Price list.")] = "45nm-fp32",
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
) -> None:
    """Count every operation, price it, compare with ANNs: a folder with report.html, JSON, CSV and plots."""
    from snnergy.energy import headline, print_report, write_report

    terminal: Terminal = context.obj
    target = output or activity.with_name("report")
    with terminal.progress(f"counting {activity}"):
        report = write_report(activity, target, technology=technology, force=force)
    if not terminal.as_json:
        print_report(report)
    terminal.say(f"{target / 'report.html'}: the report")
    terminal.result(
        {"technology": report.technology.name, "accuracy": report.accuracy} | headline(report) | {"report": target}
    )
