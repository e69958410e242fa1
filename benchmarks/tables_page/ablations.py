"""Tables 2 to 4 and both profiles of the network, from the rows of `benchmarks.tables`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import sqrt
from operator import itemgetter
from statistics import fmean

from benchmarks.tables import CONDITIONS, PROFILES, ROWS, TABLES, WHOLE
from benchmarks.tables_page import published
from benchmarks.tables_page.cells import ABSENT, Figure, Row, cell, markdown, percent
from snnergy.training.loop.seeds import Spread, spread

# Masks are not in the publication's table by name; rates of 0.2 to 0.4 in its row Attn are those of masks, not of what
# masks let through, which is `attn` here.
ROLES = ("q", "k", "mask", "attn", "mlp1", "mlp2")
TITLES = {
    "2": "Table 2: time steps",
    "3": "Table 3: paths of the attention",
    "4": "Table 4: firing rates",
    "stage 3": "Attention of stage 3",
}
_GRID_TEST_CLIPS = 160
# Attention of the hybrid network's third stage: a bit a token and head in `loihi`, one a token and channel in `paper`.
_UNLIKE = "3 attn"


def chosen(rows: Iterable[Row], table: str, name: str, condition: str, profile: str) -> list[Row]:
    """The seeds of one network by where it stands."""
    return [
        row
        for row in rows
        if [table, name] in row["tables"] and (row["condition"], row["profile"]) == (condition, profile)
    ]


def _rate(rows: Iterable[Row], key: str, digits: int) -> str:
    """Mean ± deviation of the firing rate of a stage and role, over the rows that have it."""
    return cell([row["firing_rates"] for row in rows if key in row["firing_rates"]], itemgetter(key), digits)


def _sampling_error(accuracy: float) -> str:
    """Of an accuracy 0..1 on GRID's test split, in points: the standard deviation of a binomial share."""
    return f"{100 * sqrt(accuracy * (1 - accuracy) / _GRID_TEST_CLIPS):.1f}"


def accuracy_table(rows: Sequence[Row], table: str) -> str:
    """Test accuracy in percent by condition and profile, with what was published."""
    columns = [(condition, profile) for condition in CONDITIONS for profile in PROFILES]
    stated = published.ACCURACIES.get(table, {})
    unstated = (ABSENT, ABSENT) if stated else ()
    head = ["", *(f"{condition}, {profile}" for condition, profile in columns)]
    head += ["paper, CREMA-D", "paper, AVE"] if stated else []
    body = [
        [
            name,
            *(cell(chosen(rows, table, name, *column), percent, 1) for column in columns),
            *(tuple(f"{figure:.2f}" for figure in stated[name]) if name in stated else unstated),
        ]
        for name in TABLES[table]
    ]
    return markdown(head, body)


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
            _rate(chosen(rows, "4", "firing rates", "-12 dB", profile), f"{stage} {role}", 4)
            for profile, stage in product(PROFILES, stages)
        ]
        crema_d, ave = published.RATES.get(role, ((), ()))
        body.append([role, *ours, *([f"{rate:.4f}" for rate in crema_d + ave] or [ABSENT] * 6)])
    return markdown(head, body)


def gate_table(rows: Sequence[Row]) -> str:
    """Rates of the binary fusion's gate."""
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
    return markdown(["", *(f"{condition}, stage {stage}" for condition, stage in columns)], body)


def _gates(rows: Sequence[Row]) -> str:
    """Which fusions the networks have."""
    names = sorted({row["config"]["model"]["fusion"] for row in rows if "1 gate" in row["firing_rates"]})
    return f"These networks have `model.fusion={' and '.join(names)}`."


def profile_table(rows: Sequence[Row]) -> str:
    """What the binary profile costs or gains against the real-valued one, on the whole network."""
    whole = [row for row in rows if row["row"] == WHOLE]
    shared = _comparable(*(row["firing_rates"] for row in whole))
    figures: dict[str, tuple[Figure, int]] = {
        "test accuracy, %": (percent, 1),
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
            *(cell([row for row in whole if (row["condition"], row["profile"]) == column], *how) for column in columns),
        ]
        for title, how in figures.items()
    ]
    return markdown(["", *(f"{condition}, {profile}" for condition, profile in columns)], body)


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


def section(rows: Sequence[Row], plot_name: str) -> list[str]:
    """All tables of this module; `plot_name` is the picture of them."""
    settings = rows[0]["config"]
    data, side, base_dim = settings["data"]["name"], settings["model"]["image_size"], settings["model"]["base_dim"]
    grid = (
        f"The test split is {_GRID_TEST_CLIPS} clips of one speaker: the sampling error of an accuracy is "
        f"{_sampling_error(0.94)} points near 94 %, {_sampling_error(0.8)} near 80 %."
    )
    parts = [
        f"## Tables 2 to 4 on {'GRID digits' if data == 'grid' else data}",
        "The network is the hybrid one (query-key attention in two stages, self-attention in the third) at "
        f"{side} × {side} pixels and D = {base_dim} unless a row says otherwise. Epochs: {_epochs(rows)}.",
        *([grid] if data == "grid" else []),
        f"![Accuracy over time steps, and firing rates]({plot_name})",
        "### What the binary profile costs or gains",
        "`loihi` is binary and causal; `paper` multiplies two means, so its residual streams are real-valued. "
        "Operations are those of the projections and of the real-valued product, driven by what arrived, in PyTorch "
        "(see `benchmarks/network_activity.py`).",
        *filter(None, (comparison(rows, condition) for condition in CONDITIONS)),
        profile_table(rows),
        "### What the binary fusion lets through",
        "Share of the gate's entries that are 1 in `loihi`: of F itself where the gate is all of it, and of what the "
        f"temporal path adds to the spatial one's spikes where F is a gated sum. {_gates(rows)}",
        gate_table(rows),
    ]
    for table in ("2", "3", "stage 3"):
        parts += [f"### {TITLES[table]}", accuracy_table(rows, table)]
    return [
        *parts,
        f"### {TITLES['4']}",
        "In stage 3 `attn` is a bit a token and head in `loihi`, and one a token and channel in `paper`.",
        rate_table(rows),
    ]
