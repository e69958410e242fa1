"""How the threads of torch wait for each other."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# Turns of GNU OpenMP's waiting loop; its own choice is 30 times as many where threads have a core each.
_TURNS = "10000"


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let a thread that waits for another give its core away soon, instead of keeping it busy for milliseconds.

    On an idle machine that costs some percent of a training step, if anything. On one with other work, the thread that
    is waited for often has no core because a waiting one holds it, and a step takes several times as long
    (`benchmarks/results/waiting_threads.json`). It must be called before torch is imported, and leaves alone what the
    user has set.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", _TURNS)
