"""checkpoint.pt → model.nir: the file is written only if it reads back sound and agrees with the network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import CheckFailed
from snnergy.artefacts.files import git_revision, refuse_overwrite, versions, written_whole
from snnergy.export.graph import Metadata
from snnergy.export.parity import Parity, parity, refuse_misfits
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.read_nir import read_nir
from snnergy.training import checkpoint as checkpoints
from snnergy.training.config import experiment as configs

_NAMED_MISMATCHES = 5


@dataclass(frozen=True)
class ExportResult:
    """A written graph.

    Attributes:
        path: of the file.
        parity: against the network, None if there were no samples.
        nodes, edges: of the graph.
        populations: nodes that are neurons of the network.
        sha256: of the file.
    """

    path: Path
    parity: Parity | None
    nodes: int
    edges: int
    populations: int
    sha256: str


def export_nir(
    checkpoint: Path, output: Path, samples: Mapping[str, npt.NDArray[np.float32]] | None, *, force: bool = False
) -> ExportResult:
    """Write the graph of a checkpoint's network.

    Args:
        checkpoint: as `snnergy.training.checkpoint.save` writes it.
        output: `.nir` file.
        samples: video and audio `(N, T, C, H, W)`, float32, pixel / 255, to compare graph and network on; None writes
            the graph without a comparison.
        force: replace `output` if it exists.

    Raises:
        UserError: the checkpoint, the samples or `output` cannot be used, or the network has no form in NIR.
        CheckFailed: graph and network differ; nothing is written.
    """
    refuse_overwrite(output, force)
    loaded = checkpoints.load(checkpoint)
    if samples is not None:
        refuse_misfits(loaded.network, samples)
    graph = to_nir(loaded.network, _provenance(checkpoint, loaded))
    with written_whole(output, force=force) as scratch:
        nir.write(scratch, graph)
        nir.read(scratch)  # other tools read with the type check on
        source = read_nir(scratch)
        found = None if samples is None else parity(loaded.network, source, samples)
        if found is not None and found.mismatches:
            raise CheckFailed(_account(output, found))
    populations = len(loaded.network.populations())
    return ExportResult(output, found, len(graph.nodes), len(graph.edges), populations, source.sha256)


def _provenance(path: Path, loaded: checkpoints.Checkpoint) -> Metadata:
    return {
        "config": json.dumps(configs.to_dict(loaded.config), sort_keys=True),
        "checkpoint_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "git_revision": git_revision(),
        "versions": json.dumps(versions(), sort_keys=True),
    }


def _account(output: Path, found: Parity) -> str:
    """What a failed comparison says: how much differs, where it begins, and what to do."""
    wrong = [node for node in found.nodes if node.mismatches]
    named = ", ".join(f"{node.name} {node.mismatches} of {node.values}" for node in wrong[:_NAMED_MISMATCHES])
    more = f" and {len(wrong) - _NAMED_MISMATCHES} more nodes" if len(wrong) > _NAMED_MISMATCHES else ""
    return (
        f"{output}: not written, the graph differs from the network in {found.mismatches} of {found.total.values} "
        f"values on {found.samples} samples ({named}{more}); this is a fault of the exporter, report these nodes"
    )
