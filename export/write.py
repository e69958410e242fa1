"""checkpoint.pt → model.nir: the file is written only if it reads back sound and agrees with the network."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import h5py
import nir

from snnergy.artefacts.display import listed
from snnergy.artefacts.errors import CheckFailed, UserError
from snnergy.artefacts.files import git_revision, sha256_of, versions, written_whole
from snnergy.artefacts.hdf5 import CHECKED, copy_with_checksums
from snnergy.artefacts.held_scales import BITS, HeldScales
from snnergy.artefacts.late_errors import LateErrors
from snnergy.artefacts.samples import SampleSource
from snnergy.export.graph import Metadata
from snnergy.export.parity import Parity, parity, refuse_misfits
from snnergy.export.parity_inputs import parity_inputs
from snnergy.export.result import ExportResult
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.read_nir import read_nir
from snnergy.training import checkpoint as checkpoints
from snnergy.training.config import experiment as configs

_NAMED_MISMATCHES = 5


def write_graph(checkpoint: Path, output: Path, samples: int | SampleSource | None, force: bool) -> ExportResult:
    """Write the graph of a checkpoint's network; arguments and errors are those of `export`."""
    loaded = checkpoints.load(checkpoint)
    inputs, origin = (None, None) if samples is None else parity_inputs(loaded.config, samples)
    if inputs is not None:
        refuse_misfits(loaded.network, inputs)
    graph = to_nir(loaded.network, _provenance(checkpoint, loaded))
    if loaded.scales is not None:
        hold(graph, loaded.scales, str(checkpoint))
    with written_whole(output, force=force) as scratch:
        _write(graph, scratch)
        nir.read(scratch)  # other tools read with the type check on
        source = read_nir(scratch)
        found = None if inputs is None else parity(loaded.network, source, inputs)
        if found is not None and found.mismatches:
            raise CheckFailed(_account(output, found))
    populations = len(loaded.network.populations())
    return ExportResult(output, found, origin, len(graph.nodes), len(graph.edges), populations, source.sha256)


def hold(graph: nir.NIRGraph, scales: HeldScales, checkpoint: str) -> None:
    """Let the graph say what its populations were rounded to in fine-tuning."""
    if strangers := sorted(scales.populations.keys() - graph.nodes.keys()):
        raise UserError(f"{checkpoint}: scales of {listed(strangers)}, which the network has not; fine-tune it again")
    graph.metadata[BITS] = scales.bits
    for name, held in scales.populations.items():
        graph.nodes[name].metadata |= held.metadata()


def _write(graph: nir.NIRGraph, path: Path) -> None:
    """Write what `nir.write` writes, with checksums."""
    packed = BytesIO()
    nir.write(packed, graph)
    with h5py.File(packed) as draft, LateErrors(path) as disk, h5py.File(disk, "w", **CHECKED) as file:
        copy_with_checksums(draft, file)


def _provenance(path: Path, loaded: checkpoints.Checkpoint) -> Metadata:
    return {
        "config": json.dumps(configs.to_dict(loaded.config), sort_keys=True),
        "checkpoint_sha256": sha256_of(path),
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
