"""How the kernels are compiled: on first use, kept on disk, one thread each so that samples can share the cores."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any

import numba

_log = logging.getLogger(__name__)

# Machine code of this processor that runs without Python's lock. Division by zero gives infinity, as in C: a check of
# each division would keep loops from being vectorised.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@cache  # once is enough
def announce(kernel: Any) -> None:
    """Say so where `kernel` is not among the machine code that is kept on disk: what runs next waits for it."""
    name = f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__name__}-*.nbi"
    if not kernel.signatures and not any(Path(kernel.stats.cache_path).glob(name)):
        _log.info("building the emulator's kernels for this processor, once; this takes some seconds")
