"""`snnergy export`, also `export-nir`: a trained network to a NIR graph, checked spike by spike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snnergy.commands.options import Debug, Force, Json, Output, Version
from snnergy.terminal import Terminal

if TYPE_CHECKING:
    from snnergy.export import Parity

EXAMPLE = "export-nir runs/digits/checkpoint.pt -o model.nir"


def command(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pt of a training run.", show_default=False)],
    output: Output = None,
    samples: Annotated[int, typer.Option(min=1, help="Validation samples that parity is checked on.")] = 64,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Write the network as standard NIR (model.nir), and check every spike of every node against PyTorch."""
    from snnergy.export.artefact import export

    terminal: Terminal = context.obj
    with terminal.progress(f"exporting {checkpoint}"):
        result = export(checkpoint, output, samples=samples, force=force)
    terminal.say(f"{result.path}: {result.nodes} nodes, {result.edges} edges, {result.populations} populations")
    if result.parity is not None:
        terminal.say(f"parity is checked on {result.inputs_origin}")
        terminal.say(str(result.parity))
    terminal.result(
        {
            "nir": result.path,
            "sha256": result.sha256,
            "nodes": result.nodes,
            "edges": result.edges,
            "populations": result.populations,
            "parity": result.parity and _parity_fields(result.parity) | {"inputs": result.inputs_origin},
        }
    )


def _parity_fields(parity: Parity) -> dict[str, Any]:
    """A comparison as plain types."""
    total = parity.total
    return {
        "samples": parity.samples,
        "values_compared": total.values,
        "mismatches": total.mismatches,
        "ties": total.ties,
        "after_tie": total.after_tie,
        "prediction_agreement": parity.prediction_agreement,
        "end_to_end_agreement": parity.end_to_end_agreement,
        "worst_logit_difference": parity.worst_logit_difference,
    }
