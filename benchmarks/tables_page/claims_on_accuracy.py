"""Claims on time steps, paths and kinds of attention, and on the systems of the comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, permutations, product
from statistics import fmean

from benchmarks.tables import CONDITIONS, PROFILES, TABLES
from benchmarks.tables_page import fusion, published, systems
from benchmarks.tables_page.ablations import chosen
from benchmarks.tables_page.cells import Row, cell, percent
from benchmarks.tables_page.findings import Claim, Finding
from benchmarks.tables_page.margins import Verdict, margin, verdict, written


def claims(tables: Sequence[Row], fusions: Sequence[Sequence[Row]], table1: Sequence[Row]) -> list[Claim]:
    """Those of tables 1, 2 and 3."""
    return [
        Claim("Every step more is more accurate (table 2)", _stated("2"), [*_steps(tables)]),
        Claim("Both paths are better than either (table 3)", _stated("3"), [*_paths(tables), *_fused_paths(fusions)]),
        Claim(
            "Self-attention in stage 3 is better than query-key attention in all",
            "no accuracies",
            [*_hybrid(tables), *_fused_hybrid(fusions)],
        ),
        Claim("SNNergy is above all systems of table 1", _best(), [*_above(table1)]),
    ]


def _stated(table: str) -> str:
    """The publication's rows of one of its tables, data set by data set."""
    rows = published.ACCURACIES[table]
    columns = zip(*rows.values(), strict=True)
    return f"{', '.join(rows)}: " + "; ".join(
        f"{data} {' / '.join(f'{accuracy:.2f}' for accuracy in column)}"
        for data, column in zip(published.DATA_SETS, columns, strict=False)
    )


def places(tables: Sequence[Row], table: str) -> Iterator[tuple[str, dict[str, list[Row]]]]:
    """Condition and profile, and the rows of the table there by name, as far as they were run."""
    for condition, profile in product(CONDITIONS, PROFILES):
        found = {name: chosen(tables, table, name, condition, profile) for name in TABLES[table]}
        yield f"{condition}, `{profile}`", {name: rows for name, rows in found.items() if rows}


def _steps(tables: Sequence[Row]) -> Iterator[Finding]:
    for where, by_steps in places(tables, "2"):
        if len(by_steps) > 1:
            steps = [margin(later, earlier) for earlier, later in pairwise(by_steps.values())]
            first, *_, last = by_steps
            means = " / ".join(cell(rows, percent, 1) for rows in by_steps.values())
            ends = written(margin(by_steps[last], by_steps[first]))
            here = f"{', '.join(by_steps)}: {means}; {last} over {first}: {ends}"
            yield Finding(where, here, _of_all(verdict(steps), by_steps, "2"))


def _of_all(found: Verdict, rows: Iterable[str], table: str) -> Verdict:
    """Of a claim on all rows that were published, where some may not be there."""
    missing = set(published.ACCURACIES[table]) - set(rows)
    return "undecided" if missing and found == "yes" else found


def _paths(tables: Sequence[Row]) -> Iterator[Finding]:
    both = "spatiotemporal"
    for where, named in places(tables, "3"):
        single = [name for name in named if name in published.ACCURACIES["3"] and name != both]
        if both in named and single:
            text, found = _against(both, named, single)
            yield Finding(where, text, _of_all(found, named, "3"))


def _against(of: str, named: dict[str, list[Row]], others: Sequence[str]) -> tuple[str, Verdict]:
    """A network against others: the differences, and whether it is above all of them."""
    margins = {name: margin(named[of], named[name]) for name in others}
    text = ", ".join(f"{written(each)} over `{name}`" for name, each in margins.items())
    return f"`{of}` {cell(named[of], percent, 1)}: {text}", verdict(margins.values())


def _fused_paths(fusions: Sequence[Sequence[Row]]) -> Iterator[Finding]:
    """The binary fusion of both paths that is best on validation, against networks of one path."""
    for rows in fusions:
        named = {name: of for name, of in fusion.by_name(rows).items() if of and name != fusion.NONE}
        both: list[str] = []
        single: list[str] = []
        for name, of in named.items():
            model = of[0]["config"]["model"]
            if (model["profile"], model["stage3"]) == ("loihi", "cmqka"):
                (both if model["variant"] == "spatiotemporal" else single).append(name)
        if both and single:
            best = max(both, key=lambda name: fmean(map(fusion.validation, named[name])))
            yield Finding(fusion.title(rows), *_against(best, named, single))


def _hybrid(tables: Sequence[Row]) -> Iterator[Finding]:
    for where, named in places(tables, "stage 3"):
        if len(named) == len(TABLES["stage 3"]):
            yield Finding(where, *_against("self-attention", named, ["query-key"]))


def _fused_hybrid(fusions: Sequence[Sequence[Row]]) -> Iterator[Finding]:
    """Networks that differ in stage 3 alone."""
    for rows in fusions:
        named = {name: of for name, of in fusion.by_name(rows).items() if of and name != fusion.NONE}
        models = {name: of[0]["config"]["model"] for name, of in named.items()}
        for hybrid, other in permutations(models, 2):
            ours, theirs = models[hybrid], models[other]
            if theirs["stage3"] == "cmqka" and ours == theirs | {"stage3": "ssa"}:
                yield Finding(fusion.title(rows), *_against(hybrid, named, [other]))


def _best() -> str:
    """Of the publication: SNNergy and the best of the others, data set by data set."""
    ours = published.SYSTEMS[systems.PUBLISHED_AS]
    parts = []
    for index, data in enumerate(published.DATA_SETS):
        others = {name: of[index] or 0.0 for name, of in published.SYSTEMS.items() if name != systems.PUBLISHED_AS}
        best = max(others, key=lambda name: others[name])
        parts.append(f"{data} {ours[index]:.2f} against {others[best]:.2f} (`{best}`)")
    return "; ".join(parts)


def _above(table1: Sequence[Row]) -> Iterator[Finding]:
    """Each of ours on each task against all others."""
    for task, name in product(systems.present(table1), systems.OURS):
        own, others = systems.of(table1, name, task), systems.others(table1, task)
        if own and others:
            margins = {other: margin(own, rows) for other, rows in others.items()}
            best = max(others, key=lambda other: fmean(map(percent, others[other])))
            text = f"{cell(own, percent, 1)}: {written(margins[best])} over the best of {len(others)}, `{best}`"
            yield Finding(f"{systems.TASKS[task]}, `{name}`", text, verdict(margins.values()))
