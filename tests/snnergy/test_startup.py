"""Help and mistakes answer before anything slow is imported, and inputs are looked at before outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.snnergy.conftest import TINY

ROOT = Path(__file__).parents[2]
SLOW = ("torch", "lightning", "librosa", "sklearn", "spikingjelly", "nir", "numba", "av", "matplotlib")
_CODE = """
import json, sys
from snnergy.cli import run
code = run(sys.argv[1:])
print(json.dumps({"code": code, "modules": [name for name in sys.modules if "." not in name]}))
"""


def start(*arguments, cwd):
    """A command line in a fresh interpreter: exit code, the slow modules it has loaded, and what it said."""
    command = [sys.executable, "-c", _CODE, *map(str, arguments)]
    here = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, env=here)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["code"], set(SLOW) & set(found["modules"]), done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["samples", "--help"], ["export", "--help"]])
def test_help_is_light(arguments, tmp_path):
    code, slow, _ = start(*arguments, cwd=tmp_path)
    assert (code, slow) == (0, set())


MISTAKES = [
    (["train", "nothing.yaml"], "nothing.yaml: cannot be read"),
    (["train", "nothing"], "or the name of a packaged one: ave, crema_d, digits, digits-binding, digits-"),
    (["train", "digits", "model.speed=9"], "digits: model.speed is not a field"),
    (["train", "digits", "--seed", "-1", "--seed", "2"], "seed = -1"),
    (["train", "grid", "data.root=nowhere"], "data set 'grid' is not there"),
    (["samples", "nothing.yaml"], "nothing.yaml: cannot be read"),
    (["samples", "nothing.pt"], "nothing.pt: no such file; pass the checkpoint.pt"),
    (["samples", "ave"], "data set 'ave' is not there"),
    (["export", "nothing.pt"], "nothing.pt: no such file; pass the checkpoint.pt"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(line) for line, _ in MISTAKES])
def test_a_mistake_is_said_at_once(arguments, message, tmp_path):
    # Outputs that stand in the way are not what is wrong first.
    for output in ("model.nir", "test.npz"):
        (tmp_path / output).write_text("mine")
    code, slow, said = start(*arguments, cwd=tmp_path)
    assert (code, slow) == (2, set())
    assert message in said and "exists already" not in said


def test_a_finished_run_is_said_at_once(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    (tmp_path / "runs/tiny").mkdir(parents=True)
    (tmp_path / "runs/tiny/checkpoint.pt").write_text("mine")
    code, slow, said = start("train", "tiny.yaml", cwd=tmp_path)
    assert (code, slow) == (2, set())
    assert "exists already" in said


def test_export_looks_at_its_output_before_torch_is_imported(tmp_path):
    torch.save({}, tmp_path / "checkpoint.pt")
    (tmp_path / "model.nir").write_text("mine")
    code, slow, said = start("export", "checkpoint.pt", cwd=tmp_path)
    assert (code, slow) == (2, set())
    assert "model.nir: exists already" in said


def test_without_the_extra_training_says_how_to_install_it(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    outcome = cli("train", "digits")
    assert outcome.code == 2
    assert "training needs lightning" in outcome.err and "pip install 'snnergy[train]'" in outcome.err


def test_train_finds_a_packaged_experiment_by_name(cli, tmp_path, monkeypatch):
    called = {}

    def run(config, folder, *_):
        called.update(config=config, folder=folder)
        raise KeyboardInterrupt

    monkeypatch.setattr("snnergy.training.loop.run.run", run)
    assert cli("train", "digits", "--seed", "5", "name=other", "-o", tmp_path).code == 130
    assert (called["config"].data.name, called["config"].seed) == ("digits", 5)
    assert called["folder"] == tmp_path / "other"
