"""SNNergy, trained on GRID, beside the PyTorch network that it comes from: real clips, 101 populations, 6 steps.

The network is trained for a few epochs the first time, which is enough to give its neurons the rates that they have in
use; it stays in `runs/`. Without the data set there is a row that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.emulator.turns import clocked, in_turns, medians
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import as_samples
from snnergy.export.artefact import export
from snnergy.neuromorphic.emulator.layerwise import Emulation
from snnergy.neuromorphic.inputs import shapes_of, to_integers
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, load_config
from snnergy.training.data import model_inputs
from snnergy.training.loop.train import train

CONFIG, RUNS = Path("configs/grid.yaml"), Path("runs")
EPOCHS = 5
BATCH = 32
CALIBRATION = 18


def rows(rounds: int) -> Iterator[dict[str, Any]]:
    """One row."""
    try:
        yield _measured(rounds)
    except UserError as error:
        yield {"kind": "grid", "missing": str(error)}


def _measured(rounds: int) -> dict[str, Any]:
    config = load_config(CONFIG, ["name=grid-speed", f"train.epochs={EPOCHS}"])
    trained = _trained(config)
    model = checkpoint.load(trained).network.eval()
    graph = export(trained, samples=None, force=True).path
    net = compile(graph, calibration=model_inputs(config, "train", CALIBRATION)).net
    arrays = model_inputs(config, "test", BATCH)
    inputs = to_integers(as_samples(arrays, shapes_of(net.inputs)), net.inputs)
    stepped = [torch.from_numpy(arrays[name]).transpose(0, 1).contiguous() for name in ("video", "audio")]
    emulation = Emulation(net)

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return model(*stepped)

    records = emulation.run(inputs)
    rates = [float((records.values[p.name] != 0).mean()) for p in net.populations if p.spiking]
    events = sum(int(counts.sum()) for counts in records.delivered)
    contestants = {"emulator": clocked(lambda: emulation.run(inputs)), "pytorch": clocked(forward)}
    seconds = medians(in_turns(contestants, rounds))
    return {
        "kind": "grid",
        "epochs": EPOCHS,
        "populations": len(net.populations),
        "batch": BATCH,
        "mean_rate": round(float(np.mean(rates)), 3),
        "events": events,
        "seconds": {who: round(value, 4) for who, value in seconds.items()},
        "events_per_second": round(events / seconds["emulator"]),
        "ratio_pytorch": round(seconds["pytorch"] / seconds["emulator"], 2),
    }


def _trained(config: Config) -> Path:
    """The checkpoint of an earlier run of the same experiment, or a new one."""
    path = RUNS / config.name / "checkpoint.pt"
    if path.is_file() and checkpoint.load_config(path).train.epochs == config.train.epochs:
        return path
    return train(config, output=RUNS, force=True).checkpoint
