"""Seconds of a training step on all cores, idle and with one other program that wants a core.

    python -m benchmarks.waiting_threads configs/grid.yaml -o benchmarks/results/waiting_threads.json

`default`: threads wait as GNU OpenMP has them do. `brief`: as the command line sets it, see `snnergy/threads.py`. Each
measurement is a process of its own, because the setting is read once; the four kinds take turns, and a figure is the
median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import torch
from torch.nn import functional

from benchmarks.results_file import write_rows
from benchmarks.training_step import first_batch
from snnergy.threads import wait_briefly
from snnergy.training.config.experiment import load_config
from snnergy.training.loop.evaluation import to_input
from snnergy.training.systems.build import build

_STEPS = 6  # of a process; the first two are thrown away
_OTHER_PROGRAM = "while True: pass"


def measure(config: Path) -> float:
    """Median seconds of a forward and a backward pass in this process."""
    experiment = load_config(config)
    batch = first_batch(experiment)
    torch.manual_seed(experiment.seed)
    network = build(experiment.model).train()
    video, audio = to_input(batch["video"]), to_input(batch["audio"])
    seconds = []
    for _ in range(_STEPS):
        begun = time.perf_counter()
        functional.cross_entropy(network(video, audio), batch["label"]).backward()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[2:])


@contextmanager
def _other_program(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    # In a session of its own, as what someone else runs: the scheduler shares the cores out by session.
    with subprocess.Popen([sys.executable, "-c", _OTHER_PROGRAM], start_new_session=True) as other:
        try:
            yield
        finally:
            other.kill()


def _in_a_process(config: Path, brief: bool) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    if brief:
        wait_briefly(environment)
    command = [sys.executable, "-m", "benchmarks.waiting_threads", str(config)]
    return float(json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout))


def main() -> None:
    """Measure the four kinds in turns; without an output, measure this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.output is None:
        print(json.dumps(measure(arguments.config)))
        return
    kinds = list(product((False, True), (False, True)))
    seconds: dict[tuple[bool, bool], list[float]] = {kind: [] for kind in kinds}
    for _ in range(arguments.rounds):
        for busy, brief in kinds:
            with _other_program(busy):
                seconds[busy, brief].append(_in_a_process(arguments.config, brief))
    rows = []
    for busy in (False, True):
        default_s, brief_s = (statistics.median(seconds[busy, brief]) for brief in (False, True))
        rows.append(
            {
                "machine_is": "shared with one other program" if busy else "idle",
                "rounds": arguments.rounds,
                "default_s": round(default_s, 3),
                "brief_s": round(brief_s, 3),
                "default_times_as_long": round(default_s / brief_s, 2),
            }
        )
        print(rows[-1], flush=True)
    write_rows(arguments.output, "benchmarks.waiting_threads", rows)


if __name__ == "__main__":
    main()
