"""Each command on a tiny network: what it prints, what it writes, what a machine reads."""

import json

import h5py
import numpy as np
import pytest


def test_samples_of_a_config_and_of_its_checkpoint_are_the_same(cli, tiny, tmp_path):
    a, b = tmp_path / "a.npz", tmp_path / "b.data"
    first = cli("samples", tiny.config_file, "--split", "val", "--count", 3, "-o", a, "--json")
    assert first.code == 0
    assert first.json == {
        "samples": str(a),
        "split": "val",
        "shapes": {"video": [3, 2, 1, 16, 16], "audio": [3, 2, 1, 16, 16], "label": [3]},
    }
    assert cli("samples", tiny.checkpoint, "--split", "val", "--count", 3, "-o", b).code == 0
    with np.load(a) as one, np.load(b) as other:
        for name in ("video", "audio", "label"):
            np.testing.assert_array_equal(one[name], other[name])
        assert one["video"].dtype == np.float32
        # Pixels of 8 bits: the chip's integers hold them without loss.
        np.testing.assert_array_equal(one["audio"], np.rint(one["audio"] * 255).astype(np.float32) / np.float32(255))


def test_export_reports_parity(cli, tiny, tmp_path):
    target = tmp_path / "model.nir"
    outcome = cli("export", tiny.checkpoint, "-o", target, "--samples", 2, "--json")
    assert outcome.code == 0, outcome.err
    assert target.is_file()
    parity = outcome.json["parity"]
    assert parity["mismatches"] == 0 and parity["samples"] == 2 and parity["values_compared"] > 1000
    assert parity["inputs"] == "2 validation samples of digits"


def test_export_says_so_where_the_data_set_is_missing(tiny, tmp_path):
    from snnergy.export.parity_inputs import parity_inputs
    from snnergy.training import checkpoint
    from snnergy.training.config import experiment as config

    fields = config.to_dict(tiny.config)
    fields["data"] = {"name": "grid", "root": str(tmp_path), "audio": fields["data"]["audio"]}
    loaded = checkpoint.load(tiny.checkpoint)
    away = tmp_path / "away.pt"
    checkpoint.save(away, loaded.network, config.from_dict(fields, "away"), {})
    inputs, origin = parity_inputs(checkpoint.load(away).config, 3)
    assert {name: array.shape for name, array in inputs.items()} == {
        "video": (3, 2, 1, 16, 16),
        "audio": (3, 2, 1, 16, 16),
    }
    assert origin.startswith("3 samples of random pixels (") and "grid" in origin
    assert inputs["video"].min() == 0 and inputs["video"].max() == 1


def test_compile_writes_the_network_and_its_fidelity(cli, tiny, tmp_path):
    target = tmp_path / "model.net"
    outcome = cli("compile", tiny.nir, "-o", target, "--calibration", tiny.samples)
    assert outcome.code == 0, outcome.err
    assert "6 calibration samples" in outcome.out and "time step 1 (from the file's metadata)" in outcome.out
    report = json.loads((tmp_path / "model.fidelity.json").read_text())
    assert report["samples"] == 6 and len(report["nodes"]) > 40
    assert cli("compile", tiny.nir, "-o", target).code == 2
    assert cli("compile", tiny.nir, "-o", target, "--force", "--json").json["calibration_samples"] == 0


def test_simulate_and_energy_default_beside_their_input(cli, tiny):
    outcome = cli("simulate", tiny.net, "--input", tiny.samples, "--count", 4, "--json")
    assert outcome.code == 0, outcome.err
    activity = tiny.net.with_name("activity.h5")
    assert outcome.json["activity"] == str(activity)
    with h5py.File(activity) as file:
        accuracy = np.mean(file["prediction"][:] == file["label"][:])
        spikes = sum(int(node["values"][:].sum()) for node in file["nodes"].values() if node.attrs["kind"] == "neuron")
    assert outcome.json["accuracy"] == pytest.approx(accuracy)
    assert outcome.json["spikes"] == spikes > 0

    again = cli("simulate", tiny.net, "--input", tiny.samples)
    assert again.code == 2 and "--force" in again.err

    outcome = cli("energy", activity, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["energy_snn_pj"] > 0 and outcome.json["technology"] == "45nm-fp32"
    assert (tiny.net.with_name("report") / "report.html").is_file()
    words = cli("energy", activity, "--force")
    assert words.code == 0 and "report.html" in words.out


def test_a_verification_that_fails_exits_3_and_leaves_no_activity(cli, tiny, tmp_path, monkeypatch):
    from snnergy.neuromorphic.simulation import verify as module

    found = module.Verification(samples=2, nodes=9, values_compared=100, mismatches={"stage1.video.spds.out": 7})
    asked = {}

    def verify(_net, samples, *, timeout_s, memory):
        asked.update(inputs=set(samples.shapes), samples=len(samples), timeout_s=timeout_s)
        return found

    monkeypatch.setattr(module, "verify", verify)
    target = tmp_path / "activity.h5"
    outcome = cli(
        "simulate", tiny.net, "--input", tiny.samples, "--verify", "--verify-samples", 2, "--timeout", 9, "-o", target,
        "--json",
    )  # fmt: skip
    assert outcome.code == 3
    assert asked == {"inputs": {"video", "audio"}, "samples": 2, "timeout_s": 9.0}
    assert outcome.json["verification"]["mismatches"] == {"stage1.video.spds.out": 7}
    assert "emulator and Lava differ in stage1.video.spds.out" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_verification_that_holds_is_said(cli, tiny, tmp_path, monkeypatch):
    from snnergy.neuromorphic.simulation import verify as module

    monkeypatch.setattr(module, "verify", lambda *_, **__: module.Verification(2, 9, 100, {}))
    outcome = cli("simulate", tiny.net, "--input", tiny.samples, "--verify", "-o", tmp_path / "activity.h5")
    assert outcome.code == 0
    assert "100 values (spikes, u, v) of 9 nodes on 2 samples, 0 mismatches" in outcome.out


@pytest.mark.usefixtures("few_digits")
def test_train_writes_a_run_and_refuses_to_replace_it(cli, tiny, tmp_path):
    arguments = ("train", tiny.config_file, "train.epochs=1", "--seed", 3, "-o", tmp_path)
    outcome = cli(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["checkpoint"] == str(tmp_path / "tiny" / "checkpoint.pt")
    assert 0 <= outcome.json["metrics"]["test_accuracy"] <= 1
    assert "seed: 3" in (tmp_path / "tiny" / "config.yaml").read_text()
    again = cli(*arguments)
    assert again.code == 2 and "--force" in again.err


def test_the_words_of_results_hold_their_figures():
    from snnergy.export.parity import NodeParity, Parity
    from snnergy.neuromorphic.simulation.verify import Verification

    parity = Parity((NodeParity("a", 10, 0, ties=2), NodeParity("b", 5, 1)), 3, 1.0, 1e-6, 0.5)
    text = str(parity)
    assert "15 values of 2 nodes on 3 samples, 1 mismatches, 2 ties" in text and "50.00%" in text
    verification = Verification(4, 2, 99, {"a": 3})
    assert "3 mismatches" in str(verification)


def test_simulation_says_what_it_takes_and_keeps_within_it(cli, tiny, tmp_path):
    target, inputs = tmp_path / "activity.h5", (tiny.net, "--input", tiny.samples)
    said = cli("simulate", *inputs, "-o", target).out
    assert "simulating 6 samples: about" in said and "of memory, 6 at a time" in said
    found = cli("simulate", *inputs, "-o", target, "--force", "--json", "--memory", "1MiB").json
    assert found["memory_bytes"] <= 1 << 20 and 1 <= found["samples_at_once"] < 6
    refused = cli("simulate", *inputs, "-o", tmp_path / "never.h5", "--memory", "little")
    assert refused.code == 2 and "--memory 'little': is no size of" in refused.err
    assert not (tmp_path / "never.h5").exists()
