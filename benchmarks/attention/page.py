"""The page of what attention costs and its plots, from the results file: nothing on it is written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.emulator.cost import line
from snnergy.artefacts.files import written_whole

matplotlib.use("Agg")
from matplotlib import pyplot

Row = dict[str, Any]

# arXiv 2602.00701, table 5: (channels, tokens) → millions of operations of CMQKA and of SSA.
PUBLISHED = {
    (192, 1024): (37.7, 201.3), (384, 256): (37.7, 25.2), (768, 64): (37.7, 3.1),
    (96, 1024): (9.4, 100.7), (192, 256): (9.4, 12.6), (384, 64): (9.4, 1.6),
}  # fmt: skip
# Hybrid, all CMQKA, all SSA, by base width.
PUBLISHED_TOTALS = {192: (78.5, 113.1, 229.6), 96: (20.4, 28.2, 114.9)}
STAGES = {(width << stage, 1024 >> 2 * stage): (width, stage + 1) for width in (96, 192) for stage in range(3)}
OURS, BITS, MOVED = "CMQKA", "CMQKA on words", "CMQKA on words, packed and unpacked"
CHEAP, DEAR, QUADRATIC = "SSA, Q (Kᵀ V)", "SSA, (Q Kᵀ) V", "CCSSA"
_OPERATIONS = ("projections", "products", "elementwise")
MEASURES: dict[str, tuple[str, Callable[[Row], float]]] = {
    "flops": ("floating-point operations, G", lambda row: row["flops"] / 1e9),
    "seconds": ("run time, ms", lambda row: 1e3 * row["seconds"]),
    "peak_bytes": ("peak memory, MiB", lambda row: row["peak_bytes"] / 2**20),
}


def write_page(results: Path, page: Path) -> None:
    """The page, and its two plots under its name."""
    given = json.loads(results.read_text())
    rows: list[Row] = given["rows"]
    scaling, stages = (page.with_name(f"{page.stem}-{name}.svg") for name in ("scaling", "stages"))
    plot_scaling(rows, scaling)
    plot_stages(rows, stages)
    text = [
        "# What attention costs",
        f"Generated from `{results}` by `benchmarks/attention/page.py`; `make tables` measures anew. "
        f"{given['machine']}; revision {given['git_revision']}. Table 5 and figures 4 to 7 of arXiv 2602.00701, with "
        "what they leave out. "
        f"T = {given['time_steps']}, {given['heads']} heads, one sample, one direction, inference on one thread; a "
        f"time is the median of {given['rounds']} runs in turns.",
        counted(rows),
        f"## Growth with the tokens\n\n{_LAYERS}",
        f"![Operations, run time and memory over tokens]({scaling.name})",
        growth(rows),
        "## Stages 1 and 2: figures 4 to 7\n\nOne direction of a block, at both base widths. The publication has CMQKA "
        f"beside {QUADRATIC}, the quadratic attention of S-CMRL.",
        f"![Operations, run time and memory in stages 1 and 2]({stages.name})",
        by_stage(rows),
        "## Where self-attention in the cheap order wins",
        *cheap_order(rows),
        words(rows),
    ]
    with written_whole(page, force=True) as scratch:
        scratch.write_text("\n\n".join(text) + "\n")


_LAYERS = (
    "From both streams to what joins one of them: projections with BatchNorm, neurons, attention. `CMQKA` is the "
    "binary, causal form, `CMQKA, means` that of the publication, real-valued; `CMQKA on words` is the first in the "
    "kernel below. `CCSSA` multiplies self-attention over tokens with one over steps, as S-CMRL does; `softmax, fused` "
    "is torch's `scaled_dot_product_attention` on real values. Floating-point operations are those of convolutions and "
    "matrix products, as torch's `FlopCounterMode` counts them. Memory is what tensors take at most at once, inputs "
    "not counted. The exponent is that of N in a power of N, fitted over all numbers of tokens."
)


def counted(rows: Sequence[Row]) -> str:
    """Table 5: the publication's figures, their formulas, and what modules do."""
    found = {(row["channels"], row["tokens"], row["system"]): row for row in rows if row["kind"] == "operations"}
    body, parts = [], []
    for (channels, tokens), (width, stage) in STAGES.items():
        cmqka, ccssa, cheap, dear = (found[channels, tokens, name] for name in (OURS, QUADRATIC, CHEAP, DEAR))
        published = PUBLISHED[channels, tokens]
        formulas = tokens * channels**2 / 1e6, tokens**2 * channels / 1e6
        body.append(
            [
                f"D = {width}, stage {stage}", str(tokens), str(channels),
                f"{published[0]:.1f}", f"{formulas[0]:.1f}", *_both(cmqka),
                f"{published[1]:.1f}", f"{formulas[1]:.1f}", *_both(dear), _attention(cheap), *_both(ccssa),
            ]
        )  # fmt: skip
        parts.append((channels, tokens, formulas, cmqka, dear))
    head = [
        "", "N", "C", "CMQKA, published", "N·C²", "projections", "attention", "SSA, published", "N²·C",
        "projections", "attention, (Q Kᵀ) V", "attention, Q (Kᵀ V)", "CCSSA, projections", "attention",
    ]  # fmt: skip
    agree = all(
        tuple(round(formula, 1) for formula in formulas) == PUBLISHED[channels, tokens]
        for channels, tokens, formulas, *_ in parts
    )
    ratios = [cmqka["projections"] / 1e6 / formulas[0] for *_, formulas, cmqka, _ in parts]
    products = [dear["products"] / 1e6 / formulas[1] for *_, formulas, _, dear in parts]
    return "\n\n".join(
        [
            "## Table 5: operations of a step and direction, millions",
            "Counted while the modules run: `projections` are the multiply-accumulates of weights; `attention` what is "
            "between the spikes of the projections and F, that is multiply-accumulates of matrix products, additions "
            "of sums and means, and products of entries (ANDs of spikes). Updates of neurons come on top, at most "
            f"{max(row['neurons'] / row['tokens'] / row['channels'] for row in found.values()):.1f} an entry.",
            _markdown(head, body),
            f"**What agrees.** {'Every' if agree else 'Not every'} published figure of a stage is its formula, "
            f"rounded, and the totals (hybrid, all CMQKA, all SSA: {_totals()}) are sums of these.",
            f"**What does not.** The formulas are not what a layer does. N·C² is one projection; CMQKA has "
            f"{_range(ratios)} of them, two for each of two paths, and what remains of its attention is linear in N "
            f"and in C. N²·C is one matrix product; self-attention has {_range(products)}, and beside them as many "
            "projections as CMQKA, which the published figure leaves out. And the same result is to be had as "
            "Q (Kᵀ V), linear in N too, which the publication does not count.",
        ]
    )


def _both(row: Row) -> tuple[str, str]:
    return f"{row['projections'] / 1e6:.1f}", _attention(row)


def _attention(row: Row) -> str:
    return f"{(row['products'] + row['elementwise']) / 1e6:.2f}"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def _totals() -> str:
    return "; ".join(f"D = {width}: {', '.join(map(str, totals))}" for width, totals in PUBLISHED_TOTALS.items())


def growing(rows: Sequence[Row], kind: str, measure: str) -> dict[tuple[str, int], dict[int, float]]:
    """(system, channels) → tokens → measure, where there is more than one number of tokens."""
    found: dict[tuple[str, int], dict[int, float]] = {}
    for row in rows:
        if row["kind"] == kind and row["channels"] in (96, 192):
            found.setdefault((row["system"], row["channels"]), {})[row["tokens"]] = MEASURES[measure][1](row)
    return {key: points for key, points in found.items() if len(points) > 1}


def exponent(points: dict[int, float]) -> float:
    """Of x in the power of x that fits y best in logarithms."""
    return line([log(x) for x in points], [log(y) for y in points.values()])[0]


def growth(rows: Sequence[Row]) -> str:
    """A table for each measure: sizes and the exponent."""
    parts = []
    for measure, (title, _) in MEASURES.items():
        lines = growing(rows, "layer", measure)
        tokens = sorted({at for points in lines.values() for at in points})
        body = [
            [name, str(channels), *(_figure(points[at]) for at in tokens), f"{exponent(points):.2f}"]
            for (name, channels), points in lines.items()
        ]
        head = ["", "C", *(f"N = {at}" for at in tokens), "exponent"]
        parts.append(f"### {title[0].upper()}{title[1:]}\n\n{_markdown(head, body)}")
    return "\n\n".join(parts)


def by_stage(rows: Sequence[Row]) -> str:
    """Stages 1 and 2 of both base widths, as far as they were measured."""
    body = [
        [
            f"D = {width}, stage {stage}",
            row["system"],
            *(_figure(value(row)) for _, value in MEASURES.values()),
        ]
        for (channels, tokens), (width, stage) in STAGES.items()
        if stage < 3
        for row in rows
        if (row["kind"], row["channels"], row["tokens"]) == ("layer", channels, tokens)
    ]
    return _markdown(["", "layer", *(title for title, _ in MEASURES.values())], body)


def beside(rows: Sequence[Row], kind: str) -> dict[tuple[int, int], tuple[float, float]]:
    """Stage → cost of CMQKA and of self-attention in its better order: all `operations`, or seconds of that kind."""
    cost = {key: _cost(row) for key, row in _keyed(rows).items() if key[0] == kind}
    return {
        size: (cost[kind, size, OURS], min(cost[kind, size, name] for name in (CHEAP, DEAR)))
        for size in STAGES
        if (kind, size, OURS) in cost
    }


def _cost(row: Row) -> float:
    return float(row["seconds"]) if "seconds" in row else sum(row[kind] for kind in _OPERATIONS)


def cheap_order(rows: Sequence[Row]) -> list[str]:
    """Which stages it wins, by the publication's formulas, by counted operations and by the clock."""
    total = {
        size: _cost(row) for (kind, size, name), row in _keyed(rows).items() if (kind, name) == ("operations", CHEAP)
    }
    timed = {key: 1e3 * row["seconds"] for key, row in _keyed(rows).items() if key[0] != "operations"}

    def wins(kind: str) -> str:
        return _list([stage_name(size) for size, (ours, other) in beside(rows, kind).items() if other < ours])

    more = max(total[size] / ours for size, (ours, _) in beside(rows, "operations").items()) - 1
    columns = [(kind, name) for kind in ("layer", "attention") for name in (OURS, CHEAP, DEAR)]
    body = [
        [stage_name(size), *(_figure(timed[kind, size, name]) for kind, name in columns)]
        for size in STAGES
        if ("layer", size, OURS) in timed
    ]
    return [
        "- By the published formulas, N²·C against N·C², self-attention is cheaper where N < C: "
        f"{_list([stage_name(size) for size in STAGES if size[1] < size[0]])}. In the cheap order, 2·N·C²/h with h = 8 "
        "heads, it is cheaper than N·C² in every stage.",
        f"- By what the modules do, projections included, it takes fewer operations in {wins('operations')}; "
        f"in the cheap order at most {more:.1%} more, since both are four projections and little else.",
        f"- By the clock, in its faster order, it is the faster layer in {wins('layer')}; from the spikes of "
        f"its projections on, the faster attention in {wins('attention')}.",
        _markdown(["", *(f"{kind}: {name}, ms" for kind, name in columns)], body),
    ]


def _keyed(rows: Sequence[Row]) -> dict[tuple[str, tuple[int, int], str], Row]:
    """By kind, (channels, tokens), and system."""
    return {(row["kind"], (row["channels"], row["tokens"]), row["system"]): row for row in rows}


def stage_name(size: tuple[int, int]) -> str:
    """With tokens and channels."""
    width, stage = STAGES[size]
    return f"stage {stage} of D = {width} (N = {size[1]}, C = {size[0]})"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "no stage"


def words(rows: Sequence[Row]) -> str:
    """The kernel on words beside what it stands for."""
    found = _keyed(rows)
    alone: list[list[str]] = []
    whole: list[list[str]] = []
    for size in [size for kind, size, name in found if (kind, name) == ("attention", BITS)]:
        for kind, body in (("attention", alone), ("layer", whole)):
            row = [*map(str, size), _figure(1e3 * found[kind, size, BITS]["seconds"])]
            row += _times(found, kind, size, BITS, "seconds")
            row += _times(found, kind, size, MOVED, "seconds") if kind == "attention" else []
            body.append(row + _times(found, kind, size, BITS, "peak_bytes"))
    time, packing, memory = (
        [f"{what} {name}" for name in (OURS, CHEAP, DEAR)] for what in ("time:", "time, packing counted:", "memory:")
    )
    return "\n\n".join(
        [
            "## Binary attention on words",
            "`training/model/packed_attention.py` keeps the channels of a head in words of 16 bits: a mask is a LIF of "
            "a popcount, attention an AND, the mean over space a count of bits. Its results are those of the modules, "
            "bit for bit. The tables say how many times as much the others take.",
            "Attention alone: from spikes to the mean over space of one path and the gated spikes of the other; of "
            "self-attention, from spikes to its integer product. Words are given and left as words, as in the layer, "
            "where neurons write them. Where packing is counted, they are made of tensors of spikes first, and a "
            "tensor is made of them last.",
            _markdown(["C", "N", "ms", *time, *packing, *memory], alone),
            "The whole layer, which is mostly projections:",
            _markdown(["C", "N", "ms", *time, *memory], whole),
        ]
    )


def _times(
    found: dict[tuple[str, tuple[int, int], str], Row], kind: str, size: tuple[int, int], than: str, what: str
) -> list[str]:
    """How many times as much of `what` CMQKA and self-attention in both orders take."""
    least = found[kind, size, than][what]
    return [f"{found[kind, size, name][what] / least:.1f}×" for name in (OURS, CHEAP, DEAR)]


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def plot_scaling(rows: Sequence[Row], path: Path) -> None:
    """Every measure over tokens, at both widths, on logarithmic axes; the legend has the exponents."""
    with pyplot.rc_context({"svg.hashsalt": "snnergy", "svg.fonttype": "none", "font.size": 8}):
        figure, grid = pyplot.subplots(2, 3, figsize=(12, 8), layout="constrained")
        for column, (measure, (title, _)) in enumerate(MEASURES.items()):
            lines = growing(rows, "layer", measure)
            for (name, channels), points in lines.items():
                axes = grid[(96, 192).index(channels)][column]
                axes.plot(list(points), list(points.values()), "o-", markersize=4, linewidth=1,
                          label=f"{name}: N^{exponent(points):.2f}")  # fmt: skip
            for row, channels in enumerate((96, 192)):
                axes = grid[row][column]
                axes.set(xscale="log", yscale="log", xlabel="tokens N", ylabel=title, title=f"C = {channels}")
                if axes.get_legend_handles_labels()[0]:
                    axes.legend()
        _save(figure, path)


def plot_stages(rows: Sequence[Row], path: Path) -> None:
    """Every measure in stages 1 and 2, a bar a layer, on a logarithmic axis."""
    stages = [size for size, (_, stage) in STAGES.items() if stage < 3]
    with pyplot.rc_context({"svg.hashsalt": "snnergy", "svg.fonttype": "none", "font.size": 8}):
        figure, grid = pyplot.subplots(1, 3, figsize=(12, 4), layout="constrained")
        layer = [row for row in rows if row["kind"] == "layer" and (row["channels"], row["tokens"]) in stages]
        names = list(dict.fromkeys(row["system"] for row in layer))
        for axes, (title, value) in zip(grid, MEASURES.values(), strict=True):
            for index, name in enumerate(names):
                own = [row for row in layer if row["system"] == name]
                places = [stages.index((row["channels"], row["tokens"])) + (index / len(names) - 0.4) for row in own]
                axes.bar(places, [value(row) for row in own], width=0.8 / len(names), label=name)
            labels = [f"D = {STAGES[size][0]}\nstage {STAGES[size][1]}" for size in stages]
            axes.set_xticks(range(len(stages)), labels)
            axes.set(yscale="log" if layer else "linear", ylabel=title)
        if names:
            grid[0].legend()
        _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with written_whole(path, force=True) as scratch:
        figure.savefig(scratch, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body))
