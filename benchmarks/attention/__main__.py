"""Counts and measures, writes the results after each size, and the page and its plots at the end."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

import benchmarks.attention as package
from benchmarks.attention.counted import operations
from benchmarks.attention.layers import HEADS, STEPS, Layer, layers, parts, streams
from benchmarks.attention.page import write_page
from benchmarks.emulator.turns import clocked, in_turns, medians
from benchmarks.peak_memory import peak_bytes
from benchmarks.results_file import write_rows

Row = dict[str, Any]
# Base widths of the publication; tokens of a plot; tokens and multiples of the width of the three stages.
WIDTHS = (96, 192)
TOKENS = (64, 256, 1024, 4096)
STAGES = ((1024, 1), (256, 2), (64, 4))


def sizes(quick: bool) -> list[tuple[int, int]]:
    """Channels and tokens that are measured: each base width at each number of tokens, and all stages."""
    if quick:
        return [(96, 64), (96, 256)]
    of_stages = [(factor * width, tokens) for width in WIDTHS for tokens, factor in STAGES]
    return sorted({*((width, tokens) for width in WIDTHS for tokens in TOKENS), *of_stages})


def count(channels: int, tokens: int) -> Iterator[Row]:
    """Operations of a step and direction, for each layer that computes in its modules."""
    given = streams(channels, tokens, 2)
    for name, layer in layers(channels).items():
        if name != "CMQKA on words":
            found = operations(layer.module, partial(layer.call, *given))
            each = {kind: total / STEPS for kind, total in vars(found).items()}
            yield {"kind": "operations", "channels": channels, "tokens": tokens, "system": name, **each}


def measure(channels: int, tokens: int, rounds: int) -> Iterator[Row]:
    """Run time and peak memory, and of whole layers floating-point operations, of all T steps."""
    given = streams(channels, tokens, 2)
    whole: dict[str, Layer] = layers(channels)
    calls = {name: partial(layer.call, *given) for name, layer in whole.items()}
    flops = {name: operations(layer.module, calls[name]).flops for name, layer in whole.items()}
    for row in _in_turns("layer", calls, rounds):
        yield {**row, "channels": channels, "tokens": tokens, "flops": flops[row["system"]]}
    for row in _in_turns("attention", parts(channels, tokens), rounds):
        yield {**row, "channels": channels, "tokens": tokens}


def _in_turns(kind: str, calls: Mapping[str, Callable[[], object]], rounds: int) -> Iterator[Row]:
    with torch.inference_mode():
        seconds = medians(in_turns({name: clocked(call) for name, call in calls.items()}, rounds))
        peaks = {name: peak_bytes(call) for name, call in calls.items()}
    for name, peak in peaks.items():
        yield {"kind": kind, "system": name, "seconds": round(seconds[name], 6), "peak_bytes": peak}


def main() -> None:
    """Count and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attention", description=package.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two small sizes, and the page of these")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--page", type=Path, required=True, help="a page of tables, with its plots beside it")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for width in WIDTHS for tokens, factor in STAGES for row in count(factor * width, tokens)]
    for channels, tokens in sizes(chosen.quick):
        rows += measure(channels, tokens, chosen.rounds)
        settings = {"time_steps": STEPS, "heads": HEADS, "rounds": chosen.rounds, "seeds": [0, 1]}
        write_rows(chosen.output, "benchmarks.attention", rows, **settings)
        print(f"{channels} channels, {tokens} tokens: measured", flush=True)
    write_page(chosen.output, chosen.page)


if __name__ == "__main__":
    main()
