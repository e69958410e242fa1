"""`train`: from what names an experiment to a trained network.

What can be wrong with a call is found before torch and Lightning are imported, which takes many seconds; so nothing at
the top of this module may import them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.extras import require
from snnergy.artefacts.files import refuse_overwrite, sha256_of
from snnergy.training.loop.result import Progress, TrainResult
from snnergy.training.loop.resume_state import refuse_damaged
from snnergy.training.source import checkpoint_of

if TYPE_CHECKING:
    from snnergy.training.config.experiment import Config

# Of the weights: those in training, their average, gradients, and two moments. A resume file holds less.
_COPIES = 5
PACKAGES = ("torch", "lightning", "spikingjelly", "numba", "librosa", "pydantic", "yaml", "filelock")


def train(
    config: Config | Mapping[str, Any] | str | Path,
    *changes: str,
    start: str | Path | None = None,
    output: str | Path = "runs",
    seed: int | None = None,
    force: bool = False,
    resume: bool = True,
    progress: Progress = None,
    begin: Callable[[Config], None] | None = None,
    threads: int | None = None,
    devices: int = 1,
) -> TrainResult:
    """Train an experiment to the end, into the folder `output / NAME`: checkpoint.pt, metrics.json, config.yaml, logs/.

    With several devices the calling program is started again for each of them, as Lightning's DDP does; those started
    again end here, and the first one goes on.

    Args:
        config: an experiment, its fields, a YAML file, or the name of a packaged experiment, such as `digits`.
        changes: `section.field=value`, such as `model.blank=video`; later ones win.
        start: a checkpoint, or an experiment whose checkpoint lies in `output`: the network begins with what that one
            has learned, as far as names and shapes agree, and with random weights elsewhere. None: with random weights.
        output: folder that the run's folder is made in.
        seed: instead of the experiment's.
        force: replace a finished run, or an unfinished one of another config.
        resume: go on with an unfinished run of the same config; otherwise it is started again.
        progress: `bar` shows a progress bar on standard error; a function, such as `print`, is given a line for each
            epoch, and within long ones a line every half minute; None is silent.
        begin: called with the resolved experiment when all is checked and training begins.
        threads: of torch on the CPU; None leaves it as it is.
        devices: GPUs, or processes where there is none, that share each batch.

    Raises:
        UserError: the experiment is wrong, or needs more memory than the budget; its data set is not there, or a batch
            cannot be made of it; there is no such `start`, or nothing in it fits; a finished run, or an unfinished one
            of another config or with a damaged state, is there and `force` is false; another process trains this run;
            the disk is full; the packages of the extra `train` are not installed.
    """
    require("training", "train", *PACKAGES)
    from snnergy.training.config.experiment import load_config

    experiment = load_config(config, changes if seed is None else (*changes, f"seed={seed}"))
    if experiment.finetune is not None:
        raise UserError(
            f"{experiment.name}: finetune: its network started from a checkpoint of {experiment.finetune.source}; "
            "fine-tune that, with --finetune BITS"
        )
    trained = None if start is None else checkpoint_of(start, Path(output), "this training")
    if trained is not None:
        experiment = started_from(experiment, trained)
    elif experiment.start is not None:
        raise UserError(
            f"{experiment.name}: start: its network started from a checkpoint of {experiment.start.source}; pass that, "
            "with --from CHECKPOINT"
        )
    from snnergy.training.data.presence import refuse_missing

    refuse_missing(experiment.data)
    folder = Path(output) / experiment.name
    refuse_overwrite(folder / "checkpoint.pt", force, inputs=[] if trained is None else [trained])
    if resume and not force:
        refuse_damaged(folder)
    from snnergy.training.systems.size import outline

    outline(experiment.model, f"{experiment.name}: model", share=1 / _COPIES)
    from snnergy.training.loop.learner import Learner
    from snnergy.training.loop.run import run

    if trained is not None:
        Learner(experiment, trained)  # what does not fit is refused before there is a folder

    def learner_of(config: Config) -> Learner:
        return Learner(config, trained)

    return run(experiment, folder, force, resume, progress, begin, threads, devices, learner_of)


def started_from(experiment: Config, trained: Path) -> Config:
    """The experiment that begins with the network of a checkpoint.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    from snnergy.training import checkpoint
    from snnergy.training.config.experiment import Start

    source = checkpoint.load_config(trained).name
    return replace(experiment, start=Start(source=source, sha256=sha256_of(trained)))
