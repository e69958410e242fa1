"""Training in several processes: they do together what one does alone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from snnergy.artefacts.errors import UserError
from snnergy.training import checkpoint
from snnergy.training.config.experiment import to_yaml
from snnergy.training.data.module import AudioVisualModule
from snnergy.training.loop.train import train
from snnergy.training.model.network import SNNergy
from tests.training.gradient_step import gradients
from tests.training.helpers import TINY, tiny_config


def configs(folder: Path, **train) -> Path:
    config = tiny_config()
    path = folder / "tiny.yaml"
    path.write_text(to_yaml(replace(config, train=replace(config.train, batch_size=128, **train))))
    return path


def train_in_two(config: Path, output: Path) -> dict[str, torch.Tensor]:
    program = str(Path(sys.executable).with_name("snnergy"))
    command = [program, "train", str(config), "-o", str(output), "--devices", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training tiny (seed 0") == 1
    return checkpoint.load(output / "tiny/checkpoint.pt").network.state_dict()


def distance(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Norm of all differences over the norm of all values."""
    differences, values = (
        torch.cat([x.double().flatten() for x in tensors])
        for tensors in ([found[name] - expected[name] for name in expected], expected.values())
    )
    return (differences.norm() / values.norm()).item()


def test_gradients_and_statistics_of_two_processes_are_those_of_the_whole_batch(tmp_path):
    """In float64, where only a mistake would show."""
    gradients(0, 1, tmp_path)
    multiprocessing.spawn(gradients, (2, tmp_path), nprocs=2)
    whole, halves = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (1, 2))
    assert any(name.endswith("running_var") for name in whole)
    for name, value in whole.items():
        torch.testing.assert_close(
            halves[name], value, rtol=1e-9, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_two_processes_train_as_one_with_twice_their_batch(tmp_path):
    """Eight steps of AdamW in float32, whose first steps follow the sign of a gradient however small it is.

    The order of additions differs between one process and two, so weights come out 1 % apart at most, in norm; another
    seed comes out far away.
    """
    config = configs(tmp_path)
    alone = train(config, output=tmp_path / "one").checkpoint
    one, two = checkpoint.load(alone).network.state_dict(), train_in_two(config, tmp_path / "two")
    torch.manual_seed(1)
    assert distance(two, one) < 0.01
    assert distance(SNNergy(replace(TINY)).state_dict(), one) > 0.1


@pytest.mark.parametrize(
    ("processes", "accumulate", "line"),
    [
        (3, 1, "train.batch_size = 128: cannot be cut into 2 or more samples for each of 3 processes"),
        (64, 2, "train.batch_size = 128: cannot be cut into 2 or more samples for each of 64 processes"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(processes, accumulate, line):
    config = tiny_config()
    config = replace(config, train=replace(config.train, batch_size=128, accumulate=accumulate))
    with pytest.raises(UserError) as caught:
        AudioVisualModule(config, processes)
    assert caught.value.violations[0].startswith(line)
