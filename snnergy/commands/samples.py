"""`snnergy samples`: the samples of an experiment as an input file for the chip."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from snnergy.commands.options import Debug, Force, Json, Output, Version
from snnergy.terminal import Terminal
from snnergy.training.config.packaged import experiment_names

EXAMPLE = "snnergy samples runs/digits/checkpoint.pt --split test -o test.npz"
_SOURCES = f"A checkpoint.pt, or an experiment: a YAML file, or one of {experiment_names()}."


def command(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="CONFIG_OR_CHECKPOINT", help=_SOURCES, show_default=False)],
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which samples.")] = "test",
    count: Annotated[int | None, typer.Option(min=1, help="First samples only.", show_default="all")] = None,
    output: Output = None,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Write a split as SPLIT.npz: video and audio (N, T, C, H, W) float32 in 0..1, label (N,)."""
    from snnergy.training.samples import write_split

    terminal: Terminal = context.obj
    with terminal.progress(f"preparing {split} samples of {source}"):
        written = write_split(source, split, output, count=count, force=force)
    terminal.say(f"{written.path}: {', '.join(f'{name} {shape}' for name, shape in written.shapes.items())}")
    terminal.result({"samples": written.path, "split": split, "shapes": written.shapes})
