"""A tiny untrained network through the whole toolchain, and a command line to call it with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from snnergy.artefacts.samples import write_samples
from snnergy.cli import run
from snnergy.export.artefact import export
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.netx.files import write_netx
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, from_dict
from snnergy.training.data import model_inputs
from snnergy.training.model.network import SNNergy

TINY: dict[str, Any] = {
    "name": "tiny",
    "seed": 0,
    "data": {
        "name": "digits",
        "audio": {
            "snr_db": 10.0,
            "window_s": 0.2,
            "mel_low_hz": 500.0,
            "mel_high_hz": 2000.0,
            "floor_db": -40.0,
            "ceiling_db": 10.0,
        },
    },
    "model": {"time_steps": 2, "image_size": 16, "classes": 10, "base_dim": 4, "heads": 2, "mlp_ratio": 1},
    "train": {"epochs": 1, "batch_size": 64, "learning_rate": 2e-3},
}


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line as the installed program does, in this process."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@dataclass(frozen=True)
class Artefacts:
    """One file for each step of the tiny network's way."""

    config_file: Path
    config: Config
    checkpoint: Path
    nir: Path
    net: Path
    samples: Path
    activity: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    folder = tmp_path_factory.mktemp("tiny")
    made = Artefacts(
        config_file=folder / "tiny.yaml",
        config=from_dict(TINY, "tiny"),
        checkpoint=folder / "checkpoint.pt",
        nir=folder / "model.nir",
        net=folder / "model.net",
        samples=folder / "test.npz",
        activity=folder / "recorded.h5",
    )
    made.config_file.write_text(yaml.safe_dump(TINY))
    torch.manual_seed(0)
    checkpoint.save(made.checkpoint, SNNergy(made.config.model).eval(), made.config, {"test_accuracy": 0.1})
    write_samples(made.samples, model_inputs(made.config, "test", 6))
    export(made.checkpoint, made.nir, samples=None)
    write_netx(compile(made.nir, calibration=made.samples).net, made.net)
    simulate(made.net, made.samples, output=made.activity)
    return made
