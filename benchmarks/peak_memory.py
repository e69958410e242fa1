"""The memory that a computation needs at its height, as torch and numpy report what they take and give back."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # torch's profiler else announces each of its stages


def peak_bytes(call: Callable[[], object]) -> int:
    """Most bytes of tensors and arrays that a run held at once, its result with them, its inputs not.

    Tensors as torch's allocator reports them. Arrays of numpy are traced beside them, and their peak is added: a bound
    from above where both are used. What is made once and kept is no part of a run: run it before.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        tracemalloc.start()
        call()
        arrays = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    held = most = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most + arrays
