"""One experiment with several seeds: a run for each, and their mean. As light to import as `train`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.extras import require
from snnergy.training.loop.result import FIGURES, Progress, TrainResult
from snnergy.training.loop.train import PACKAGES, started_from, train
from snnergy.training.source import checkpoint_of

if TYPE_CHECKING:
    from snnergy.training.config.experiment import Config


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
    from snnergy.training.config.experiment import from_dict, to_dict

    return from_dict(to_dict(config) | {"seed": seed, "name": f"{config.name}-seed{seed}"}, config.name)


def train_seeds(
    config: Config | Mapping[str, Any] | str | Path,
    seeds: Sequence[int],
    *changes: str,
    start: str | Path | None = None,
    output: str | Path = "runs",
    force: bool = False,
    progress: Progress = None,
    begin: Callable[[Config], None] | None = None,
) -> list[TrainResult]:
    """Train an experiment once for each seed; a finished run of the same settings is kept and not run again.

    Args:
        config, changes: of `train`; the folder of a run is `<name>-seed<seed>`.
        seeds: to run, in this order.
        start: of `train`, for all seeds.
        output: holds the folders.
        force, progress, begin: of `train`; with `force` nothing is kept.

    Raises:
        UserError: as `train`; every seed is checked before the first is trained.
    """
    require("training", "train", *PACKAGES)
    from snnergy.training.config.experiment import load_config

    experiment = load_config(config, changes)
    if start is not None:
        experiment = started_from(experiment, checkpoint_of(start, Path(output), "this training"))
    results = []
    for seeded in [with_seed(experiment, seed) for seed in seeds]:
        result = None if force else finished(seeded, output)
        results.append(result or train(seeded, start=start, output=output, force=force, progress=progress, begin=begin))
    return results


def finished(config: Config, output: str | Path) -> TrainResult | None:
    """The result of a run of exactly these settings that has ended, or None."""
    path = Path(output) / config.name / "checkpoint.pt"
    if not path.is_file():
        return None
    from snnergy.training import checkpoint

    try:
        found = checkpoint.load(path)
    except UserError:  # none that this release reads
        return None
    # The checkpoint's own config: config.yaml is that of the run that was begun last, whether it has ended or not.
    same = found.config == config and all(isinstance(found.metrics.get(name), int | float) for name in FIGURES)
    return TrainResult(path, found.metrics) if same else None
