"""Table 1 of arXiv 2602.00701 here: every system on GRID at -12 dB, and on tasks that neither stream alone can do.

    python -m benchmarks.table1 -o benchmarks/results/table1.json --jobs 2
    OMP_NUM_THREADS=1 python -m benchmarks.table1 --time -o benchmarks/results/table1.json

All systems have the same budget of tuning: each learning rate is trained once with the first seed, and the one that is
best on validation with the others; what a run that is not chosen does on the test split is never read. A row is one
trained network. Rows and tuning that the output file holds already with the same settings are kept, and a network that
is half trained goes on. The time of one sample and the memory of a training step are measured by a pass of its own, on
a machine that has nothing else to do. `--quick` trains every system for one epoch on embedded data, to see that all of
them work.

On GRID a system is that of its file in configs/table1, with all its settings. On the other tasks, the task's file gives
data, optimisation and size of the images, and the system's file the rest; SNNergy's network is that of the task's file.
Every system takes images of 32 pixels as it is. What sees one modality alone runs where that can tell: on GRID.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from torch import Tensor

from benchmarks.operations import energy_pj, measure_operations
from benchmarks.peak_memory import peak_bytes
from benchmarks.results_file import read_rows, write_rows
from benchmarks.threads import threads_a_job
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, from_dict, load_config, to_dict
from snnergy.training.config.systems import SystemConfig
from snnergy.training.data import arrays
from snnergy.training.loop.result import TrainResult
from snnergy.training.loop.seeds import finished
from snnergy.training.loop.train import train
from snnergy.training.systems.build import build

_CONFIGS = Path(__file__).parents[1] / "configs"
# SNNergy's own → what it changes in the network of the task's file.
OWN: dict[str, list[str]] = {
    "snnergy": [],
    "snnergy-ssa": ["model.stage3=ssa"],
    "snnergy-paper": ["model.profile=paper"],
}
SYSTEMS = (*OWN, *sorted(path.stem for path in (_CONFIGS / "table1").glob("*.yaml")))
GRID, QUICK = "grid", "digits"
# Task → its file.
TASKS = {
    GRID: "grid",
    "correspondence": "digits-correspondence",
    "binding": "digits-binding",
    QUICK: "digits",
}
_BOTH_NEEDED = ("correspondence", "binding")
_OF_THE_TASK = ("time_steps", "image_size", "classes", "audio_encoding", "video_channels")
LEARNING_RATES = (1e-3, 2e-3, 4e-3)
SEEDS = (0, 1, 2)
_QUICK = ("train.epochs=1", "train.batch_size=64", "model.base_dim=8", "model.time_steps=2")
_SAMPLES = 32  # of the test split, the first ones, for operations
_ROUNDS = 9  # of timing


@dataclass(frozen=True)
class Run:
    """What one network is. changes: of its settings, the last ones."""

    system: str
    task: str
    learning_rate: float
    seed: int
    changes: tuple[str, ...] = ()

    @property
    def config(self) -> Config:
        """Its settings; the name is unlike that of every other run."""
        name = f"table1-{self.task}-{self.system}-{self.learning_rate:g}-{self.seed}"
        changes = [f"name={name}", f"seed={self.seed}", f"train.learning_rate={self.learning_rate!r}", *self.changes]
        return load_config(_fields(self.system, self.task), changes)


@dataclass(frozen=True)
class Tuning:
    """How one learning rate does on validation. settings: digest of all settings of the run."""

    system: str
    task: str
    learning_rate: float
    accuracy_validation: float
    loss_validation: float
    settings: str


@dataclass(frozen=True)
class Row:
    """One trained network.

    Attributes:
        learning_rate: the best of its system and task on validation.
        dense_macs, accumulates, multiply_accumulates: of `benchmarks.operations`, for the mean of `_SAMPLES` samples.
        energy_pj: of the latter two at 45 nm fp32 prices.
        milliseconds: a forward pass of one sample on one thread; None until it is measured.
        peak_memory_bytes: of a training step, on a CPU; None until it is measured.
        git_revision, versions: of the code that trained it.
    """

    system: str
    task: str
    seed: int
    learning_rate: float
    accuracy: float
    loss: float
    accuracy_validation: float
    best_epoch: int
    parameters: int
    dense_macs: int
    accumulates: float
    multiply_accumulates: float
    energy_pj: float
    milliseconds: float | None
    peak_memory_bytes: int | None
    train_seconds: float
    device: str
    config: dict[str, Any]
    git_revision: str
    versions: dict[str, str]


@cache
def _file(name: str) -> Config:
    return load_config(_CONFIGS / f"{name}.yaml")


def _fields(system: str, task: str) -> dict[str, Any]:
    """The settings that a system has on a task."""
    of_task = _file(TASKS[task])
    if system in OWN:
        return to_dict(load_config(of_task, OWN[system]))
    fields = to_dict(_file(f"table1/{system}"))
    if task != GRID:
        given = to_dict(of_task)
        fields |= {"data": given["data"], "train": given["train"]}
        fields["model"] |= {name: given["model"][name] for name in _OF_THE_TASK}
    return fields


def runs(
    systems: Iterable[str] = SYSTEMS,
    tasks: Iterable[str] = (GRID, "correspondence", "binding"),
    learning_rates: Sequence[float] = LEARNING_RATES,
    seed: int = SEEDS[0],
    changes: tuple[str, ...] = (),
) -> list[Run]:
    """Those that tune, task by task; of one modality on a task that takes both there are none."""
    systems = list(systems)
    return [
        Run(system, task, rate, seed, changes)
        for task in tasks
        for system in systems
        if not (task in _BOTH_NEEDED and "modality" in _fields(system, task)["model"])
        for rate in learning_rates
    ]


def settings(run: Run) -> str:
    """Digest of all settings of a run."""
    return hashlib.sha256(json.dumps(to_dict(run.config), sort_keys=True).encode()).hexdigest()[:16]


def chosen(wanted: Iterable[Run], tuning: Iterable[dict[str, Any]]) -> list[Run]:
    """Of the tuning runs of each system and task, the one that is best on validation: accuracy, then loss.

    Args:
        wanted: tuning runs.
        tuning: fields of `Tuning` of all of them, and perhaps of others.
    """
    found = {(each["system"], each["task"], each["learning_rate"]): each for each in tuning}
    best: dict[tuple[str, str], tuple[float, float]] = {}
    runs: dict[tuple[str, str], Run] = {}
    for run in wanted:
        each = found[run.system, run.task, run.learning_rate]
        score = each["accuracy_validation"], -each["loss_validation"]
        if score > best.get((run.system, run.task), (-1.0, 0.0)):
            best[run.system, run.task], runs[run.system, run.task] = score, run
    return list(runs.values())


def trained(run: Run, folder: Path, threads: int | None = None) -> TrainResult:
    """Train a network, or take the trained one in `folder`, or go on with one that is half trained."""
    config = run.config
    return finished(config, folder) or train(config, output=folder, force=True, threads=threads)


def tune(run: Run, folder: Path, threads: int | None = None) -> Tuning:
    """Train a network, and look at its validation."""
    metrics = trained(run, folder, threads).metrics
    return Tuning(run.system, run.task, run.learning_rate, metrics["val_accuracy"], metrics["val_loss"], settings(run))


def measure(run: Run, folder: Path, threads: int | None = None) -> Row:
    """Train a network, or take the trained one in `folder`, and measure it on the CPU."""
    result = trained(run, folder, threads)
    metrics, loaded = result.metrics, checkpoint.load(result.checkpoint)
    operations = measure_operations(loaded.network, arrays(loaded.config, "test", _SAMPLES))
    return Row(
        system=run.system,
        task=run.task,
        seed=run.seed,
        learning_rate=run.learning_rate,
        accuracy=metrics["test_accuracy"],
        loss=metrics["test_loss"],
        accuracy_validation=metrics["val_accuracy"],
        best_epoch=metrics["best_epoch"],
        parameters=metrics["parameters"],
        **asdict(operations),
        energy_pj=energy_pj(operations.accumulates, operations.multiply_accumulates),
        milliseconds=None,
        peak_memory_bytes=None,
        train_seconds=metrics["train_seconds"],
        device=metrics["device"],
        config=to_dict(loaded.config),
        git_revision=loaded.git_revision,
        versions=loaded.versions,
    )


def time_of(configs: Sequence[Config], rounds: int = _ROUNDS) -> list[float]:
    """Milliseconds of a forward pass of one sample on one thread: the median of warm ones, all networks in turns.

    The networks are new: how long layers take that skip nothing does not depend on their weights.
    """
    torch.set_num_threads(1)
    networks = [build(config.model).eval() for config in configs]
    times: list[list[float]] = [[] for _ in configs]
    for _ in range(rounds):
        for network, found in zip(networks, times, strict=True):
            images = _images(network.config, 1)
            with torch.inference_mode():
                network(*images)
                begin = time.perf_counter()
                network(*images)
                found.append(1e3 * (time.perf_counter() - begin))
    return [round(statistics.median(found), 3) for found in times]


def memory_of(config: Config) -> int:
    """Bytes that training needs at its height: weights, gradients, moments, and what one batch leaves behind.

    Of a new network's second step, the first that finds moments there; which weights it has decides nothing.
    """

    def two_steps() -> None:
        network = build(config.model).train()
        optimizer = torch.optim.AdamW(network.parameters())
        for _ in range(2):
            optimizer.zero_grad()
            outputs = network.outputs(*images)
            network.loss(outputs, labels, config.train.label_smoothing, 0.0).backward()
            network.modulate({name: output.detach() for name, output in outputs.items()}, labels, 0.0)
            optimizer.step()

    images = _images(config.model, config.train.batch_size)
    labels = torch.arange(config.train.batch_size) % config.model.classes
    two_steps()  # with what torch and Python make once
    return peak_bytes(two_steps)


def _images(model: SystemConfig, batch: int) -> tuple[Tensor, Tensor]:
    """Video and audio of noise."""
    side = (model.image_size, model.image_size)
    video, audio = (torch.rand(model.time_steps, batch, channels, *side) for channels in (model.video_channels, 1))
    return video, audio


class Results:
    """The output file: tuning and rows by what they are of, written after each change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tuning = {
            (each["system"], each["task"], each["learning_rate"]): each for each in read_rows(path, "tuning")
        }
        self.rows = {(row["system"], row["task"], row["seed"]): row for row in read_rows(path)}

    def tuned(self, run: Run) -> bool:
        """Whether it is known how a tuning run of these settings does."""
        found = self.tuning.get((run.system, run.task, run.learning_rate))
        return found is not None and found["settings"] == settings(run)

    def measured(self, run: Run) -> bool:
        """Whether there is a row of these settings."""
        found = self.rows.get((run.system, run.task, run.seed))
        return found is not None and found["config"] == to_dict(run.config)

    def keep(self, result: Tuning | Row) -> None:
        """Add it, or put it in the place of an older one."""
        if isinstance(result, Tuning):
            self.tuning[result.system, result.task, result.learning_rate] = asdict(result)
        else:
            self.rows[result.system, result.task, result.seed] = asdict(result)
        self.write()

    def fill_in_costs(self, rounds: int = _ROUNDS) -> None:
        """Measure how long each system of the rows takes on each task, and the memory that it is trained in."""
        fields = {(row["system"], row["task"]): row["config"] for row in self.rows.values()}
        configs = {of: from_dict(given, given["name"]) for of, given in fields.items()}
        times = dict(zip(configs, time_of(list(configs.values()), rounds), strict=True))
        memory = {of: memory_of(config) for of, config in configs.items()}
        for row in self.rows.values():
            of = row["system"], row["task"]
            row |= {"milliseconds": times[of], "peak_memory_bytes": memory[of]}
        self.write()

    def write(self) -> None:
        """Replace the file."""

        def order(key: tuple[str, str, float]) -> tuple[int, int, float]:
            return list(TASKS).index(key[1]), SYSTEMS.index(key[0]), key[2]

        tuning, rows = ([table[key] for key in sorted(table, key=order)] for table in (self.tuning, self.rows))
        write_rows(self.path, "benchmarks.table1", rows, tuning=tuning)


def _alone(function: Any, *arguments: Any) -> Any:
    """In a process of its own, whose peak of memory is due to this call alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def each(function: Any, todo: Iterable[Run], folder: Path, jobs: int) -> Iterator[Any]:
    """What a function makes of runs, as soon as it is there."""
    threads = threads_a_job(jobs)
    parallel = Parallel(n_jobs=jobs, backend="threading", return_as="generator_unordered")
    return iter(parallel(delayed(_alone)(function, run, folder, threads) for run in todo))


def complete(results: Results, wanted: Sequence[Run], seeds: Sequence[int], folder: Path, jobs: int) -> None:
    """Run what is missing of some tuning runs, and of the rows that they lead to."""
    for tuning in each(tune, [run for run in wanted if not results.tuned(run)], folder, jobs):
        results.keep(tuning)
        name = f"{tuning.task}, {tuning.system}, learning rate {tuning.learning_rate:g}"
        print(f"{name}: {tuning.accuracy_validation:.4f} on validation", flush=True)
    best = chosen(wanted, results.tuning.values())
    rows = [replace(run, seed=seed) for seed in seeds for run in best]
    for row in each(measure, [run for run in rows if not results.measured(run)], folder, jobs):
        results.keep(row)
        name = f"{row.task}, {row.system}, seed {row.seed}"
        print(f"{name}: accuracy {row.accuracy:.4f}, {row.energy_pj / 1e6:.3f} µJ", flush=True)


def main() -> None:
    """Run what is missing of the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, metavar="SYSTEM")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=[GRID, "correspondence", "binding"])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="the first one tunes")
    parser.add_argument("--jobs", type=int, default=1, help="networks at a time, each with its share of the cores")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trained networks")
    parser.add_argument("--quick", action="store_true", help="every system for one epoch, on embedded data, one seed")
    parser.add_argument("--time", action="store_true", help="train nothing, but fill in time and memory of the rows")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    results = Results(arguments.output)
    if arguments.time:
        results.fill_in_costs()
    elif arguments.quick:
        wanted = runs(arguments.systems, [QUICK], LEARNING_RATES[:1], changes=_QUICK)
        complete(results, wanted, SEEDS[:1], arguments.runs / "quick", arguments.jobs)
    else:
        for task in arguments.tasks:
            wanted = runs(arguments.systems, [task], seed=arguments.seeds[0])
            complete(results, wanted, arguments.seeds, arguments.runs, arguments.jobs)


if __name__ == "__main__":
    main()
