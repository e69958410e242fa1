"""Measures the parts one after the other, and writes the results after each row; the page and plots come last."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import benchmarks.emulator as package
from benchmarks.emulator import beside_lava, beside_pytorch, beside_simulators, compiling, cost, limits, memory, workers
from benchmarks.emulator.keys import top
from benchmarks.emulator.page import write_page
from benchmarks.results_file import read_rows, write_rows

# Each gives its rows, of the kinds named, for a number of rounds.
PARTS: dict[str, tuple[str, Callable[[int], Iterator[dict[str, Any]]]]] = {
    "simulators": ("simulator", beside_simulators.rows),
    "pytorch": ("grid", beside_pytorch.rows),
    "cost": ("cost", cost.rows),
    "workers": ("workers", workers.rows),
    "memory": ("memory", memory.rows),
    "limits": ("limits", limits.rows),
    "compile": ("compile", compiling.rows),
    "lava": ("lava", beside_lava.rows),
}


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emulator", description=package.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--page", type=Path, help="a page of tables, with its plots beside it")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    again = {PARTS[part][0] for part in chosen.parts}
    rows = [row for row in read_rows(chosen.output) if row.get("kind") not in {*again, None}]
    for part in chosen.parts:
        for row in PARTS[part][1](chosen.rounds):
            rows.append(row)
            print(row, flush=True)
            write_rows(chosen.output, "benchmarks.emulator", rows, seeds=[0, 1], **top(rows))
    if chosen.page:
        write_page(chosen.output, chosen.page)


if __name__ == "__main__":
    main()
