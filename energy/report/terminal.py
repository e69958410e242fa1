"""The report in a terminal: the comparison, the stages or nodes and what a reader must know."""

from __future__ import annotations

from itertools import islice

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from snnergy.artefacts.display import printable
from snnergy.energy.report import units
from snnergy.energy.summary import ESTIMATES_ONLY, Summary

_NAME = 200  # characters
_REGIONS = 50  # rows


def print_report(report: Summary, console: Console | None = None) -> None:
    """Print a report to a console, standard output by default."""
    console = console or Console()
    run = report.activity
    accuracy = "" if report.accuracy is None else f", accuracy {units.percent(report.accuracy)}"
    size = f"{run.samples} samples {units.TIMES} {run.time_steps} steps"
    backend = printable(run.backend, _NAME)
    console.print(Text.assemble((printable(run.model, _NAME), "bold"), f"  {size}, {backend}{accuracy}"))
    for line in report.warnings:
        console.print(Text.assemble(("warning:", "yellow"), f" {printable(line)}"))
    console.print(_comparison(report))
    console.print(_regions(report))
    for line in report.unpriced:
        console.print(Text.assemble(("no total, price not published:", "yellow"), f" {line}"))
    for note in report.notes:
        console.print(Text(f"• {printable(note)}"))
    console.print(Text(ESTIMATES_ONLY, "dim"))


def _comparison(report: Summary) -> Table:
    networks = (report.ann, report.quantized_ann)
    table = _table("per inference", "this SNN", *(network.title for network in networks))
    counts = report.total.counts
    accumulates = counts.get("ac", 0.0) + counts.get("ac_weighted", 0.0)
    synaptic = None if report.unpriced else report.total.group_pj("synapse")
    table.add_row("accumulates", units.number(accumulates), units.NOTHING, units.NOTHING)
    table.add_row(
        "multiplications",
        units.number(counts.get("mac_dense", 0.0)),
        *(units.number(network.macs_per_pass * network.passes) for network in networks),
    )
    table.add_row(
        "synapses",
        units.energy(synaptic),
        *(units.energy(network.synaptic_pass_pj * network.passes) for network in networks),
        end_section=True,
    )
    table.add_row(
        "energy",
        units.energy(report.energy_snn_pj),
        *(units.energy(network.energy_pj) for network in networks),
        style="bold",
    )
    table.add_row("relative", units.ratio(1.0), units.ratio(report.ratio_ann), units.ratio(report.ratio_quantized_ann))
    table.add_row(
        "this SNN in the same arithmetic",
        units.NOTHING,
        *(units.energy(report.in_arithmetic_of(network)) for network in networks),
    )
    rows = {(row.against, row.passes): row for row in report.break_even}
    charged = [rows[network.title, network.passes] for network in networks]
    recorded = units.percent(report.spike_rate)
    table.add_row("spike rate, break-even", recorded, *(units.break_even(row.rate) for row in charged))
    table.add_row(
        "  in the same arithmetic", recorded, *(units.break_even(row.rate_same_arithmetic) for row in charged)
    )
    return table


def _regions(report: Summary) -> Table:
    table = _table(report.division, "accumulates", "multiplications", "energy", "± std")
    regions = report.regions()
    for name, part in islice(regions.items(), _REGIONS):
        accumulates = part.counts.get("ac", 0.0) + part.counts.get("ac_weighted", 0.0)
        mean, std = (None, None) if part.energy_pj is None else (part.energy_pj.mean, part.energy_pj.std)
        table.add_row(
            Text(printable(name, _NAME)),
            units.number(accumulates),
            units.number(part.counts.get("mac_dense", 0.0)),
            units.energy(mean),
            units.energy(std),
        )
    if len(regions) > _REGIONS:
        table.add_row(f"and {len(regions) - _REGIONS} more {report.division}s")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
