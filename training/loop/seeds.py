"""One experiment with several seeds: a run for each, and their mean."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from snnergy.artefacts.errors import UserError
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, from_dict, to_dict
from snnergy.training.loop.train import TrainResult, train


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
    """The experiment with another seed, in a folder of its own. A seed that cannot be one is a `UserError`."""
    return from_dict(to_dict(config) | {"seed": seed, "name": f"{config.name}-seed{seed}"}, config.name)


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
    for experiment in [with_seed(config, seed) for seed in seeds]:  # all, before the first is trained
        result = None if force else finished(experiment, output_root)
        if result is None:
            begin(experiment)
            result = train(experiment, output_root, force=force, progress=progress)
        results.append(result)
    return results


def finished(config: Config, output_root: Path) -> TrainResult | None:
    """The result of a run of exactly these settings that has ended, or None."""
    path = Path(output_root) / config.name / "checkpoint.pt"
    try:
        found = checkpoint.load(path)
    except UserError:  # none, or none that this release reads
        return None
    # The checkpoint's own config: config.yaml is that of the run that was begun last, whether it has ended or not.
    return TrainResult(path, found.metrics) if found.config == config else None
