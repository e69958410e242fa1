"""The picture of tables 2 and 4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from benchmarks.tables import PROFILES, TABLES
from benchmarks.tables_page import published
from benchmarks.tables_page.ablations import chosen
from benchmarks.tables_page.cells import Row, percent
from snnergy.artefacts.files import written_whole
from snnergy.training.loop.seeds import spread

matplotlib.use("Agg")
from matplotlib import pyplot


def plot(rows: Sequence[Row], path: Path) -> None:
    """Accuracy over time steps, with the deviation over seeds, and rates by role and stage."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for profile in PROFILES:
        steps = {int(name): chosen(rows, "2", name, "-12 dB", profile) for name in TABLES["2"]}
        points = {at: spread(map(percent, of)) for at, of in steps.items() if of}
        if points:
            means, deviations = [x.mean for x in points.values()], [x.deviation for x in points.values()]
            left.errorbar(list(points), means, deviations, marker="o", capsize=3, label=profile)
    left.set(xlabel="time steps", ylabel="test accuracy, %", title="Accuracy at -12 dB")
    labels = [f"{role}, {stage}" for role in published.RATES for stage in (1, 2, 3)]
    for shift, profile in zip((-0.2, 0.2), PROFILES, strict=True):
        whole = chosen(rows, "4", "firing rates", "-12 dB", profile)
        if whole:
            keys = [f"{stage} {role}" for role in published.RATES for stage in (1, 2, 3)]
            heights = [spread(row["firing_rates"][key] for row in whole).mean for key in keys]
            right.bar([place + shift for place in range(len(keys))], heights, width=0.4, label=profile)
    right.set_xticks(range(len(labels)), labels, rotation=90)
    right.set(ylabel="spikes a neuron and step", title="Firing rates: role, stage")
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    with written_whole(path, force=True) as scratch:
        figure.savefig(scratch, format="png", dpi=110)
    pyplot.close(figure)
