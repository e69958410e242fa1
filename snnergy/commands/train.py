"""`snnergy train`: an experiment file to a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnergy.commands.options import Debug, Force, Json
from snnergy.terminal import Terminal

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
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the experiment's.", show_default=False)] = None,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
) -> None:
    """Train a network: OUTPUT/NAME/checkpoint.pt, metrics, logs. A killed run goes on where it was."""
    from training.config import load_config
    from training.train import train

    terminal: Terminal = context.obj
    changes = [*(overrides or []), *([] if seed is None else [f"seed={seed}"])]
    experiment = load_config(config, changes)
    terminal.say(f"training {experiment.name} (seed {experiment.seed}, {experiment.train.epochs} epochs)")
    result = train(experiment, output, force=force, progress=terminal.shows_progress)
    metrics = result.metrics
    terminal.say(
        f"{result.checkpoint}: accuracy {metrics['val_accuracy']:.2%} on validation, {metrics['test_accuracy']:.2%} on "
        f"test ({metrics['test_samples']} samples), best epoch {metrics['best_epoch']}"
    )
    terminal.result({"checkpoint": result.checkpoint, "metrics": metrics})
