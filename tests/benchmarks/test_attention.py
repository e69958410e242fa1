"""The cost of attention: counts against loops, memory of what is known, growth, and the page of a small result."""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

from benchmarks.attention import __main__ as command
from benchmarks.attention import layers as compared
from benchmarks.attention.counted import operations
from benchmarks.attention.page import exponent

CHANNELS, TOKENS = 16, 4
WIDTH = CHANNELS // compared.HEADS


def looped(projections: int, per_entry: int, *products: tuple[int, int, int, int]) -> dict[str, int]:
    """Operations of all steps, one at a time. products: batches of (M, K) by (K, N) matrices."""
    entries = range(compared.STEPS * TOKENS * CHANNELS)
    return {
        "projections": sum(1 for _ in product(range(projections), entries, range(CHANNELS))),
        "products": sum(1 for batch, *sides in products for _ in product(range(batch), *map(range, sides))),
        "elementwise": sum(1 for _ in product(entries, range(per_entry))),
    }


ALL_HEADS = compared.STEPS * compared.HEADS
DEAR = ((ALL_HEADS, TOKENS, WIDTH, TOKENS), (ALL_HEADS, TOKENS, TOKENS, WIDTH))
CHEAP = ((ALL_HEADS, WIDTH, TOKENS, WIDTH), (ALL_HEADS, TOKENS, WIDTH, WIDTH))
OVER_TIME = (
    (TOKENS * compared.HEADS, compared.STEPS, WIDTH, compared.STEPS),
    (TOKENS * compared.HEADS, compared.STEPS, compared.STEPS, WIDTH),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Two sums, two ANDs, the mean and the gate's AND; real-valued, two means and a product.
        ("CMQKA", looped(4, 6)),
        ("CMQKA, means", looped(4, 7)),
        ("SSA, (Q Kᵀ) V", looped(4, 1, *DEAR)),
        ("SSA, Q (Kᵀ V)", looped(4, 1, *CHEAP)),
        ("softmax, fused", looped(4, 0, *DEAR)),
        ("CCSSA", looped(9, 5, *DEAR, *OVER_TIME)),
    ],
)
def test_operations_are_those_of_loops(name, expected):
    layer = compared.layers(CHANNELS)[name]
    given = compared.streams(CHANNELS, TOKENS, 2)
    found = operations(layer.module, lambda: layer.call(*given))
    assert {kind: getattr(found, kind) for kind in expected} == expected
    assert found.flops == 2 * (expected["projections"] + expected["products"])


def test_both_orders_and_words_give_the_same():
    made = compared.layers(CHANNELS)
    given = compared.streams(CHANNELS, 64, 2)
    with torch.inference_mode():
        found = {name: layer.call(*given) for name, layer in made.items()}
        parts = {name: call() for name, call in compared.parts(CHANNELS, 64).items()}
    assert torch.equal(parts["SSA, (Q Kᵀ) V"], parts["SSA, Q (Kᵀ V)"]) and parts["SSA, Q (Kᵀ V)"].any()
    assert torch.equal(found["CMQKA"], found["CMQKA on words"]) and found["CMQKA"].any()
    for plain, words in zip(parts["CMQKA"], parts["CMQKA on words, packed and unpacked"], strict=True):
        assert torch.equal(plain, words) and plain.any()


def test_the_exponent_is_that_of_a_power():
    assert exponent({64: 3 * 64.0**2, 256: 3 * 256.0**2, 1024: 3 * 1024.0**2}) == pytest.approx(2)


def test_the_command_writes_results_page_and_plots(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "sizes", lambda quick: [(96, 16), (96, 64)])
    # The stages, which take seconds to count, have smaller ones stand in for them.
    counted = command.count
    monkeypatch.setattr(
        command,
        "count",
        lambda channels, tokens: (
            {**row, "channels": channels, "tokens": tokens} for row in counted(channels // 12, tokens // 16)
        ),
    )
    results, page = tmp_path / "attention.json", tmp_path / "attention.md"
    given = ["attention", "--quick", "--rounds", "1", "-o", str(results), "--page", str(page)]
    monkeypatch.setattr(sys, "argv", given)
    command.main()
    rows = json.loads(results.read_text())["rows"]
    assert {row["kind"] for row in rows} == {"operations", "layer", "attention"}
    assert all(row["seconds"] > 0 and row["peak_bytes"] > 0 for row in rows if row["kind"] != "operations")
    text = page.read_text()
    assert "| D = 192, stage 2 | 256 | 384 | 37.7 | 37.7 |" in text
    assert "cheaper where N < C: stage 3 of D = 96 (N = 64, C = 384), stage 2 of D = 192 (N = 256, C = 384)" in text
    assert all(
        Path(tmp_path, f"attention-{plot}.svg").read_text().startswith("<?xml") for plot in ("scaling", "stages")
    )
