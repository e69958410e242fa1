"""`snnergy samples`: the samples of an experiment as an input file for the chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from snnergy.commands.options import Debug, Force, Json, Output
from snnergy.terminal import Terminal

EXAMPLE = "snnergy samples runs/digits/checkpoint.pt --split test -o test.npz"


def command(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="CONFIG_OR_CHECKPOINT", help="Experiment (YAML) or checkpoint.pt.")],
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which samples.")] = "test",
    count: Annotated[int | None, typer.Option(min=1, help="First samples only.", show_default="all")] = None,
    output: Output = None,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
) -> None:
    """Write a split as SPLIT.npz: video and audio (N, T, C, H, W) float32 in 0..1, label (N,)."""
    from snnergy.artefacts.files import refuse_overwrite
    from snnergy.artefacts.samples import write_samples
    from snnergy.model_inputs import experiment_of, model_inputs

    terminal: Terminal = context.obj
    target = output or source.with_name(f"{split}.npz")
    refuse_overwrite(target, force)
    experiment = experiment_of(source)
    with terminal.progress(f"preparing {split} samples of {experiment.data.name}"):
        inputs = model_inputs(experiment, split, count)
        write_samples(target, inputs, force=force)
    shapes = {name: list(array.shape) for name, array in inputs.items()}
    terminal.say(f"{target}: {', '.join(f'{name} {tuple(shape)}' for name, shape in shapes.items())}")
    terminal.result({"samples": target, "split": split, "shapes": shapes})
