"""`snnergy train`: an experiment file to a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snnergy.artefacts.errors import UserError
from snnergy.commands.options import Debug, Force, Json
from snnergy.terminal import Terminal

if TYPE_CHECKING:
    from snnergy.training.config.experiment import Config

EXAMPLE = "snnergy train configs/digits.yaml model.blank=video --seed 1"


def command(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="Experiment (YAML).", show_default=False)],
    overrides: Annotated[
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
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
) -> None:
    """Train a network: OUTPUT/NAME/checkpoint.pt, metrics, logs. A killed run goes on where it was.

    Several seeds make OUTPUT/NAME-seed0, …; runs that have ended are kept.
    """
    from lightning.pytorch.utilities import rank_zero_only

    from snnergy.training.config.experiment import load_config
    from snnergy.training.loop.seeds import spread, train_seeds
    from snnergy.training.loop.train import TrainResult, train

    terminal: Terminal = context.obj
    seeds = seed or []
    experiment = load_config(config, [*(overrides or []), *(f"seed={number}" for number in seeds[:1])])

    if len(seeds) > 1 and devices > 1:
        raise UserError(f"--devices {devices}: goes with one --seed, not {len(seeds)}; give one at a time")

    @rank_zero_only
    def begin(run: Config) -> None:
        terminal.say(f"training {run.name} (seed {run.seed}, {run.train.epochs} epochs)")

    def end(result: TrainResult) -> dict[str, Any]:
        metrics = result.metrics
        terminal.say(
            f"{result.checkpoint}: accuracy {metrics['val_accuracy']:.2%} on validation, "
            f"{metrics['test_accuracy']:.2%} on test ({metrics['test_samples']} samples), "
            f"best epoch {metrics['best_epoch']}"
        )
        speed, memory = metrics["train_samples_per_second"], metrics["peak_memory_bytes"] / 2**30
        terminal.say(f"{speed} samples a second in training, {memory:.1f} GiB of memory at most")
        return {"checkpoint": result.checkpoint, "metrics": metrics}

    progress = terminal.shows_progress
    if len(seeds) < 2:
        begin(experiment)
        terminal.result(end(train(experiment, output, force=force, progress=progress, devices=devices)))
        return
    results = train_seeds(experiment, seeds, output, begin, force=force, progress=progress)
    accuracy = spread(result.metrics["test_accuracy"] for result in results)
    runs = [end(result) for result in results]
    terminal.say(f"test accuracy over {len(seeds)} seeds: {accuracy.mean:.2%} ± {accuracy.deviation:.2%}")
    terminal.result({"runs": runs, "test_accuracy": {"mean": accuracy.mean, "deviation": accuracy.deviation}})
