"""Peak memory and time of `simulate` into a file: whether it grows with the samples, and the publication's full size.

The network of `snnergy demo` on 500, 1500 and 4500 of its test samples, repeated, read from a file; and the `loihi`
network of D = 96 on 128 × 128 pixels with T = 6 on noise. Neither is trained: batch norms take the statistics of one
batch, so that populations fire, and shapes are all that memory depends on. Every run is a process of its own, whose
peak includes Python, torch and the program.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch

from snnergy.artefacts.budget import VARIABLE
from snnergy.artefacts.samples import LABEL, MODALITIES, to_units, write_samples
from snnergy.artefacts.types import Recording
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.training.config.experiment import ModelConfig, load_config
from snnergy.training.data import model_inputs
from snnergy.training.model.network import SNNergy

COUNTS = (500, 1500, 4500)
FULL_SIZE = ModelConfig(
    time_steps=6, image_size=128, classes=6, base_dim=96, profile="loihi", stage3="ssa", depths=(1, 1, 2),
    video_channels=3,
)  # fmt: skip
FULL_SIZE_SAMPLES = 4

Arrays = dict[str, npt.NDArray[Any]]


def noise(model: ModelConfig, count: int) -> Arrays:
    """Pixels of no meaning."""
    rng, side = np.random.default_rng(0), model.image_size
    channels = dict(zip(MODALITIES, (model.video_channels, 1), strict=True))
    shapes = {name: (count, model.time_steps, depth, side, side) for name, depth in channels.items()}
    return {name: to_units(rng.integers(0, 256, shape, np.uint8)) for name, shape in shapes.items()}


def build(model: ModelConfig, samples: Arrays, path: Path) -> None:
    """Write the integer network of an untrained one; `samples` set its batch norms, the first one its scales."""
    os.environ[VARIABLE] = "8GiB"  # for floating point, all steps of all populations at once
    torch.manual_seed(0)
    network = SNNergy(model).train()
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        network(*(torch.from_numpy(samples[name]).transpose(0, 1) for name in MODALITIES))
    graph = to_nir(network.eval(), {"seed": 0})
    compile(graph, calibration={name: samples[name][:1] for name in MODALITIES}).save(path, force=True)


def measure(net: Path, samples: Path, count: int, record: Recording, memory: str) -> dict[str, Any]:
    """One run of a process that has done nothing before. seconds: of wall and processor, with reading the network."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter(), time.process_time()
        run = simulate(net, samples, record=record, output=Path(folder) / "activity.h5", memory=memory)
        wall, processor = time.perf_counter() - begun[0], time.process_time() - begun[1]
        assert run.path is not None and run.activity.samples == count
        written = run.path.stat().st_size
    return {
        "samples": count,
        "record": record,
        "memory": memory,
        "seconds_a_sample": round(wall / count, 4),
        "processor_seconds_a_sample": round(processor / count, 4),
        "peak_memory_mib": round(_peak() / 2**20),
        "file_mib": round(written / 2**20, 1),
    }


def _peak() -> int:
    """Most bytes that this process held. Linux hands `ru_maxrss` down to a new program, so it is not asked there."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_child(call: Any, *arguments: Any) -> Any:
    """What a process makes of it that ends afterwards."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def rows(_rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each network, number of samples and kind of recording."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits = load_config("digits")
        test = model_inputs(digits, "test")
        in_child(build, digits.model, {name: test[name][:16] for name in MODALITIES}, folder / "demo.net")
        for count in COUNTS:
            repeated = {name: np.resize(test[name], (count, *test[name].shape[1:])) for name in (*MODALITIES, LABEL)}
            write_samples(folder / f"{count}.npz", repeated)
            for record in get_args(Recording):
                given = folder / "demo.net", folder / f"{count}.npz", count, record, "256MiB"
                yield {"kind": "memory", "network": "demo", **in_child(measure, *given)}
        in_child(build, FULL_SIZE, noise(FULL_SIZE, 2), folder / "full.net")
        write_samples(folder / "full.npz", noise(FULL_SIZE, FULL_SIZE_SAMPLES))
        for record in get_args(Recording):
            given = folder / "full.net", folder / "full.npz", FULL_SIZE_SAMPLES, record, "2GiB"
            yield {"kind": "memory", "network": "full size", **in_child(measure, *given)}
