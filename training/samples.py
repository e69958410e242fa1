"""`write_split`: the samples of an experiment as a file that the later steps take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snnergy.artefacts.extras import require
from snnergy.artefacts.files import refuse_overwrite
from snnergy.training.source import experiment_of

if TYPE_CHECKING:
    from snnergy.training.config.data import Split


@dataclass(frozen=True)
class WrittenSplit:
    """A samples file: its path, and the shape of each array in it by name."""

    path: Path
    shapes: dict[str, tuple[int, ...]]


def write_split(
    source: str | Path,
    split: Split = "test",
    output: str | Path | None = None,
    *,
    count: int | None = None,
    force: bool = False,
) -> WrittenSplit:
    """Write a split: video and audio `(N, T, C, H, W)` float32 in 0..1, label `(N,)` int64.

    Args:
        source: an experiment (YAML file, or name of a packaged one), or a checkpoint.
        split: `train` gives the samples of the first epoch.
        output: `.npz` file; None is SPLIT.npz beside `source`.
        count: first samples only; None for all.
        force: replace `output` if it exists.

    Raises:
        UserError: the source cannot be read, its data set is not there, `output` cannot be written, or the packages of
            the extra `train` are not installed.
    """
    require("preparing samples", "train", "torch", "librosa", "pydantic", "yaml")
    target = Path(source).with_name(f"{split}.npz") if output is None else Path(output)
    experiment = experiment_of(source)
    from snnergy.artefacts.samples import write_samples
    from snnergy.training.data import model_inputs
    from snnergy.training.data.presence import refuse_missing

    refuse_missing(experiment.data)
    refuse_overwrite(target, force, inputs=[Path(source)])
    arrays = model_inputs(experiment, split, count)
    write_samples(target, arrays, force=force)
    return WrittenSplit(target, {name: array.shape for name, array in arrays.items()})
