"""The page of speeds and its plots, from the results file: nothing on it is written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.emulator.cost import line
from snnergy.artefacts.files import written_whole

matplotlib.use("Agg")
from matplotlib import pyplot

Row = dict[str, Any]
_AXES = {"batch": "samples", "steps": "steps", "activity": "spikes an input and step", "size": "width"}
_LIMITS = {
    "l2_bytes": "bytes read from the second-level cache",
    "l3_bytes": "bytes read from the third-level cache",
    "dram_bytes": "bytes read from memory",
    "additions": "8-bit weights added to 16-bit sums in the first-level cache",
    "flop": "operations of a float32 matrix product (two an event)",
}


def write_page(results: Path, page: Path) -> None:
    """The page, and its plots under its name."""
    given = json.loads(results.read_text())
    rows: list[Row] = given["rows"]
    plots = page.with_suffix(".svg")
    drawn = [row for row in rows if row["kind"] == "cost"]
    if drawn:
        plot(drawn, plots)
    parts = [
        "# How fast the emulator is",
        f"Generated from `{results}` by `benchmarks/emulator/page.py`; `make bench-emulator` measures anew. "
        f"{given['machine']}; revision {given['git_revision']}. Everything runs on one thread, with the same weights "
        "and input, in turns; a figure is the median of the runs. Ratios are what is to be looked at: seconds are "
        "those of one machine.",
    ]
    for kind, section in SECTIONS.items():
        if of_kind := [row for row in rows if row["kind"] == kind]:
            parts.append(section(of_kind))
        if kind == "cost" and drawn:
            parts.append(f"![Seconds against batch, steps, activity and size]({plots.name})")
    with written_whole(page, force=True) as scratch:
        scratch.write_text("\n\n".join(parts) + "\n")


def simulators(rows: Sequence[Row]) -> str:
    """One table for each network and batch."""
    parts = [
        "## Other simulators",
        "Each in an environment of its own. Overlap: output spikes in common per those of either; a membrane in "
        "floating point is now and then on the other side of a threshold than one in integers.",
    ]
    for network, batch in dict.fromkeys((row["network"], row["batch"]) for row in rows):
        those = [row for row in rows if (row["network"], row["batch"]) == (network, batch)]
        parts.append(f"### {network}, {batch} {'sample' if batch == 1 else 'samples'} of {those[0]['steps']} steps")
        parts.append(f"{those[0]['events'] / 1e6:.1f} million synaptic events; spikes a neuron and step: "
                     + ", ".join(f"{node} {rate}" for node, rate in those[0]["rates"].items()) + ".")  # fmt: skip
        body = [_simulator(row) for row in those]
        parts.append(_markdown(["", "ms", "emulator, ms", "times as long", "overlap", "what differs"], body))
    return "\n\n".join(parts)


def _simulator(row: Row) -> list[str]:
    name = f"{row['simulator']} {row['version']}".strip()
    if "refused" in row:
        return [name, "–", "–", "–", "–", f"not run: {row['refused']}".replace("|", "/")]
    return [
        name,
        f"{1e3 * row['seconds']:.1f}",
        f"{1e3 * row['seconds_emulator']:.2f}",
        f"{row['ratio']:.1f}",
        f"{row['overlap']:.3f}",
        row["differs"],
    ]


def lava(rows: Sequence[Row]) -> str:
    """Both graphs of each network."""
    head = ["", "graph", "values equal", "whole run, s", "emulator, ms", "ratio", "a step, ms", "ratio by the step"]
    body = [
        [
            f"{row['network']}, {row['steps']} steps",
            row["graph"],
            f"{row['values_equal_to_lava']:,}",
            f"{row['seconds_whole_run']['lava']:.1f}",
            f"{1e3 * row['seconds_whole_run']['emulator']:.1f}",
            f"{row['ratio_whole_run']:,.0f}",
            f"{1e3 * row['seconds_a_step']['lava']:.2f}",
            f"{row['ratio_by_step']:,.0f}",
        ]
        for row in rows
    ]
    return "\n\n".join(
        [
            "## Lava",
            "`stock` is the graph that lava-dl's netx builds of the `.net` file, `ours` that of our Lava backend. A "
            "whole run is what one waits for from the call to the spikes of the last layer, the start of Lava's "
            "processes and the packing of the emulator's network included; a step in Lava is the difference of a long "
            "and a short run. `ntidigits` is lava-dl's own trained network. Before anything was timed, the spikes of "
            "the last layer, and with `ours` u, v and spikes of every population, were found equal, value for value.",
            _markdown(head, body),
        ]
    )


def cost(rows: Sequence[Row]) -> str:
    """The fits."""
    body = [
        [
            f"{row['network']}, {row['axis']} {row['points'][0][row['axis']]} to {row['points'][-1][row['axis']]}",
            row["against"],
            f"{row['seconds_per_unit']:.3g}",
            f"{row['seconds_at_0']:.3g}",
            f"{row['r2']:.4f}",
        ]
        for row in rows
    ]
    return "\n\n".join(
        ["## What a run costs", _markdown(["", "line in", "seconds a unit", "seconds at 0", "R²"], body)]
    )


def limits(rows: Sequence[Row]) -> str:
    """What the machine could do, and the emulator's share."""
    head = ["one core, G a second", "measured", *(f"share that {row['network']} is" for row in rows)]
    body = [
        [text, f"{rows[0][f'{what}_per_second'] / 1e9:.1f}", *(f"{row[f'share_of_{what}']:.1%}" for row in rows)]
        for what, text in _LIMITS.items()
    ]
    speeds = "; ".join(f"{row['network']} {row['events_per_second'] / 1e9:.2f} G" for row in rows)
    return "\n\n".join(
        [
            "## Limits of the machine",
            f"Synaptic events a second, one sample: {speeds}. An event is at least a byte read and an addition.",
            _markdown(head, body),
        ]
    )


def compiling(rows: Sequence[Row]) -> str:
    """Seconds."""
    body = [[row["network"], str(row["calibration_samples"]), f"{row['compile_seconds']:.2f}"] for row in rows]
    return "\n\n".join(["## Compile", _markdown(["", "calibration samples", "seconds"], body)])


def grid(rows: Sequence[Row]) -> str:
    """SNNergy beside PyTorch, or why not."""
    (row,) = rows
    if "missing" in row:
        return f"## SNNergy in PyTorch\n\nNot run: {row['missing']}"
    seconds = row["seconds"]
    return (
        f"## SNNergy in PyTorch\n\n{row['populations']} populations, trained on GRID for {row['epochs']} epochs; "
        f"{row['batch']} test clips, {row['mean_rate']:.1%} of the neurons spike in a step. The emulator takes "
        f"{1e3 * seconds['emulator']:.0f} ms, the network's own forward pass in floating point "
        f"{1e3 * seconds['pytorch']:.0f} ms: {row['ratio_pytorch']:.2f} times as long. "
        f"{row['events_per_second'] / 1e9:.1f} G synaptic events a second."
    )


def workers(rows: Sequence[Row]) -> str:
    """One thread and two."""
    body = [
        [
            row["network"],
            str(row["batch"]),
            f"{row['seconds']['1']:.3f}",
            f"{row['seconds']['2']:.3f}",
            f"{row['ratio']:.2f}",
        ]
        for row in rows
    ]
    head = ["", "samples", "one thread, s", "two, s", "ratio"]
    return "\n\n".join(["## A second worker", _markdown(head, body)])


def memory(rows: Sequence[Row]) -> str:
    """Peaks by samples and recording."""
    body = [
        [
            row["network"],
            str(row["samples"]),
            row["record"],
            row["memory"],
            str(row["peak_memory_mib"]),
            f"{1e3 * row['seconds_a_sample']:.1f}",
            str(row["file_mib"]),
        ]
        for row in rows
    ]
    head = ["", "samples", "record", "--memory", "peak, MiB", "a sample, ms", "file, MiB"]
    return "\n\n".join(
        [
            "## Memory",
            "A process of its own each, Python and torch included. `full size` is the publication's network: D = 96, "
            "128 × 128 pixels, T = 6, untrained.",
            _markdown(head, body),
        ]
    )


# The section of each kind of row.
SECTIONS: dict[str, Callable[[Sequence[Row]], str]] = {
    "simulator": simulators,
    "grid": grid,
    "lava": lava,
    "cost": cost,
    "limits": limits,
    "compile": compiling,
    "workers": workers,
    "memory": memory,
}


def plot(rows: Sequence[Row], path: Path) -> None:
    """Seconds of each network against each axis, with the line that was fitted where it is one of the axis."""
    networks, axes = (list(dict.fromkeys(row[name] for row in rows)) for name in ("network", "axis"))
    with pyplot.rc_context({"svg.hashsalt": "snnergy", "svg.fonttype": "none", "font.size": 8}):
        figure, grid = pyplot.subplots(
            len(networks), len(axes), figsize=(3 * len(axes), 2.6 * len(networks)), layout="constrained", squeeze=False
        )
        for row in rows:
            place = grid[networks.index(row["network"])][axes.index(row["axis"])]
            against = row["against"]
            x = [point[against] / (1e6 if against == "events" else 1) for point in row["points"]]
            y = [1e3 * point["seconds"] for point in row["points"]]
            slope, intercept, _ = line(x, y)
            place.plot(x, y, "o", markersize=4)
            place.plot(x, [slope * at + intercept for at in x], linewidth=1)
            unit = f"M events ({_AXES[row['axis']]} varied)" if against == "events" else _AXES[row["axis"]]
            place.set(xlabel=unit, ylabel="ms", title=f"{row['network']}, R² {row['r2']:.3f}", ylim=(0, None))
        with written_whole(path, force=True) as scratch:
            figure.savefig(scratch, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body))
