"""Threads of torch's that each of several networks at a time may have."""

from __future__ import annotations

import os

from joblib import cpu_count


def threads_a_job(jobs: int) -> int:
    """`OMP_NUM_THREADS` where it is set, which OpenMP lets be a list by level; otherwise a job's share of the cores."""
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(wished) if wished else max(1, cpu_count() // jobs)
