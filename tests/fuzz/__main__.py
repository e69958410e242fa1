"""`python -m tests.fuzz`: mutated files through the command line, in bulk or one again.

python -m tests.fuzz --seed 0 --files 24000 --jobs 2 -o benchmarks/results/fuzz.json   in bulk; goes on where it was
python -m tests.fuzz --seed 0 --case 17                                                one, its files kept
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"  # a child of a fork has the one thread that forked
os.environ["CUDA_VISIBLE_DEVICES"] = ""


def main() -> int:
    """Returns 1 where there is a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=24_000)
    parser.add_argument("--case", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()

    from tests.fuzz import campaign, cases
    from tests.fuzz.bench import in_child

    work = options.work.resolve()
    if options.case is not None:
        return _once(work, options.seed, options.case)
    for formats in cases.FAMILIES:
        in_child(partial(campaign.run_cases, work, options.seed, options.files, options.jobs, formats))
    rows = [row for row in campaign.read_progress(work, options.seed) if row["number"] < options.files]
    for (category, signature), numbers in campaign.signatures(rows).items():
        print(f"{len(numbers):5} {category}: {signature}  (--seed {options.seed} --case {numbers[0]})")
    totals = campaign.total(rows)
    print(" ".join(f"{name}={value}" for name, value in totals.items()))
    if options.output:
        from benchmarks.results_file import write_rows

        by_format = [
            {"format": name} | campaign.total(row for row in rows if row["format"] == name) for name in cases.FORMATS
        ]
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_rows(options.output, "tests.fuzz", by_format, seeds=[options.seed], **totals)
    return 1 if any(row["faults"] for row in rows) else 0


def _once(work: Path, seed: int, number: int) -> int:
    from tests.fuzz import campaign, cases
    from tests.fuzz.bench import Bench, warm

    corpus = warm(work, next(family for family in cases.FAMILIES if cases.format_of(number) in family))
    bench = Bench(work / f"case-{seed}-{number}", corpus)
    bench.make(seed, [number])
    verdict = bench.run(number)
    print(campaign.describe(seed, number, verdict))
    print(f"its files lie in {bench.place.folder}")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
