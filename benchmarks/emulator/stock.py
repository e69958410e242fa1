"""Runs a `.net` file in stock Lava, in a child that leaves nothing behind (`stock_netx.py` is its program)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from snnergy.neuromorphic.lava.guarded import Guarded

Array = npt.NDArray[Any]
_PROGRAM = Path(__file__).with_name("stock_netx.py")
PATIENCE_S = 1800.0


class StockFailed(Exception):
    """The run gave nothing; the text is the end of what it said."""


def stock_run(
    net: Path, frames: Array, *, reset: int = 0, layers: int = 0, which: Literal["all", "last"] = "last"
) -> tuple[list[Array], float]:
    """What layers send, `(T + layers, …)` each, and the seconds from the start of a process to these arrays.

    Of a chain, layer i (from 1) sends at index t + i what it makes of the input of step t.

    Args:
        frames: input `(T, …)` in the order of our arrays; netx's order is the reverse.
        reset: steps after which state is cleared, 0 for never.
        layers: of the file that are built, 0 for all.
        which: layers are recorded.

    Raises:
        StockFailed: it ended without a result, or has not ended in `PATIENCE_S`.
    """
    with Guarded() as guarded:
        given, out = guarded.folder / "frames.npy", guarded.folder / "out.npz"
        np.save(given, frames.transpose())
        arguments = [net.resolve(), given, out, reset, layers, which, guarded.segments]
        begun = time.perf_counter()
        guarded.start([sys.executable, "-I", "-W", "ignore", str(_PROGRAM), *map(str, arguments)])
        ended = guarded.ended(PATIENCE_S)
        seconds = time.perf_counter() - begun
        if ended is None or not out.is_file():
            said = (guarded.folder / "output.txt").read_text(errors="replace").strip()
            raise StockFailed(said[-2000:] or f"nothing within {PATIENCE_S:.0f} s")
        with np.load(out) as sent:
            return [sent[name].transpose() for name in sent.files], seconds
