"""The page of tables and its plot, from the results file: nothing on it is written by hand.

python -m benchmarks.tables_page benchmarks/results/tables.json -o docs/tables.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from math import sqrt
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib

from benchmarks.results_file import read_rows
from benchmarks.tables import CONDITIONS, PROFILES, ROWS, TABLES, WHOLE
from snnergy.artefacts.files import written_whole
from snnergy.training.loop.seeds import Spread, spread

matplotlib.use("Agg")
from matplotlib import pyplot

Row = dict[str, Any]

# arXiv 2602.00701: tables 2 and 3, accuracy in percent on CREMA-D and AVE; table 4, rates on both.
PUBLISHED = {
    "2": {"1": (72.63, 64.18), "2": (73.71, 68.66), "4": (75.75, 69.99), "6": (78.38, 72.14)},
    "3": {"spatial": (77.78, 63.68), "temporal, 3 steps": (77.24, 70.15), "spatiotemporal": (78.38, 72.14)},
}
PUBLISHED_RATES = {
    "q": ((0.1304, 0.1396, 0.1285), (0.0896, 0.1027, 0.1470)),
    "k": ((0.1423, 0.1348, 0.1077), (0.1258, 0.1154, 0.1278)),
    "attn": ((0.4355, 0.3842, 0.2156), (0.3103, 0.3247, 0.1890)),
    "mlp1": ((0.1158, 0.1076, 0.0814), (0.0840, 0.0981, 0.0832)),
    "mlp2": ((0.0987, 0.0775, 0.0671), (0.0769, 0.0617, 0.0678)),
}
# Masks are not in the publication's table by name; rates of 0.2 to 0.4 in its row Attn are those of masks, not of what
# masks let through, which is `attn` here.
ROLES = ("q", "k", "mask", "attn", "mlp1", "mlp2")
TITLES = {
    "2": "Table 2: time steps",
    "3": "Table 3: paths of the attention",
    "4": "Table 4: firing rates",
    "stage 3": "Attention of stage 3",
}
_ABSENT = "–"
_GRID_TEST_CLIPS = 160
# Attention of the hybrid network's third stage: a bit a token and head in `loihi`, one a token and channel in `paper`.
_UNLIKE = "3 attn"

Figure = Callable[[Row], float]


def _chosen(rows: Iterable[Row], table: str, name: str, condition: str, profile: str) -> list[Row]:
    return [
        row
        for row in rows
        if [table, name] in row["tables"] and (row["condition"], row["profile"]) == (condition, profile)
    ]


def _cell(rows: Sequence[Row], figure: Figure, digits: int) -> str:
    """Mean ± deviation over the seeds, and how many there are where it is not three."""
    if not rows:
        return _ABSENT
    found = spread(figure(row) for row in rows)
    deviation = f" ± {found.deviation:.{digits}f}" if len(rows) > 1 else ""
    seeds = "" if len(rows) == 3 else f" ({len(rows)} seed{'s' if len(rows) > 1 else ''})"
    return f"{found.mean:.{digits}f}{deviation}{seeds}"


def _rate(rows: Iterable[Row], key: str, digits: int) -> str:
    """Mean ± deviation of the firing rate of a stage and role, over the rows that have it."""
    return _cell([row["firing_rates"] for row in rows if key in row["firing_rates"]], itemgetter(key), digits)


def _sampling_error(accuracy: float) -> str:
    """Of an accuracy 0..1 on GRID's test split, in points: the standard deviation of a binomial share."""
    return f"{100 * sqrt(accuracy * (1 - accuracy) / _GRID_TEST_CLIPS):.1f}"


def _markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def accuracy_table(rows: Sequence[Row], table: str) -> str:
    """Test accuracy in percent by condition and profile, with what was published."""
    columns = [(condition, profile) for condition in CONDITIONS for profile in PROFILES]
    published = PUBLISHED.get(table, {})
    unpublished = (_ABSENT, _ABSENT) if published else ()
    head = ["", *(f"{condition}, {profile}" for condition, profile in columns)]
    head += ["paper, CREMA-D", "paper, AVE"] if published else []
    body = [
        [
            name,
            *(_cell(_chosen(rows, table, name, *column), lambda row: 100 * row["accuracy"], 1) for column in columns),
            *(tuple(f"{figure:.2f}" for figure in published[name]) if name in published else unpublished),
        ]
        for name in TABLES[table]
    ]
    return _markdown(head, body)


def rate_table(rows: Sequence[Row]) -> str:
    """Firing rates of the whole network at -12 dB by role and stage, with what was published."""
    stages = (1, 2, 3)
    head = [
        "",
        *(f"{profile}, stage {stage}" for profile in PROFILES for stage in stages),
        *(f"paper, {data}, {stage}" for data in ("CREMA-D", "AVE") for stage in ("CM1", "CM2", "SSA")),
    ]
    body = []
    for role in ROLES:
        ours = [
            _rate(_chosen(rows, "4", "firing rates", "-12 dB", profile), f"{stage} {role}", 4)
            for profile, stage in product(PROFILES, stages)
        ]
        crema_d, ave = PUBLISHED_RATES.get(role, ((), ()))
        body.append([role, *ours, *([f"{rate:.4f}" for rate in crema_d + ave] or [_ABSENT] * 6)])
    return _markdown(head, body)


def gate_table(rows: Sequence[Row]) -> str:
    """Rates of the binary fusion's gate: the share of F that is 1."""
    columns = list(product(CONDITIONS, (1, 2, 3)))
    gated = [row for row in rows if "1 gate" in row["firing_rates"]]
    body = [
        [
            name,
            *(
                _rate([row for row in gated if (row["row"], row["condition"]) == (name, condition)], f"{stage} gate", 5)
                for condition, stage in columns
            ),
        ]
        for name in ROWS
        if any(row["row"] == name for row in gated)
    ]
    return _markdown(["", *(f"{condition}, stage {stage}" for condition, stage in columns)], body)


def _gates(rows: Sequence[Row]) -> str:
    """Which gates the networks have; those from before there was a choice have the fixed one."""
    models = [row["config"]["model"] for row in rows if row["profile"] == "loihi"]
    names = sorted({str(model.get("fusion", "fixed_gate")) for model in models})
    gates = f"The networks of this page have `model.fusion={' and '.join(names)}`."
    if "fixed_gate" not in names:
        return gates
    return f"{gates} At one time step its gain in time is raised: at the usual one no membrane reaches the threshold."


def profile_table(rows: Sequence[Row]) -> str:
    """What the binary profile costs or gains against the real-valued one, on the whole network."""
    whole = [row for row in rows if row["row"] == WHOLE]
    shared = _comparable(*(row["firing_rates"] for row in whole))
    figures: dict[str, tuple[Figure, int]] = {
        "test accuracy, %": (lambda row: 100 * row["accuracy"], 1),
        "test loss, nats": (lambda row: row["loss"], 3),
        "firing rate, mean of the roles and stages that both have": (
            lambda row: fmean(row["firing_rates"][key] for key in shared),
            4,
        ),
        "accumulates, millions": (lambda row: row["accumulates"] / 1e6, 2),
        "multiply-accumulates, millions": (lambda row: row["multiply_accumulates"] / 1e6, 2),
        "energy at 45 nm fp32 prices, µJ": (lambda row: row["energy_pj"] / 1e6, 2),
    }
    columns = [(condition, profile) for condition in CONDITIONS for profile in PROFILES]
    body = [
        [
            title,
            *(
                _cell([row for row in whole if (row["condition"], row["profile"]) == column], *how)
                for column in columns
            ),
        ]
        for title, how in figures.items()
    ]
    return _markdown(["", *(f"{condition}, {profile}" for condition, profile in columns)], body)


def comparison(rows: Sequence[Row], condition: str) -> str:
    """One sentence on `loihi` against `paper`, seed by seed, on the whole network; empty where no seed has both."""
    whole = {(row["profile"], row["seed"]): row for row in rows if (row["condition"], row["row"]) == (condition, WHOLE)}
    seeds = sorted(seed for profile, seed in whole if profile == "loihi" and ("paper", seed) in whole)
    if not seeds:
        return ""
    pairs = [(whole["loihi", seed], whole["paper", seed]) for seed in seeds]
    points = spread(100 * (loihi["accuracy"] - paper["accuracy"]) for loihi, paper in pairs)
    rate = spread(_rate_ratio(loihi["firing_rates"], paper["firing_rates"]) for loihi, paper in pairs).mean
    energy = spread(loihi["energy_pj"] / paper["energy_pj"] for loihi, paper in pairs).mean
    scope = "one seed" if len(pairs) == 1 else f"{len(pairs)} seeds, each against the same seed"
    deviation = f" ± {points.deviation:.1f}" if len(pairs) > 1 else ""
    accurate = f"{abs(points.mean):.1f}{deviation} points {'more' if points.mean > 0 else 'less'} accurate than"
    if points == Spread(0, 0):
        accurate = "as accurate as"
    return (
        f"{condition} ({scope}): `loihi` is {accurate} `paper`; populations that both have fire "
        f"{rate:.2f} times as often, and the operations cost {energy:.2f} times as much energy."
    )


def _comparable(*rates: dict[str, float]) -> list[str]:
    """The roles and stages that all of them have, and that are the same population in both profiles."""
    shared = set.intersection(*map(set, rates)) if rates else set()
    return sorted(shared - {_UNLIKE})


def _rate_ratio(of: dict[str, float], to: dict[str, float]) -> float:
    """Mean rate over mean rate, of the roles and stages in both."""
    shared = _comparable(of, to)
    return sum(of[key] for key in shared) / sum(to[key] for key in shared)


def _epochs(rows: Sequence[Row]) -> str:
    found = {row["condition"]: row["config"]["train"]["epochs"] for row in rows}
    return ", ".join(f"{found[condition]} ({condition})" for condition in CONDITIONS if condition in found)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Accuracy over time steps, with the deviation over seeds, and rates by role and stage."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for profile in PROFILES:
        chosen = {int(name): _chosen(rows, "2", name, "-12 dB", profile) for name in TABLES["2"]}
        points = {steps: spread(100 * row["accuracy"] for row in of) for steps, of in chosen.items() if of}
        if points:
            means, deviations = [x.mean for x in points.values()], [x.deviation for x in points.values()]
            left.errorbar(list(points), means, deviations, marker="o", capsize=3, label=profile)
    left.set(xlabel="time steps", ylabel="test accuracy, %", title="Accuracy at -12 dB")
    labels = [f"{role}, {stage}" for role in PUBLISHED_RATES for stage in (1, 2, 3)]
    for shift, profile in zip((-0.2, 0.2), PROFILES, strict=True):
        whole = _chosen(rows, "4", "firing rates", "-12 dB", profile)
        if whole:
            keys = [f"{stage} {role}" for role in PUBLISHED_RATES for stage in (1, 2, 3)]
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


def page(rows: Sequence[Row], source: str, plot_name: str) -> str:
    """The whole page."""
    settings = rows[0]["config"]
    data, side, base_dim = settings["data"]["name"], settings["model"]["image_size"], settings["model"]["base_dim"]
    grid = (
        f"The test split is {_GRID_TEST_CLIPS} clips of one speaker: the sampling error of an accuracy is "
        f"{_sampling_error(0.94)} points near 94 %, {_sampling_error(0.8)} near 80 %."
    )
    parts = [
        f"# The paper's tables on {'GRID digits' if data == 'grid' else data}",
        f"Generated from `{source}` by `benchmarks/tables_page.py`; `make tables` reruns the experiments. Test "
        "accuracy in percent, mean ± sample deviation over the seeds; a dash stands for what was not run or published. "
        "The network is the hybrid one (query-key attention in two stages, self-attention in the third) at "
        f"{side} × {side} pixels and D = {base_dim} unless a row says otherwise. The publication's columns are other "
        f"data at 128 × 128: they show how a trend compares, not which is better. Epochs: {_epochs(rows)}.",
        *([grid] if data == "grid" else []),
        f"![Accuracy over time steps, and firing rates]({plot_name})",
        "## What the binary profile costs or gains",
        "`loihi` is binary and causal; `paper` multiplies two means, so its residual streams are real-valued. "
        "Operations are those of the projections and of the real-valued product, driven by what arrived, in PyTorch "
        "(see `benchmarks/network_activity.py`).",
        *filter(None, (comparison(rows, condition) for condition in CONDITIONS)),
        profile_table(rows),
        "## What the binary fusion lets through",
        "Share of the entries of F that are 1 in `loihi`. Where it is near 0, a stream is what downsampling and MLPs "
        f"make of it, and networks that differ in their attention alone differ little. {_gates(rows)}",
        gate_table(rows),
    ]
    for table in ("2", "3", "stage 3"):
        parts += [f"## {TITLES[table]}", accuracy_table(rows, table)]
    parts += [
        f"## {TITLES['4']}",
        "In stage 3 `attn` is a bit a token and head in `loihi`, and one a token and channel in `paper`.",
        rate_table(rows),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def main() -> None:
    """Write the page and its plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = read_rows(arguments.results)
    picture = arguments.output.with_suffix(".png")
    plot(rows, picture)
    with written_whole(arguments.output, force=True) as scratch:
        scratch.write_text(page(rows, str(arguments.results), picture.name))


if __name__ == "__main__":
    main()
