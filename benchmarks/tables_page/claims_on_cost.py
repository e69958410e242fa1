"""Claims on firing rates, and on what attention costs and how that grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.attention import page as attention
from benchmarks.tables_page import fusion, published
from benchmarks.tables_page.cells import Row, listed
from benchmarks.tables_page.claims_on_accuracy import places
from benchmarks.tables_page.findings import Claim, Finding
from benchmarks.tables_page.margins import DEVIATIONS, Verdict
from snnergy.training.loop.seeds import spread

# An exponent of N up to which a cost counts as linear.
LINEAR = 1.05
Exponents = dict[str, list[float]]  # by figure

_KINDS = {
    "operations": "operations of the layer",
    "layer": "run time of the layer",
    "attention": "run time from the spikes of the projections on",
}


def claims(tables: Sequence[Row], fusions: Sequence[Sequence[Row]], attended: Sequence[Row]) -> list[Claim]:
    """Those of tables 4 and 5 and of figures 4 to 7."""
    return [
        Claim("Populations are as sparse as this (table 4)", _ranges(), [*_rates(tables)]),
        Claim("CMQKA is linear in N (figures 4 to 7)", "N·C²", [*_linear(attended), *_linear_on_chip(fusions)]),
        Claim("Self-attention is not", "N²·C", [*_not_linear(attended)]),
        Claim("In stages 1 and 2 CMQKA is the cheaper one (table 5)", _stages(), [*_cheaper(attended)]),
        Claim("In stage 3 it is self-attention (table 5, hybrid against all CMQKA)", _totals(), [*_hybrid(attended)]),
    ]


def _published_rates() -> dict[str, tuple[float, ...]]:
    return {role: crema_d + ave for role, (crema_d, ave) in published.RATES.items()}


def _ranges() -> str:
    return "; ".join(f"{role} {min(of):.3f} to {max(of):.3f}" for role, of in _published_rates().items())


def _rates(tables: Sequence[Row]) -> Iterator[Finding]:
    """Which roles of the whole network are outside of the published range in any stage."""
    for where, named in places(tables, "4"):
        words: dict[str, list[str]] = {}
        for role, of in _published_rates().items():
            stages = [
                spread(row["firing_rates"][key] for row in rows)
                for rows in named.values()
                for key in (f"{stage} {role}" for stage in (1, 2, 3))
                if all(key in row["firing_rates"] for row in rows)
            ]
            above = any(each.mean - DEVIATIONS * each.deviation > max(of) for each in stages)
            below = any(each.mean + DEVIATIONS * each.deviation < min(of) for each in stages)
            word = "more often here, less often there" if above and below else "more often" if above else "less often"
            if stages:
                words.setdefault(word if above or below else "in the range", []).append(role)
        if words:
            text = "; ".join(f"{word}: {listed(roles)}" for word, roles in words.items())
            yield Finding(where, text, _yes(list(words) == ["in the range"]))


def _linear(attended: Sequence[Row]) -> Iterator[Finding]:
    if exponents := _growth(attended, attention.OURS):
        yield Finding("a layer in PyTorch", f"exponents: {_spelled(exponents)}", _yes(_is_linear(exponents)))


def _linear_on_chip(fusions: Sequence[Sequence[Row]]) -> Iterator[Finding]:
    for rows in fusions:
        for name, grown in fusion.growth(rows).items():
            exponents = {figure: list(by_stage.values()) for figure, by_stage in grown.items() if by_stage}
            where = f"fusion on the chip, {fusion.title(rows)}, `{name}`"
            yield Finding(where, f"exponents by stage: {_spelled(exponents)}", _yes(_is_linear(exponents)))


def _not_linear(attended: Sequence[Row]) -> Iterator[Finding]:
    for name in (attention.DEAR, attention.CHEAP):
        if exponents := _growth(attended, name):
            yield Finding(name, f"exponents: {_spelled(exponents)}", _yes(not _is_linear(exponents)))


def _growth(attended: Sequence[Row], name: str) -> Exponents:
    """Exponents of N at the base widths, of a layer."""
    found = {
        title.rpartition(",")[0]: [
            attention.exponent(points)
            for (system, _), points in attention.growing(attended, "layer", measure).items()
            if system == name
        ]
        for measure, (title, _) in attention.MEASURES.items()
    }
    return {title: exponents for title, exponents in found.items() if exponents}


def _spelled(exponents: Exponents) -> str:
    return "; ".join(f"{what} {' / '.join(f'{each:.2f}' for each in every)}" for what, every in exponents.items())


def _is_linear(exponents: Exponents) -> bool:
    return all(each <= LINEAR for every in exponents.values() for each in every)


def _yes(holds: bool) -> Verdict:
    return "yes" if holds else "no"


def _stages() -> str:
    return "; ".join(
        f"D = {width}, stage {stage}: {attention.PUBLISHED[size][0]} against {attention.PUBLISHED[size][1]} M"
        for size, (width, stage) in attention.STAGES.items()
        if stage < 3
    )


def _cheaper(attended: Sequence[Row]) -> Iterator[Finding]:
    """Self-attention in its better order beside CMQKA."""
    for kind, where in _KINDS.items():
        cost = attention.beside(attended, kind)
        early = [other / ours for size, (ours, other) in cost.items() if attention.STAGES[size][1] < 3]
        if early:
            less = [attention.stage_name(size) for size, (ours, other) in cost.items() if other < ours]
            here = (
                f"self-attention in its better order takes {min(early):.2f} to {max(early):.2f} times as much in "
                f"stages 1 and 2; it takes less in {', '.join(less) or 'no stage'}"
            )
            yield Finding(where, here, _yes(min(early) > 1))


def _totals() -> str:
    return "; ".join(
        f"D = {width}: {hybrid} against {every} M" for width, (hybrid, every, _) in attention.PUBLISHED_TOTALS.items()
    )


def _hybrid(attended: Sequence[Row]) -> Iterator[Finding]:
    """Operations of a step and direction, summed over stages of one block each."""
    cost = attention.beside(attended, "operations")
    for width in attention.PUBLISHED_TOTALS:
        stages = [cost[size] for size, (of, _) in attention.STAGES.items() if of == width and size in cost]
        if len(stages) == 3:
            every = sum(ours for ours, _ in stages)
            hybrid = every - stages[2][0] + stages[2][1]
            here = f"{hybrid / 1e6:.1f} against {every / 1e6:.1f} M, projections included, in the better order"
            yield Finding(f"operations, D = {width}", here, _yes(hybrid < every))
