"""Seconds of a training step on one CPU thread, by how BatchNorm and neurons are computed.

    python -m benchmarks.training_step configs/grid.yaml -o benchmarks/results/training_step.json

`together`: in one scan, as training does it. `apart`: torch's BatchNorm, then the scan of the neurons. `loop`: torch's
BatchNorm, then SpikingJelly's step for each time step. The three take turns on the same batch, so that what disturbs
the machine disturbs them alike; a figure is the median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import default_collate

from benchmarks.results_file import write_rows
from snnergy.training.config.experiment import Config, load_config
from snnergy.training.data import build_dataset
from snnergy.training.loop.evaluation import to_input
from snnergy.training.model import neurons
from snnergy.training.model.system import System
from snnergy.training.systems.build import build

VARIANTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "together": nullcontext,
    "apart": lambda: patch.object(neurons, "shared", lambda: True),
    "loop": lambda: patch.object(neurons.LIF, "scans", lambda *_: False),
}


def first_batch(config: Config) -> dict[str, Tensor]:
    """The first samples of the training split, as many as a batch has, in the data set's order."""
    samples = build_dataset(config.data, config.model, "train", seed=config.seed)
    batch: dict[str, Tensor] = default_collate([samples[index] for index in range(config.train.batch_size)])
    return batch


def measure(network: System, batch: dict[str, Tensor], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant's forward and backward passes, one a round; the first round is thrown away."""
    video, audio = to_input(batch["video"]), to_input(batch["audio"])
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds + 1):
        for name, variant in VARIANTS.items():
            network.zero_grad()
            begun = time.perf_counter()
            with variant():
                functional.cross_entropy(network(video, audio), batch["label"]).backward()
            seconds[name].append(time.perf_counter() - begun)
    return {name: times[1:] for name, times in seconds.items()}


def main() -> None:
    """Measure one experiment's network in both profiles, on its first batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for profile in ("loihi", "paper"):
        config = load_config(arguments.config, [f"model.profile={profile}"])
        batch = first_batch(config)
        torch.manual_seed(config.seed)
        seconds = measure(build(config.model).train(), batch, arguments.rounds)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        rows.append(
            {
                "config": str(arguments.config),
                "profile": profile,
                "rounds": arguments.rounds,
                "seconds": {name: round(median, 4) for name, median in medians.items()},
                "times_as_long_as_together": {
                    name: round(median / medians["together"], 3) for name, median in medians.items()
                },
            }
        )
        print(rows[-1], flush=True)
    write_rows(arguments.output, "benchmarks.training_step", rows)


if __name__ == "__main__":
    main()
