"""Ends everything that one Lava run has left: its processes and its shared memory, found by id and by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_PATIENCE_S = 30.0  # hundreds of processes on a busy machine take seconds to die


def end_group(group: int, segments: str) -> None:
    """Kill the process group `group` and remove the shared-memory segments whose names begin with `segments`."""
    deadline = time.monotonic() + _PATIENCE_S
    while members(group) and time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    for segment in _SHARED_MEMORY.glob(f"{segments}*"):
        segment.unlink(missing_ok=True)


def members(group: int) -> list[int]:
    """Process ids of the living members of a process group; the dead that no one has waited for are left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (command) state parent group …; the command may hold spaces and parentheses.
            state, _, owner = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(owner) == group and state not in "ZX":
            found.append(int(stat.parent.name))
    return found
