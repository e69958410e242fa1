"""What each fusion of the attention carries and costs, from the rows of `benchmarks.fusion`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from benchmarks.fusion import ROWS, exponents
from benchmarks.tables_page.cells import ABSENT, Row, cell, listed, markdown, percent, seeds
from benchmarks.tables_page.margins import DEVIATIONS, margin, written

NONE, BASE = "none", "fixed_gate"
# F is P where a gate keeps at least this share of P's spikes in every stage.
_OPEN = 0.999
_COSTS: dict[str, Callable[[dict[str, Any]], float]] = {
    "neurons": lambda cost: cost["neurons"],
    "synapses": lambda cost: cost["synapses"],
    "accumulates": lambda cost: cost["operations"]["ac"],
    "energy, nJ": lambda cost: cost["pj"] / 1e3,
}
_GROWTH = ("synapses", "accumulates", "energy")


def validation(row: Row) -> float:
    """Accuracy on the validation split, in percent."""
    return 100 * float(row["accuracy_validation"])


def title(rows: Sequence[Row]) -> str:
    """Data set and task."""
    data = rows[0]["config"]["data"]
    name = data["name"].upper() if data["name"] == "grid" else data["name"]
    return f"{name}, {data.get('task', 'recognition')}"


def by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The seeds of every row of the experiment, in its order; those that were not run have none."""
    return {name: [row for row in rows if row["row"] == name] for name in ROWS}


def section(files: Sequence[Sequence[Row]]) -> list[str]:
    """All experiments, one file each."""
    parts = [
        "## What the fusion of the attention carries",
        "One network a row (`benchmarks/fusion.py`), which changes nothing of the experiment but what is named. In "
        f"`{NONE}` no attention joins a stream (α = 0), so that the two meet in the readout alone. Deviations of a "
        "difference are those of a single run: √(s₁² + s₂²).",
    ]
    for rows in files:
        model = rows[0]["config"]["model"]
        parts += [
            f"### {title(rows)[0].upper()}{title(rows)[1:]}",
            f"{model['classes']} classes, {model['image_size']} × {model['image_size']} pixels, D = "
            f"{model['base_dim']}, T = {model['time_steps']}, {rows[0]['config']['train']['epochs']} epochs"
            f"{_beginning(rows)}.",
            accuracy_table(rows),
            *sentences(rows),
            f"Means over the seeds, before → after training: {_SHARES}",
            share_table(rows),
            *cost_section(rows),
        ]
    return parts


def _beginning(rows: Sequence[Row]) -> str:
    sources = {row["config"].get("start", {}).get("source") for row in rows} - {None}
    return f", all rows of a seed begun with one network ({listed(sorted(sources))})" if sources else ""


_SHARES = "the share of F's entries that are not 0, and, where two paths are fused, of P's spikes that F keeps."


def accuracy_table(rows: Sequence[Row]) -> str:
    """Both splits, and how far a row is above the one without fusion."""
    named = by_name(rows)
    body = [
        [
            f"`{name}`",
            ", ".join(f"`{change}`" for change in ROWS[name]) or ABSENT,
            cell(of, validation, 1),
            cell(of, percent, 1),
            ABSENT if name == NONE else written(margin(of, named[NONE])),
        ]
        for name, of in named.items()
    ]
    return markdown(["", "changes", "validation, %", "test, %", f"test, over `{NONE}`"], body)


def sentences(rows: Sequence[Row]) -> list[str]:
    """Which rows carry something, which is best, and which gates are not gates any more."""
    named = {name: of for name, of in by_name(rows).items() if of}
    above = {name: margin(of, named.get(NONE, [])) for name, of in named.items() if name != NONE}
    found = {name: each for name, each in above.items() if each is not None}
    beyond = [name for name, each in found.items() if each.deviations > DEVIATIONS]
    known = [name for name, each in found.items() if each.deviation is not None]
    lines = []
    if found:
        lines += [
            f"More than {DEVIATIONS} deviations above `{NONE}`: {listed(beyond)}; not: "
            f"{listed(name for name in known if name not in beyond)}; with one seed of either, so undecided: "
            f"{listed(name for name in found if name not in known)}."
        ]
    best, *others = sorted(named, key=lambda name: -fmean(map(validation, named[name])))
    if others:
        apart = margin(named[best], named[others[0]])
        lines += [f"Best on validation is `{best}`{seeds(named[best])}; on test it has {apart} over `{others[0]}`."]
    gates = {name: of for name, of in named.items() if name != NONE and all("kept" in row["after"] for row in of)}
    opened = [name for name, of in gates.items() if min(k for row in of for k in row["after"]["kept"].values()) > _OPEN]
    if gates:
        lines += [f"After training the gate holds nothing of P back, in any stage, in: {listed(opened)}."]
    return lines


def share_table(rows: Sequence[Row]) -> str:
    """Entries of F and spikes of P by stage."""
    stages = sorted({stage for row in rows for stage in row["after"]["entries"]})
    columns = [(figure, stage) for figure in ("entries", "kept") for stage in stages]
    body = [
        [f"`{name}`", *(_change(of, figure, stage) for figure, stage in columns)]
        for name, of in by_name(rows).items()
        if of
    ]
    head = [
        f"{'entries of F' if figure == 'entries' else 'kept of P'}, {stage[:-1]} {stage[-1]}"
        for figure, stage in columns
    ]
    return markdown(["", *head], body)


def _change(rows: Sequence[Row], figure: str, stage: str) -> str:
    having = [row for row in rows if stage in row["after"].get(figure, {})]
    if not having:
        return ABSENT
    before, after = (fmean(row[when][figure][stage] for row in having) for when in ("before", "after"))
    return f"{before:.4f} → {after:.4f}"


def cost_section(rows: Sequence[Row]) -> list[str]:
    """Cost on the chip in the size that was trained, beside the base, and how it grows; nothing where not counted."""
    costs = {name: cost for name, of in by_name(rows).items() for cost in [_cost(of)] if cost}
    if not costs:
        return []
    size, grown = rows[0]["config"]["model"]["image_size"], growth(rows)
    sizes = sorted({cost["image_size"] for every in costs.values() for cost in every})
    at = {(name, cost["stage"]): cost for name, every in costs.items() for cost in every if cost["image_size"] == size}
    body = []
    for (name, stage), cost in at.items():
        base = at.get((BASE, stage)) if name != BASE else None
        body.append(
            [f"`{name}`", str(stage), str(cost["tokens"])]
            + [_beside(figure(cost), None if base is None else figure(base)) for figure in _COSTS.values()]
            + [_exponent(grown.get(name, {}).get(of, {}).get(stage)) for of in _GROWTH]
        )
    head = ["", "stage", "N", *_COSTS, *(f"{of}: exponent in N" for of in _GROWTH)]
    return [
        "The fusions of a stage on the chip, both modalities, for the mean sample, from the ledger at 45 nm fp32 "
        f"prices; in parentheses, times that of `{BASE}`. The exponent is that of N in a power of N, over images of "
        f"{', '.join(map(str, sizes))} pixels.",
        markdown(head, body),
    ]


def _cost(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of the seed that it was counted for, if any."""
    return next((row["cost"] for row in rows if row["cost"]), [])


def growth(rows: Sequence[Row]) -> dict[str, dict[str, dict[int, float]]]:
    """Row → figure → stage → exponent in N, of rows that were counted for several sizes."""
    found = {name: exponents(_cost(of)) for name, of in by_name(rows).items()}
    return {name: grown for name, grown in found.items() if any(grown.values())}


def _beside(figure: float, base: float | None) -> str:
    text = f"{figure:.0f}" if figure >= 100 else f"{figure:.1f}"
    return f"{text} ({figure / base:.2f}×)" if base else text


def _exponent(found: float | None) -> str:
    return ABSENT if found is None else f"{found:.2f}"
