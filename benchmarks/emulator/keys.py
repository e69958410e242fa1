"""The figures at the top of the results file, each taken from a row; a figure whose row is not there is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]


def _of(figure: str, kind: str, **where: Any) -> Callable[[Sequence[Row]], Any]:
    """The figure of the row of that kind that has these values; None where there is none."""

    def found(rows: Sequence[Row]) -> Any:
        wanted = {"kind": kind, **where}.items()
        return next((row[figure] for row in rows if wanted <= _plain(row).items() and figure in row), None)

    return found


def _by_network(figure: str, kind: str) -> Callable[[Sequence[Row]], Any]:
    """The figure of every network of that kind, None for no row."""
    return lambda rows: {row["network"]: row[figure] for row in rows if row["kind"] == kind and figure in row} or None


def _full_size(rows: Sequence[Row]) -> Any:
    """GiB of the larger of its runs."""
    found = [row["peak_memory_mib"] for row in rows if row["kind"] == "memory" and row["network"] == "full size"]
    return round(max(found) / 1024, 2) if found else None


def _checks(rows: Sequence[Row]) -> Any:
    """What was found equal to Lava before a ratio was reported."""
    return [
        {name: row[name] for name in ("network", "graph", "values_equal_to_lava")}
        for row in rows
        if row["kind"] == "lava"
    ]


# Ratios to Lava are those of whole runs unless they say otherwise, to netx's stock graph or to ours.
KEYS: dict[str, Callable[[Sequence[Row]], Any]] = {
    **{
        f"ratio_lava{whose}_{network}{how}": _of(f"ratio_{figure}", "lava", network=network, graph=graph)
        for whose, graph in (("", "stock"), ("_ours", "ours"))
        for how, figure in (("", "whole_run"), ("_by_step", "by_step"))
        for network in ("dense", "conv", "ntidigits")
    },
    **{
        f"ratio_spikingjelly_{network}{suffix}": _of(
            "ratio", "simulator", simulator="spikingjelly", network=network, batch=batch
        )
        for network in ("dense", "conv")
        for batch, suffix in ((1, ""), (16, "_16"))
    },
    "ratio_float_grid": _of("ratio_pytorch", "grid"),
    "ratio_two_workers": _by_network("ratio", "workers"),
    "events_per_second": _of("events_per_second", "limits", network="dense"),
    "share_of_l3_bandwidth": _of("share_of_l3_bytes", "limits", network="dense"),
    "share_of_dram_bandwidth": _of("share_of_dram_bytes", "limits", network="dense"),
    "peak_memory_full_size": _full_size,
    "compile_seconds": _by_network("compile_seconds", "compile"),
    "identity_checks": _checks,
}


def top(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures that there are."""
    found = {name: figure(rows) for name, figure in KEYS.items()}
    return {name: value for name, value in found.items() if value not in (None, [])}


def _plain(row: Row) -> Row:
    return {name: value for name, value in row.items() if isinstance(value, str | int | float)}
