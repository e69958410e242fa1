"""From a NIR file to an integer network whose report says what happened to every node."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import decode, emulator
from snnergy.neuromorphic.compile import compile
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.lower import lower
from tests.neuromorphic import graphs


def test_compiled_network_agrees_with_the_oracle_on_unseen_samples() -> None:
    source = from_graph(graphs.branched())
    compiled = lower(source, graphs.samples(32, seed=1))
    unseen = graphs.samples(40, seed=2)
    records = emulator.run(compiled.net, to_integers(unseen, compiled.net.inputs))
    oracle = interpret(source, dict(unseen.arrays)).values
    for name in ("stem", "or", "deep", "and", "out"):
        agreement = (records.values[name] == oracle[name].numpy()).mean()
        assert agreement > 0.97, (name, agreement)
    same = decode.predictions(decode.logits(compiled.net, records)) == oracle["head"][:, -1].numpy().argmax(1)
    assert same.mean() >= 0.95


def test_report_has_a_row_for_every_population_and_survives_json(tmp_path: Path) -> None:
    compiled = lower(from_graph(graphs.branched()), graphs.samples(16))
    rows = {row.node: row for row in compiled.fidelity.nodes}
    assert set(rows) == {p.name for p in compiled.net.populations}
    assert rows["and"].verdict == "faithful" and rows["out"].verdict == "approximate"
    assert rows["head"].threshold is None
    report = compiled.fidelity
    assert report.accuracy_float is not None and report.accuracy_quantized is not None
    report.write(tmp_path / "fidelity.json")
    stored = json.loads((tmp_path / "fidelity.json").read_text())
    assert stored["samples"] == 16 and len(stored["nodes"]) == len(rows)
    with pytest.raises(UserError, match="exists already"):
        report.write(tmp_path / "fidelity.json")


def test_without_calibration_nothing_is_claimed(tmp_path: Path) -> None:
    nir.write(tmp_path / "g.nir", graphs.branched())
    compiled = compile(tmp_path / "g.nir")
    assert all(row.agreement is None and row.verdict == "approximate" for row in compiled.fidelity.nodes)
    assert compiled.fidelity.same_prediction is None
    assert compiled.net.provenance["calibration samples"] == "0"


def test_calibration_file_feeds_the_scales(tmp_path: Path) -> None:
    nir.write(tmp_path / "g.nir", graphs.branched())
    data = graphs.samples(8)
    np.savez(tmp_path / "x.npz", label=data.labels, **data.arrays)
    from_file = compile(tmp_path / "g.nir", calibration=tmp_path / "x.npz")
    in_memory = lower(from_graph(graphs.branched()), data)
    assert [p.scale for p in from_file.net.populations] == [p.scale for p in in_memory.net.populations]
    assert len(from_file.net.provenance["source sha256"]) == 64
