"""Reads the results that are there, and writes the page whole with its plots."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import benchmarks.tables_page as package
from benchmarks.results_file import read_rows
from benchmarks.tables_page import ablations, claims, finetune, fusion, systems
from benchmarks.tables_page.cells import Row
from benchmarks.tables_page.plot import plot
from snnergy.artefacts.files import written_whole


@dataclass(frozen=True)
class Results:
    """Rows of every experiment, none of those that were not run.

    fusion: of one experiment each. tuning: learning rates that were tried for `systems`.
    """

    tables: Sequence[Row] = ()
    fusion: Sequence[Sequence[Row]] = ()
    systems: Sequence[Row] = ()
    tuning: Sequence[Row] = ()
    finetune: Sequence[Row] = ()
    attention: Sequence[Row] = ()


def page(results: Results, sources: Sequence[str], plot_name: str) -> str:
    """The whole page."""
    return "\n\n".join(part.rstrip() for part in _parts(results, sources, plot_name)) + "\n"


def _parts(results: Results, sources: Sequence[str], plot_name: str) -> Iterator[str]:
    yield "# The paper's tables, and what of them holds here"
    yield (
        f"Generated from {', '.join(f'`{source}`' for source in sources)} by `benchmarks/tables_page/`; `make tables` "
        "reruns the experiments. Test accuracy in percent, mean ± sample deviation over the seeds, three where nothing "
        "else is said; a dash stands for what was not run or published. The publication is arXiv 2602.00701; its "
        "columns are other data at 128 × 128 pixels: they show how a trend compares, not which is better."
    )
    yield from claims.section(results.tables, results.fusion, results.systems, results.attention)
    if results.systems:
        yield from systems.section(results.systems, results.tuning)
    if results.tables:
        yield from ablations.section(results.tables, plot_name)
    if results.fusion:
        yield from fusion.section(results.fusion)
    if results.finetune:
        yield from finetune.section(results.finetune)


def main() -> None:
    """Write the page and its plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables_page", description=package.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tables", type=Path, help="of benchmarks.tables")
    parser.add_argument("--fusion", type=Path, nargs="+", default=[], help="of benchmarks.fusion, an experiment each")
    parser.add_argument("--systems", type=Path, nargs=1, default=[], help="of benchmarks.table1")
    parser.add_argument("--finetune", type=Path, nargs=1, default=[], help="of benchmarks.finetune")
    parser.add_argument("--attention", type=Path, nargs=1, default=[], help="of benchmarks.attention, for the claims")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()

    files = [given.tables, *given.fusion, *given.systems, *given.finetune, *given.attention]
    for file in files:
        if not file.is_file():
            print(f"{file}: is not there; the page goes without it", file=sys.stderr)

    def rows(paths: Sequence[Path]) -> list[Row]:
        return [row for path in paths for row in read_rows(path)]

    results = Results(
        tables=read_rows(given.tables),
        fusion=[found for path in given.fusion if (found := read_rows(path))],
        systems=rows(given.systems),
        tuning=[each for path in given.systems for each in read_rows(path, "tuning")],
        finetune=rows(given.finetune),
        attention=rows(given.attention),
    )
    picture = given.output.with_suffix(".png")
    if results.tables:
        plot(results.tables, picture)
    with written_whole(given.output, force=True) as scratch:
        scratch.write_text(page(results, [str(file) for file in files if file.is_file()], picture.name))


if __name__ == "__main__":
    main()
