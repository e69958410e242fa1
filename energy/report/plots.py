"""The plots of a report, as SVG text.

Text stays text and colours come from `PALETTE` alone, so that a page can set both in its own style.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from itertools import islice

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnergy.artefacts.display import printable
from snnergy.energy.operations import KIND, KINDS, Operation
from snnergy.energy.rates import rates_by_role_and_stage, role_title, stage_title
from snnergy.energy.report.units import Unit, count_unit, energy_unit
from snnergy.energy.summary import Part, Summary

# Name → colour on white. Series colours keep their contrast on a dark ground too, and differ for the colour-blind.
PALETTE = {
    "surface": "#fffffe",
    "ink": "#1d232b",
    "muted": "#667080",
    "rule": "#dfe3e8",
    "series1": "#2f7bbf",
    "series2": "#e08a1e",
    "series3": "#2a9d8a",
    "series4": "#9a6bbd",
    "series5": "#8b95a3",
    "series6": "#cc5a4b",
}
_SERIES = [color for name, color in PALETTE.items() if name.startswith("series")]
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "snnergy",
    "text.parse_math": False,  # names come from files: a dollar sign is one
    "text.usetex": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": PALETTE["ink"],
    "axes.edgecolor": PALETTE["rule"],
    "axes.facecolor": PALETTE["surface"],
    "axes.labelcolor": PALETTE["muted"],
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=_SERIES),
    "figure.facecolor": PALETTE["surface"],
    "grid.color": PALETTE["rule"],
    "legend.frameon": False,
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
}
_SIZE_INCHES = (6.4, 3.4)
# A plot shows the first of many: its size, in inches and in bytes, does not follow from the file.
_REGIONS, _STAGES, _ROLES, _STEPS = 40, 12, 24, 1000
_BAR_INCHES = 0.26
_NAME = 24  # characters


def plots(report: Summary) -> dict[str, str]:
    """Every plot by name, as a standalone SVG document.

    Where a price is missing, the energy plots show counts of operations instead.
    """
    drawings: dict[str, Callable[[Axes, Summary], None]] = {
        "energy_by_stage": _energy_by_stage,
        "energy_over_samples": _energy_over_samples,
        "firing_rates": _firing_rates,
        "spikes_over_time": _spikes_over_time,
    }
    return {name: _svg(draw, report) for name, draw in drawings.items()}


def _svg(draw: Callable[[Axes, Summary], None], report: Summary) -> str:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Text stays text: whether matplotlib's own font has its characters does not matter.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        draw(figure.add_subplot(), report)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text.getvalue(), flags=re.DOTALL)


def _energy_by_stage(axes: Axes, report: Summary) -> None:
    every = report.regions()
    parts = dict(islice(every.items(), _REGIONS))
    quantity = _counts if report.unpriced else _energies
    amounts = {operation: [quantity(part).get(operation, 0.0) for part in parts.values()] for operation in KIND}
    amounts = {operation: row for operation, row in amounts.items() if any(row) and report.technology.price(operation)}
    unit = _unit(report, max((sum(column) for column in zip(*amounts.values(), strict=True)), default=0.0))
    places, left = np.arange(len(parts)), np.zeros(len(parts))
    for operation, row in amounts.items():
        width = np.array(row) / unit.factor
        axes.barh(places, width, left=left, height=0.62, label=KIND[operation].title, color=_operation_color(operation))
        left += width
    axes.set_yticks(places, [printable(name, _NAME) for name in parts])
    if isinstance(axes.figure, Figure):
        axes.figure.set_figheight(max(_SIZE_INCHES[1], 1.2 + _BAR_INCHES * len(parts)))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(_quantity_label(report, unit))
    axes.set_ylabel(_axis(report.division, len(parts), len(every)))
    axes.margins(x=0.02)
    if amounts:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)


def _energy_over_samples(axes: Axes, report: Summary) -> None:
    if report.per_sample_pj is not None:
        values = report.per_sample_pj
    else:
        charged = [kind.operation for kind in KINDS if report.technology.price(kind.operation)]
        values = np.sum([report.ledger.per_sample(operation) for operation in charged], axis=0, dtype=np.float64)
    unit = _unit(report, float(values.max()))
    scaled = values / unit.factor
    spread = float(np.ptp(scaled)) > 1e-9 * float(scaled.max())
    axes.hist(scaled, bins=min(40, max(5, len(scaled) // 4)) if spread else 1, color=_SERIES[0])
    axes.axvline(float(scaled.mean()), color=PALETTE["ink"], linewidth=1.2, label="mean")
    if report.total.energy_pj is not None and report.total.energy_pj.ci95 is not None:
        low, high = (bound / unit.factor for bound in report.total.energy_pj.ci95)
        axes.axvspan(low, high, color=_SERIES[1], alpha=0.3, linewidth=0, label="95 % interval of the mean")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(_quantity_label(report, unit))
    axes.set_ylabel("samples")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)


def _firing_rates(axes: Axes, report: Summary) -> None:
    rates = rates_by_role_and_stage(report.activity, report.ledger)
    if not rates:
        _rates_by_node(axes, report)
        return
    every = list(dict.fromkeys(role for role, _ in rates))
    roles = every[:_ROLES]
    stages = sorted({stage for _, stage in rates})[:_STAGES]
    width = 0.8 / max(1, len(stages))
    for position, stage in enumerate(stages):
        present = [role for role in roles if (role, stage) in rates]
        cells = [rates[role, stage] for role in present]
        axes.bar(
            [roles.index(role) + (position - (len(stages) - 1) / 2) * width for role in present],
            [100 * cell.mean for cell in cells],
            width * 0.92,
            yerr=[100 * (cell.std or 0.0) for cell in cells],
            error_kw={"ecolor": PALETTE["ink"], "elinewidth": 0.9, "capsize": 2},
            color=_SERIES[position % len(_SERIES)],
            label=stage_title(stage),
        )
    crowded = len(roles) > 7
    titles = [printable(role_title(role), _NAME) for role in roles]
    axes.set_xticks(range(len(roles)), titles, rotation=35 if crowded else 0, ha="right" if crowded else "center")
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(_axis("role", len(roles), len(every)))
    axes.set_ylabel("firing rate (% of neurons and steps)")
    axes.set_ylim(bottom=0)
    if stages:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=9)


def _rates_by_node(axes: Axes, report: Summary) -> None:
    rows = report.rates[:_REGIONS]
    bars = [100 * row.rate.mean for row in rows]
    whiskers = {"ecolor": PALETTE["ink"], "elinewidth": 0.9, "capsize": 2}
    axes.bar(range(len(rows)), bars, 0.7, yerr=[100 * (row.rate.std or 0.0) for row in rows], error_kw=whiskers)
    axes.set_xticks(range(len(rows)), [printable(row.node.name, _NAME) for row in rows], rotation=35, ha="right")
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(_axis("node", len(rows), len(report.rates)))
    axes.set_ylabel("firing rate (% of neurons and steps)")
    axes.set_ylim(bottom=0)


def _spikes_over_time(axes: Axes, report: Summary) -> None:
    sent = report.ledger.where(lambda entry: entry.operation == "spike" and entry.place.value_class != "real")
    regions = list(report.in_order(sent.split(report.region)).items())[:_STAGES]
    per_step = {name: sum(entry.all for entry in part.entries) for name, part in regions}
    unit = count_unit(max((float(np.mean(spikes, axis=0).max()) for spikes in per_step.values()), default=0.0))
    shown = slice(min(_STEPS, report.ledger.time_steps))
    steps = np.arange(1, report.ledger.time_steps + 1)[shown]
    for position, (name, spikes) in enumerate(per_step.items()):
        mean, std = (f(spikes, axis=0)[shown] / unit.factor for f in (np.mean, np.std))
        color = _SERIES[position % len(_SERIES)]
        axes.plot(steps, mean, marker="o", markersize=4, linewidth=1.6, color=color, label=printable(name, _NAME))
        axes.fill_between(steps, mean - std, mean + std, color=color, alpha=0.16, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(_axis("time step", len(steps), report.ledger.time_steps))
    axes.set_ylabel(f"spikes per inference{f' ({unit.symbol})' if unit.symbol else ''}, mean ± std")
    axes.set_ylim(bottom=0)
    if per_step:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=9)


def _axis(title: str, shown: int, of: int) -> str:
    return title if shown == of else f"{title} (the first {shown} of {of})"


def _energies(part: Part) -> dict[Operation, float]:
    return dict(part.by_operation_pj)


def _counts(part: Part) -> dict[Operation, float]:
    return dict(part.counts)


def _unit(report: Summary, largest: float) -> Unit:
    return count_unit(largest) if report.unpriced else energy_unit(largest)


def _quantity_label(report: Summary, unit: Unit) -> str:
    if report.unpriced:
        return f"operations per inference{f' ({unit.symbol})' if unit.symbol else ''}"
    return f"energy per inference ({unit.symbol})"


def _operation_color(operation: Operation) -> str:
    colors: dict[Operation, str] = {
        "ac": _SERIES[0],
        "ac_weighted": _SERIES[3],
        "graded_events": _SERIES[3],
        "mac_dense": _SERIES[1],
        "mac_effective": _SERIES[1],
        "neuron_update": _SERIES[2],
        "leak": _SERIES[5],
        "bias_add": _SERIES[4],
        "spike": _SERIES[4],
    }
    return colors[operation]
