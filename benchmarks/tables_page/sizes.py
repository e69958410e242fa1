"""Parameters of the systems in the size of their sources, beside what these state."""

from __future__ import annotations

from functools import cache

import torch

from benchmarks.tables_page.cells import markdown
from benchmarks.tables_page.published import SIZES
from snnergy.training.config.experiment import AnySystem
from snnergy.training.systems.build import build


@cache
def parameters(model: AnySystem) -> int:
    """Counted without memory for any of them."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(model).parameters())


def section() -> list[str]:
    """Every size that a source states."""
    found = [(size, parameters(size.model) / 1e6) for size in SIZES]
    body = [
        [size.name, size.source, f"{size.millions:.2f}", f"{ours:.2f}", f"{ours / size.millions - 1:+.1%}"]
        for size, ours in found
    ]
    largest = max(abs(ours / size.millions - 1) for size, ours in found)
    return [
        "### Parameters in the published size",
        "Millions, for images of 224 pixels in three colours and 1000 classes. Other sources state none. "
        f"The largest difference is {largest:.1%}.",
        markdown(["", "source", "stated", "here", "difference"], body),
    ]
