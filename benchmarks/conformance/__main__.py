"""Random graphs through the whole toolchain: the float oracle against a second one, the emulator against Lava.

    python -m benchmarks.conformance --graphs 500 --jobs 2 -o benchmarks/results/conformance.json

Each row is a chunk of seeds, whose graphs run in Lava side by side. Chunks that the file holds already with the same
settings are kept, so that the set can be completed over several sittings. A graph that the toolchain refuses is counted
as refused, with the reason, and not as compared; one that it fails on with an exception of another kind has failed.
The exit code is 1 where anything differs or failed.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from benchmarks.conformance.compare import Built, Count, compare_chip, compare_float, refusal
from benchmarks.conformance.random_graphs import FEATURES, random_case
from benchmarks.results_file import read_rows, write_rows

CHUNK = 24  # seeds


def main() -> None:
    """Run chunk after chunk until enough graphs are compared, and write each at once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--graphs", type=int, default=500, help="to compare, those refused not counted")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="the first; graphs are numbered from it")
    parser.add_argument("--without", nargs="*", choices=sorted(FEATURES), default=[], metavar="FEATURE")
    options = parser.parse_args()
    enabled = sorted(FEATURES - set(options.without))
    rows = [row for row in read_rows(options.output) if row["features_enabled"] == enabled]
    seeds = (first for first in itertools.count(options.seed, CHUNK) if first not in {row["seed"] for row in rows})
    with Parallel(n_jobs=options.jobs, return_as="generator_unordered") as parallel:
        while _totals(rows)["graphs"] < options.graphs:
            for row in parallel(delayed(chunk)(first, enabled) for first in itertools.islice(seeds, options.jobs)):
                rows = sorted([*rows, row], key=lambda row: int(row["seed"]))
                _write(options.output, rows)
                print(_totals(rows), flush=True)
    totals = _totals(rows)
    for reason, number in sorted(totals["refused_why"].items(), key=lambda item: -item[1]):
        print(f"refused {number}: {reason}")
    sys.exit(int(bool(totals["mismatches"] or totals["failed"])))


def chunk(first: int, enabled: Sequence[str], size: int = CHUNK) -> dict[str, Any]:
    """One row: the graphs of `size` seeds from `first`."""
    since = time.monotonic()
    refused, features, failed = Counter[str](), Counter[str](), {}
    floating, builts = Count(), []
    for seed in range(first, first + size):
        try:
            case = random_case(seed, frozenset(enabled))
            built, reason = refusal(case)
            if built is None:
                refused[_plain(reason)] += 1
                continue
            floating.add(compare_float(built))
            builts.append(built)
            features.update(case.features or {"none of them"})
        except Exception:  # whatever a graph may bring about: that is what is looked for
            failed[f"{seed}"] = traceback.format_exc()[-600:]
    chip, overflows = _on_chip(builts, failed)
    return {
        "seed": first,
        "seeds": size,
        "graphs": len(builts),
        "populations": chip.nodes,
        "graph_nodes": floating.nodes,
        "float_values": floating.values,
        "float_spikes": floating.spikes,
        "float_ties": floating.ties,
        "float_mismatches": floating.mismatches,
        "chip_values": chip.values,
        "chip_spikes": chip.spikes,
        "chip_mismatches": chip.mismatches,
        "overflows": dict(overflows),
        "features": dict(features),
        "refused": dict(refused),
        "failed": failed,
        "seconds": round(time.monotonic() - since, 1),
        "features_enabled": list(enabled),
    }


def _on_chip(builts: Sequence[Built], failed: dict[str, str]) -> tuple[Count, Counter[str]]:
    try:
        return compare_chip(builts) if builts else (Count(), Counter())
    except Exception:
        failed["Lava, " + ", ".join(str(b.case.seed) for b in builts)] = traceback.format_exc()[-600:]
        return Count(), Counter()


def _plain(reason: str) -> str:
    """A reason without names and numbers, so that equal ones count together."""
    reason = re.sub(r"\(\S+(?: → \S+)+\)", "(…)", reason.split(": ", 1)[-1])
    reason = re.sub(r"'[^']*'", "…", reason)
    return re.sub(r"-?\d[\d.,]*(?:e[+-]?\d+)?", "#", reason)[:160]


def _totals(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums over all rows."""
    sums = ["graphs", "populations", "graph_nodes", "float_values", "float_spikes", "float_ties"]
    sums += ["chip_values", "chip_spikes", "seconds"]
    found: dict[str, Any] = {name: round(sum(row[name] for row in rows), 1) for name in sums}
    found["mismatches"] = sum(_numbers(rows, "float_mismatches")) + sum(_numbers(rows, "chip_mismatches"))
    found["refused"] = sum(_numbers(rows, "refused"))
    found["failed"] = sum(len(row["failed"]) for row in rows)
    for name, key in (("features", "features"), ("refused_why", "refused"), ("overflows", "overflows")):
        found[name] = dict(sum((Counter(row[key]) for row in rows), Counter()).most_common())
    return found


def _numbers(rows: Sequence[dict[str, Any]], key: str) -> Iterator[int]:
    return (number for row in rows for number in row[key].values())


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_rows(path, "benchmarks.conformance", rows, **_totals(rows))


if __name__ == "__main__":
    main()
