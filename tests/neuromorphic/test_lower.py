"""From a NIR file to an integer network whose report says what happened to every node."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import nir
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.netx.files import read_netx, write_netx
from snnergy.neuromorphic.simulation import decode
from tests.neuromorphic import graphs
from tests.neuromorphic.test_read_nir import chain


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


def test_progress_ends_where_every_population_is_rounded() -> None:
    told: list[tuple[int, int]] = []
    compiled = compile(graphs.branched(), progress=lambda finished, of: told.append((finished, of)))
    count = len(compiled.fidelity.nodes)
    assert told == [(0, count), *[(1, count)] * count]


def test_report_has_a_row_for_every_population_and_survives_json(tmp_path: Path) -> None:
    compiled = lower(from_graph(graphs.branched()), graphs.samples(16))
    report = compiled.fidelity
    rows = {row.node: row for row in report.nodes}
    assert set(rows) == {p.name for p in compiled.net.populations}
    assert rows["and"].own_error == 0.0 and rows["out"].verdict == "approximate"
    for row in report.nodes:
        assert row.threshold is None or (row.verdict == "faithful") == (row.overlap == 1.0), row
    assert rows["head"].threshold is None
    assert report.accuracy_float is not None and report.accuracy_quantized is not None
    report.write(tmp_path / "fidelity.json")
    stored = json.loads((tmp_path / "fidelity.json").read_text())
    assert stored["samples"] == 16 and len(stored["nodes"]) == len(rows)
    with pytest.raises(UserError, match="exists already"):
        report.write(tmp_path / "fidelity.json")


def test_without_calibration_nothing_is_claimed(tmp_path: Path) -> None:
    nir.write(tmp_path / "g.nir", graphs.branched())
    compiled = compile(tmp_path / "g.nir")
    assert all(row.agreement is None and row.verdict == "unmeasured" for row in compiled.fidelity.nodes)
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


MEMORY_LIMIT = 32 << 20  # 12 000 neurons; one matrix of them in float64 is 1.1 GB


@pytest.mark.parametrize("varying", [False, True], ids=["one gain", "a gain a neuron"])
def test_a_large_flat_layer_compiles_without_a_matrix(varying: bool, tmp_path: Path) -> None:
    size, rng = 12_000, np.random.default_rng(0)
    neurons = [graphs.lif((size,), tau=2.0, threshold=0.4) for _ in range(2)]
    if varying:
        for node in neurons:
            node.r = rng.uniform(0.5, 2.0, size).astype(np.float32)
    inp = nir.Input({"input": np.array([size])}, metadata={"value_class": "binary"})
    scale = nir.Scale(rng.uniform(0.5, 1.0, size).astype(np.float32))
    graph = chain(inp, neurons[0], scale, neurons[1], nir.Output({"output": np.array([size])}))
    tracemalloc.start()
    compiled = lower(from_graph(graph, 1.0))
    write_netx(compiled.net, tmp_path / "m.net")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY_LIMIT
    assert (tmp_path / "m.net").stat().st_size < 200_000
    x = rng.integers(0, 2, (2, 4, size)).astype(np.int32)
    records = emulator.run(read_netx(tmp_path / "m.net"), {"n0": x})
    oracle = interpret(from_graph(graph, 1.0), {"n0": x.astype(np.float32)}).values
    for name in ("n1", "n3"):
        assert oracle[name].any() and (records.values[name] == oracle[name].numpy()).mean() > 0.97


@pytest.mark.parametrize(("bits", "grid", "largest"), [(8, 1, 127), (6, 4, 124), (4, 16, 112)])
def test_narrow_weights_have_the_upper_bits_of_wide_ones(bits: int, grid: int, largest: int) -> None:
    compiled = compile(graphs.branched(), calibration=graphs.samples(8), bits=bits)
    weights = [synapse.operator.weight for synapse in compiled.net.synapses]
    assert all((weight % grid == 0).all() for weight in weights)
    assert max(int(np.abs(weight).max()) for weight in weights) == largest
    assert (compiled.fidelity.bits, compiled.net.provenance["weight bits"]) == (bits, str(bits))
    assert f"in {bits} bits" in repr(compiled)


def test_a_width_that_no_weight_has_is_refused() -> None:
    with pytest.raises(UserError, match="bits = 5: weights have 8, 6, 4 bits; take one of these"):
        compile(graphs.branched(), bits=5)


def held(metadata: dict[str, object]) -> nir.NIRGraph:
    """A graph whose population `out` is to be rounded in a certain way."""
    graph = graphs.branched()
    graph.metadata["held_bits"] = 6
    graph.nodes["out"].metadata |= {"held_scale": 300.0, "held_threshold": 290, "held_exponents": "2 -1"} | metadata
    return graph


@pytest.mark.parametrize("samples", [None, graphs.samples(4)])
def test_a_population_keeps_the_scale_that_it_was_tuned_for(samples: Samples | None) -> None:
    net = compile(held({}), calibration=samples).net
    found = net.population("out")
    assert (found.scale, found.vth, [s.exponent for s in net.incoming("out")]) == (300.0, 290, [2, -1])
    assert compile(held({}), calibration=samples, bits=8).net.population("out").scale != 300.0


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"held_scale": -1.0}, "held_scale is -1.0; must be a number above 0"),
        ({"held_threshold": 1 << 20}, "held_threshold is 1048576; must be a whole number within 0..131071"),
        ({"held_exponents": "2 9"}, "held_exponents is '2 9'; must be whole numbers within -8..7"),
        ({"held_exponents": ""}, "held_exponents is ''; must be whole numbers"),
        ({"held_exponents": "1"}, "out: 2 synapses lead to it, and 1 exponents are held"),
    ],
)
def test_scales_that_are_none_are_refused(metadata: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compile(held(metadata))
