"""`snnergy train`: an experiment to a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snnergy.artefacts.errors import UserError
from snnergy.commands.options import Debug, Force, Json, Version
from snnergy.terminal import Terminal
from snnergy.training.config.packaged import experiment_names

if TYPE_CHECKING:
    from snnergy.training.config.experiment import Config
    from snnergy.training.loop.result import TrainResult

EXAMPLE = "snnergy train digits model.blank=video --seed 1"
_EXPERIMENTS = experiment_names()


def command(
    context: typer.Context,
    config: Annotated[
        str,
        typer.Argument(
            help=f"Experiment: a YAML file, or one of {_EXPERIMENTS}; with --finetune also a checkpoint.",
            show_default=False,
        ),
    ],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[SECTION.FIELD=VALUE]...", help="Fields to change.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder that the run's folder is made in.")] = Path(
        "runs"
    ),
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Seed, instead of the experiment's; several train one after the other.", show_default=False),
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, help="GPUs, or processes where there is none, that share each batch.")
    ] = 1,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="CHECKPOINT",
            help="Begin with what this network has learned, where names and shapes agree; or its experiment.",
            show_default=False,
        ),
    ] = None,
    finetune: Annotated[
        int | None,
        typer.Option(
            metavar="8|6|4",
            help="Go on from a checkpoint, rounded to weights of so many bits as compile rounds them.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Train a network: OUTPUT/NAME/checkpoint.pt, metrics, logs. A killed run goes on where it was.

    Several seeds make OUTPUT/NAME-seed0, …; runs that have ended are kept. With --from CHECKPOINT a network begins with
    what another has learned, as on another task. With --finetune BITS a trained network
    (OUTPUT/NAME/checkpoint.pt, or the checkpoint that is given) is trained on, into OUTPUT/NAME-BITSbit.
    """
    from snnergy.finetuning.finetune import finetune as tune
    from snnergy.training.loop.seeds import spread, train_seeds
    from snnergy.training.loop.train import train

    terminal: Terminal = context.obj
    seeds, fields = seed or [], changes or []
    if len(seeds) > 1 and devices > 1:
        raise UserError(f"--devices {devices}: goes with one --seed, not {len(seeds)}; give one at a time")
    if len(seeds) > 1 and finetune is not None:
        raise UserError(f"--finetune {finetune}: goes with one --seed, not {len(seeds)}; give one at a time")
    if start is not None and finetune is not None:
        raise UserError(f"--finetune {finetune}: goes on from {config}, not from {start}; leave --from out")

    def begin(run: Config) -> None:
        terminal.say(f"training {run.name} (seed {run.seed}, {run.train.epochs} epochs)")

    follow = terminal.follow
    if len(seeds) < 2:
        settings: dict[str, Any] = {"output": output, "seed": seeds[0] if seeds else None, "force": force}
        settings |= {"progress": follow, "begin": begin, "devices": devices}
        if finetune is None:
            result = train(config, *fields, start=start, **settings)
        else:
            result = tune(config, finetune, *fields, **settings)
        terminal.result(_end(terminal, result))
        return
    results = train_seeds(config, seeds, *fields, start=start, output=output, force=force, progress=follow, begin=begin)
    accuracy = spread(result.metrics["test_accuracy"] for result in results)
    runs = [_end(terminal, result) for result in results]
    terminal.say(f"test accuracy over {len(seeds)} seeds: {accuracy.mean:.2%} ± {accuracy.deviation:.2%}")
    terminal.result({"runs": runs, "test_accuracy": {"mean": accuracy.mean, "deviation": accuracy.deviation}})


def _end(terminal: Terminal, result: TrainResult) -> dict[str, Any]:
    """Say what a run has reached; returns it as plain types."""
    metrics = result.metrics
    terminal.say(
        f"{result.checkpoint}: accuracy {metrics['val_accuracy']:.2%} on validation, "
        f"{metrics['test_accuracy']:.2%} on test ({metrics['test_samples']} samples), "
        f"best epoch {metrics['best_epoch']}"
    )
    if "started_from" in metrics:
        taken, parameters = metrics["parameters_taken_over"], metrics["parameters"]
        terminal.say(f"{taken:,} of {parameters:,} parameters began as {metrics['started_from']} had learned them")
    speed, memory = metrics["train_samples_per_second"], metrics["peak_memory_bytes"] / 2**30
    terminal.say(f"{speed} samples a second in training, {memory:.1f} GiB of memory at most")
    return {"checkpoint": result.checkpoint, "metrics": metrics}
