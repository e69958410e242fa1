"""Wrong input ends in one clear line a violation, exit code 2, and no file left: through the real command line."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from tests.snnergy.conftest import TINY


@pytest.fixture
def refused(cli, tmp_path):
    """Run a command line that must be refused, and check what every refusal has in common; returns its lines."""

    def check(*arguments):
        before = sorted(tmp_path.rglob("*"))
        outcome = cli(*arguments)
        assert outcome.code == 2, outcome
        assert "Traceback" not in outcome.err
        lines = outcome.err.splitlines()
        assert lines and all(line.startswith("snnergy: ") for line in lines)
        assert sorted(tmp_path.rglob("*")) == before, "something was left behind"
        return lines

    return check


@pytest.fixture
def bad_checkpoint(tiny, tmp_path):
    """The tiny checkpoint with its content changed."""

    def make(**changes):
        path = tmp_path / "bad.pt"
        torch.save(torch.load(tiny.checkpoint, weights_only=True) | changes, path)
        return path

    return make


@pytest.fixture
def bad_nir(tiny, tmp_path):
    """A copy of the tiny graph, opened to be spoilt."""
    path = tmp_path / "bad.nir"
    shutil.copy(tiny.nir, path)
    return path


class Payload:
    """What a checkpoint must not carry: code that runs when it is read."""

    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_truncated_checkpoint(refused, tiny, tmp_path):
    path = tmp_path / "bad.pt"
    content = tiny.checkpoint.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    (line,) = refused("export", path, "-o", tmp_path / "m.nir")
    assert str(path) in line and "truncated" in line


@pytest.mark.parametrize("writer", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_checkpoint_with_code_in_it(refused, tmp_path, writer):
    path = tmp_path / "bad.pt"
    writer({"format_version": 1, "state_dict": Payload()}, path)
    (line,) = refused("export", path, "-o", tmp_path / "m.nir")
    assert str(path) in line and ("code" in line or "no checkpoint" in line)


def test_checkpoint_of_another_version(refused, bad_checkpoint, tmp_path):
    (line,) = refused("export", bad_checkpoint(format_version=99), "-o", tmp_path / "m.nir")
    assert "format_version is 99" in line and "train again" in line


def test_checkpoint_whose_weights_do_not_fit(refused, bad_checkpoint, tmp_path):
    lines = refused("export", bad_checkpoint(state_dict={"stray": torch.zeros(1)}), "-o", tmp_path / "m.nir")
    assert any("stray" in line for line in lines) and len(lines) > 10  # every violation, not the first


def test_nir_that_is_not_hdf5(refused, tmp_path):
    path = tmp_path / "bad.nir"
    path.write_text("a text\n")
    (line,) = refused("compile", path)
    assert str(path) in line and "not a NIR file" in line


def test_nir_with_unknown_nodes(refused, bad_nir):
    with h5py.File(bad_nir, "r+") as file:
        for name in ("stage1.video.spds.lif0", "stage1.video.spds.lif1"):
            node = file["node/nodes"][name]
            del node["type"]
            node["type"] = "Hologram"
    lines = refused("compile", bad_nir)
    assert len(lines) == 2
    assert all("'Hologram'" in line and "known are" in line for line in lines)


def test_nir_with_nan_weights(refused, bad_nir):
    with h5py.File(bad_nir, "r+") as file:
        weight = next(node["weight"] for node in file["node/nodes"].values() if "weight" in node)
        name = weight.parent.name.rpartition("/")[2]
        weight[...] = np.nan
    lines = refused("compile", bad_nir)
    assert any(name in line and "NaN" in line for line in lines)


def test_nir_with_a_dangling_edge(refused, bad_nir):
    with h5py.File(bad_nir, "r+") as file:
        edges = [*file["node/edges"][:].tolist(), [b"video", b"nowhere"]]
        del file["node/edges"]
        file["node/edges"] = edges
    lines = refused("compile", bad_nir)
    assert any("'video' → 'nowhere' is dangling" in line for line in lines)


def test_net_with_a_layer_that_netx_cannot_build(refused, tmp_path):
    path = tmp_path / "bad.net"
    with h5py.File(path, "w") as file:
        file["layer/0/type"], file["layer/0/shape"] = np.bytes_("input"), [4]
        file["layer/1/type"] = np.bytes_("average")
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 4)))
    lines = refused("simulate", path, "--input", tmp_path / "x.npy")
    assert any(str(path) in line and "average" in line and "1" in line for line in lines)


def test_net_that_is_not_hdf5(refused, tmp_path):
    path = tmp_path / "bad.net"
    path.write_text("a text\n")
    np.savez(tmp_path / "x.npz", video=np.zeros(1))
    (line,) = refused("simulate", path, "--input", tmp_path / "x.npz")
    assert str(path) in line and "not a readable HDF5 file" in line


def test_every_missing_input_is_named(refused, tmp_path):
    lines = refused("simulate", tmp_path / "no.net", "--input", tmp_path / "no.npz")
    assert [line.partition(": no such file")[0] for line in lines] == [
        f"snnergy: {tmp_path / name}" for name in ("no.net", "no.npz")
    ]


@pytest.mark.parametrize("more", [("--device", "nowhere"), ("--device", "cpu", "--backend", "lava")])
def test_a_device_that_cannot_compute(refused, tiny, tmp_path, more):
    output = tmp_path / "a.h5"
    (line,) = refused("simulate", tiny.net, "--input", tiny.samples, "-o", output, *more)
    assert more[1] in line and not output.exists()


def test_input_of_the_wrong_shape(refused, tiny, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, video=np.zeros((1, 2, 3, 16, 16)), audio=np.zeros((1, 2, 1, 8, 8)))
    lines = refused("simulate", tiny.net, "--input", path, "-o", tmp_path / "a.h5")
    assert len(lines) == 2  # both inputs are wrong, and both are said
    assert "(1, 2, 3, 16, 16)" in "".join(lines) and "(1, 2, 1, 8, 8)" in "".join(lines)


def test_input_outside_the_range_of_the_chip(refused, tiny, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, video=np.full((1, 2, 1, 16, 16), 255.0), audio=np.zeros((1, 2, 1, 16, 16)))
    (line,) = refused("simulate", tiny.net, "--input", path, "-o", tmp_path / "a.h5")
    assert "video" in line and "0..1" in line


@pytest.mark.parametrize("command", ["train", "samples"])
def test_missing_data_set(refused, tmp_path, command):
    path = tmp_path / "grid.yaml"
    data = {"name": "grid", "root": str(tmp_path / "nowhere"), "audio": TINY["data"]["audio"]}
    path.write_text(yaml.safe_dump(TINY | {"data": data}))
    output = {"train": tmp_path / "runs", "samples": tmp_path / "x.npz"}[command]
    (line,) = refused(command, path, "-o", output)
    assert "grid" in line and "nowhere" in line and "zenodo" in line


def test_config_with_several_mistakes(refused, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(TINY | {"model": TINY["model"] | {"image_size": 17, "speed": "high"}}))
    lines = refused("train", path, "-o", tmp_path / "runs")
    assert len(lines) == 2
    assert any("image_size" in line for line in lines) and any("speed" in line for line in lines)


def test_activity_that_is_none(refused, tmp_path):
    path = tmp_path / "activity.h5"
    with h5py.File(path, "w") as file:
        file["data"] = 1
    lines = refused("energy", path)
    assert all(str(path) in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--finetune", 5), "bits = 5: weights have 8, 6, 4 bits"),
        (("--finetune", 8, "model.tau=3"), "change 'model.tau=3': fine-tuning keeps the data and the model"),
        (("--finetune", 8, "--seed", 0, "--seed", 1), "--finetune 8: goes with one --seed, not 2"),
        (("--finetune", 8, "--from", "digits"), "not from digits; leave --from out"),
    ],
)
def test_fine_tuning_that_cannot_be(refused, tiny, tmp_path, arguments, said):
    (line,) = refused("train", tiny.checkpoint, *arguments, "-o", tmp_path / "runs")
    assert said in line


@pytest.mark.parametrize("command", ["train", "samples", "export", "compile", "simulate", "energy"])
def test_output_below_a_file(refused, tiny, tmp_path, command):
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "out"
    sources = {
        "train": (tiny.config_file,),
        "samples": (tiny.checkpoint,),
        "export": (tiny.checkpoint,),
        "compile": (tiny.nir,),
        "simulate": (tiny.net, "--input", tiny.samples),
        "energy": (tiny.activity,),
    }
    (line,) = refused(command, *sources[command], "-o", target)
    assert str(target) in line and "-o" in line


def test_output_in_a_folder_that_takes_no_files(refused, tiny):
    target = Path("/proc/out.npz")
    if not target.parent.is_dir():
        pytest.skip("this system has no /proc")
    (line,) = refused("samples", tiny.checkpoint, "--count", 1, "-o", target)
    assert str(target) in line and "-o" in line


def test_the_installed_program_does_the_same(tmp_path):
    path = tmp_path / "bad.nir"
    path.write_text("a text\n")
    program = Path(sys.executable).with_name("snnergy")
    done = subprocess.run([program, "compile", path], capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"snnergy: {path}: not a NIR file") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]
