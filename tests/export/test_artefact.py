"""checkpoint.pt → model.nir, and that nothing is written where a check fails."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import nir
import numpy as np
import pytest

import snnergy.export
from snnergy.artefacts.errors import CheckFailed, UserError
from snnergy.export import parity_inputs, write
from snnergy.export.artefact import export
from snnergy.export.graph import Metadata
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.read_nir import read_nir
from snnergy.training import checkpoint
from snnergy.training.config.experiment import from_dict
from snnergy.training.model.network import SNNergy
from tests.export.networks import SMALL, network, pixels


@pytest.fixture(scope="module")
def model() -> SNNergy:
    return network(variant="spatial")


@pytest.fixture(scope="module")
def trained(model: SNNergy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    audio = {"snr_db": 0, "window_s": 0.5, "mel_low_hz": 60, "mel_high_hz": 3000, "floor_db": -20, "ceiling_db": 10}
    fields = {
        "name": "tiny",
        "data": {"name": "digits", "audio": audio},
        "model": {**SMALL, "variant": "spatial"},
        "train": {"epochs": 1, "batch_size": 2, "learning_rate": 1e-3},
    }
    path = tmp_path_factory.mktemp("trained") / "checkpoint.pt"
    checkpoint.save(path, model, from_dict(fields, "test"), {"val_accuracy": 0.1})
    return path


def test_export_writes_a_graph_with_its_provenance(trained: Path, model: SNNergy, tmp_path: Path) -> None:
    output = tmp_path / "new" / "model.nir"
    result = export(trained, output, samples=pixels(4, model))
    assert result.path == output
    assert result.parity is not None and result.parity.mismatches == 0 and result.parity.samples == 4
    assert result.populations == len(model.populations())
    assert result.sha256 == hashlib.sha256(output.read_bytes()).hexdigest()
    graph = nir.read(output)
    assert (result.nodes, result.edges) == (len(graph.nodes), len(graph.edges))
    assert graph.metadata["checkpoint_sha256"] == hashlib.sha256(trained.read_bytes()).hexdigest()
    assert json.loads(graph.metadata["config"])["model"]["base_dim"] == SMALL["base_dim"]
    assert json.loads(graph.metadata["versions"])["nir"] == "1.0.8"
    assert graph.metadata["git_revision"]
    assert read_nir(output).dt_reason == "from the file's metadata"


def test_without_samples_there_is_no_comparison(trained: Path, tmp_path: Path) -> None:
    assert export(trained, tmp_path / "model.nir", samples=None).parity is None


def test_an_existing_file_is_kept_unless_forced(trained: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.nir"
    output.write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        export(trained, output, samples=None)
    assert output.read_text() == "mine"
    export(trained, output, samples=None, force=True)
    assert read_nir(output).name == "model.nir"


def test_a_graph_that_differs_is_not_written(
    trained: Path, model: SNNergy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(network: SNNergy, metadata: Metadata) -> nir.NIRGraph:
        graph = to_nir(network, metadata)
        graph.nodes["stage1.video.spds.lif1.conv"].weight[:] *= 0.5
        return graph

    monkeypatch.setattr(write, "to_nir", broken)
    with pytest.raises(CheckFailed, match=r"not written.*stage1\.video\.spds\.lif1 \d+ of \d+"):
        export(trained, tmp_path / "model.nir", samples=pixels(2, model))
    assert list(tmp_path.iterdir()) == []


def test_samples_that_do_not_fit_leave_no_file(trained: Path, tmp_path: Path) -> None:
    samples = {name: np.zeros((1, 4, 1, 16, 16), np.float32) for name in ("video", "audio")}
    with pytest.raises(UserError, match=r"samples: video: shape \(1, 4, 1, 16, 16\)"):
        export(trained, tmp_path / "model.nir", samples=samples)
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_the_function_and_writes_beside_the_checkpoint(trained: Path) -> None:
    result = snnergy.export(trained, samples=3)
    assert result.path == trained.with_name("model.nir") and result.path.is_file()
    assert result.inputs_origin == "3 validation samples of digits"
    assert re.fullmatch(r"ExportResult\(.*model\.nir: \d+ nodes, \d+ edges, 0 mismatches\)", repr(result))


def test_the_samples_that_there_are_not_are_not_announced(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = parity_inputs.model_inputs
    monkeypatch.setattr(parity_inputs, "model_inputs", lambda config, split, count: whole(config, split, min(count, 2)))
    result = export(trained, tmp_path / "model.nir", samples=1000)
    assert result.inputs_origin == "2 validation samples of digits, of 1000 asked for"
    assert result.parity is not None and result.parity.samples == 2


@pytest.mark.parametrize("count", [0, -1])
def test_a_comparison_needs_samples(trained: Path, tmp_path: Path, count: int) -> None:
    with pytest.raises(UserError, match=f"samples = {count}: give 1 or more, or None"):
        export(trained, tmp_path / "model.nir", samples=count)


def test_samples_with_labels_are_taken_and_other_time_steps_are_not(
    trained: Path, model: SNNergy, tmp_path: Path
) -> None:
    images = pixels(2, model)
    result = export(trained, tmp_path / "a.nir", samples={**images, "label": np.array([1, 2])})
    assert result.inputs_origin == "2 samples that were given"
    with pytest.raises(UserError, match=r"'video' has shape \(2, 3, 1, 32, 32\)"):
        export(trained, tmp_path / "b.nir", samples={name: x[:, :3] for name, x in images.items()})


def test_a_missing_checkpoint_is_said_before_an_output_that_exists(tmp_path: Path) -> None:
    (tmp_path / "model.nir").write_text("mine")
    with pytest.raises(UserError, match=r"nothing\.pt: no such file") as caught:
        export(tmp_path / "nothing.pt")
    assert len(caught.value.violations) == 1
