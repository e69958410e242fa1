"""One experiment with several seeds: a run for each, and their mean."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.config import Config, to_yaml
from training.train import TrainResult, train


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of a figure over seeds; the deviation of one seed is 0."""

    mean: float
    deviation: float


def spread(values: Iterable[float]) -> Spread:
    """Of at least one value."""
    values = list(values)
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


def with_seed(config: Config, seed: int) -> Config:
    """The experiment with another seed, in a folder of its own."""
    return replace(config, seed=seed, name=f"{config.name}-seed{seed}")


def train_seeds(
    config: Config,
    seeds: Sequence[int],
    output_root: Path,
    begin: Callable[[Config], None],
    *,
    force: bool = False,
    progress: bool = True,
) -> list[TrainResult]:
    """Train `config` once for each seed; a finished run of the same settings is kept and not run again.

    Args:
        config: the experiment; the folder of a run is `<name>-seed<seed>`.
        seeds: to run, in this order.
        output_root: holds the folders.
        begin: called with each experiment that is about to be trained.
        force, progress: of `train`; with `force` nothing is kept.
    """
    results = []
    for experiment in (with_seed(config, seed) for seed in seeds):
        result = None if force else finished(experiment, output_root)
        if result is None:
            begin(experiment)
            result = train(experiment, output_root, force=force, progress=progress)
        results.append(result)
    return results


def finished(config: Config, output_root: Path) -> TrainResult | None:
    """The result of a run of exactly these settings that has ended, or None."""
    folder = Path(output_root) / config.name
    files = [folder / name for name in ("checkpoint.pt", "metrics.json", "config.yaml")]
    if not all(path.is_file() for path in files) or files[2].read_text() != to_yaml(config):
        return None
    return TrainResult(files[0], json.loads(files[1].read_text()))
