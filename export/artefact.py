"""`export`: checkpoint.pt → model.nir. What can be wrong with a call is found before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.extras import require
from snnergy.artefacts.files import refuse_overwrite
from snnergy.artefacts.kinds import CHECKPOINT
from snnergy.artefacts.kinds import require as require_file

if TYPE_CHECKING:
    from snnergy.artefacts.samples import SampleSource
    from snnergy.export.result import ExportResult


def export(
    checkpoint: str | Path,
    output: str | Path | None = None,
    *,
    samples: int | SampleSource | None = 64,
    force: bool = False,
) -> ExportResult:
    """Write the graph of a checkpoint's network, and compare the two spike for spike.

    Args:
        checkpoint: as `snnergy.training.checkpoint.save` writes it.
        output: `.nir` file; None is model.nir beside the checkpoint.
        samples: what graph and network are compared on: so many validation samples of the checkpoint's experiment, or
            of random pixels where its data set is not there; or video and audio `(N, T, C, H, W)` in 0..1, as arrays by
            name, as a samples file or as `Samples`; None writes the graph without a comparison.
        force: replace `output` if it exists.

    Raises:
        UserError: the checkpoint, the samples or `output` cannot be used, the network has no form in NIR, or the
            packages of the extra `train` are not installed.
        CheckFailed: graph and network differ; nothing is written.
    """
    require("exporting a checkpoint", "train", "torch", "nir", "spikingjelly", "pydantic", "numba")
    checkpoint = Path(checkpoint)
    output = checkpoint.with_name("model.nir") if output is None else Path(output)
    require_file((checkpoint, CHECKPOINT))
    if isinstance(samples, int) and samples < 1:
        raise UserError(f"samples = {samples}: give 1 or more, or None to write the graph without a comparison")
    refuse_overwrite(output, force, inputs=[checkpoint])
    from snnergy.export.write import write_graph

    return write_graph(checkpoint, output, samples, force)
