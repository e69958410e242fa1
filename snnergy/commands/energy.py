"""`snnergy energy`: recorded activity to a report of operations and joules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnergy.commands.options import Debug, Force, Json, Output, Version
from snnergy.energy.prices import TechnologyName
from snnergy.terminal import Terminal

EXAMPLE = "snnergy energy activity.h5 -o report --technology 45nm-int8"


def command(
    context: typer.Context,
    activity: Annotated[Path, typer.Argument(help="Recorded activity (HDF5).", show_default=False)],
    output: Output = None,
    technology: Annotated[TechnologyName, typer.Option(help="Price list.")] = "45nm-fp32",
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Count every operation, price it, compare with ANNs: a folder with report.html, JSON, CSV and plots."""
    from snnergy.artefacts.kinds import ACTIVITY, require

    terminal: Terminal = context.obj
    target = output or activity.with_name("report")
    require((activity, ACTIVITY))
    with terminal.progress(f"counting {activity}"):
        from snnergy.energy.account import energy
        from snnergy.energy.report.tables import headline
        from snnergy.energy.report.terminal import print_report

        report = energy(activity, technology=technology, output=target, force=force)
    terminal.show(lambda console: print_report(report, console))
    terminal.say(f"{target / 'report.html'}: the report")
    terminal.result(
        {"technology": report.technology.name, "accuracy": report.accuracy} | headline(report) | {"report": target}
    )
