"""Tables 2, 3 and 4 of arXiv 2602.00701 on GRID digits, in both profiles, with noise and without.

    python -m benchmarks.tables -o benchmarks/results/tables.json --jobs 2

A row is one trained network, measured on the test split once. Rows that the output file holds already with the same
settings are kept, and a network that is half trained goes on, so that the set can be completed over several sittings;
the rows that say most come first. `--quick` runs every row for one epoch on embedded data, to see that the experiments
work. `python -m benchmarks.tables_page` writes the tables as a page.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from benchmarks.network_activity import measure_activity
from benchmarks.operations import energy_pj
from benchmarks.results_file import read_rows, write_rows
from benchmarks.threads import threads_a_job
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, load_config, to_dict
from snnergy.training.data import arrays
from snnergy.training.loop.result import TrainResult
from snnergy.training.loop.seeds import finished
from snnergy.training.loop.train import train

PROFILES = {
    "loihi": ["model.profile=loihi", "model.ssa_scale=1.1"],
    "paper": ["model.profile=paper", "model.ssa_scale=0.125"],
}
# Clean speech spans more decibels than speech in noise, has something to say above 4 kHz, and is learned in few epochs:
# with seed 0 the whole network has 79 of the 80 validation clips right after the fourth, and all after the sixth.
_CLEAN = {"snr_db": 60, "mel_high_hz": 7800, "floor_db": -60, "ceiling_db": 6}
CONDITIONS = {
    "-12 dB": [],
    "clean": [
        *(f"data.audio.{field}={value}" for field, value in _CLEAN.items()),
        "train.epochs=4",
        "train.warmup_epochs=1",
    ],
}
# Row → what it changes in the whole network: T = 6, both paths, self-attention in stage 3. Looking at one step, the
# temporal path alone would be the very network that the spatial path alone is; so where it stands alone it looks back.
WHOLE = "whole"
ROWS = {
    WHOLE: [],
    "all CMQKA": ["model.stage3=cmqka"],
    "spatial": ["model.variant=spatial"],
    "T = 4": ["model.time_steps=4"],
    "T = 2": ["model.time_steps=2"],
    "T = 1": ["model.time_steps=1"],
    "temporal": ["model.variant=temporal", "model.temporal_kernel=3"],
    "looking back": ["model.temporal_kernel=3"],
}
# Table → its rows, with their names there.
TABLES = {
    "2": {"1": "T = 1", "2": "T = 2", "4": "T = 4", "6": WHOLE},
    "3": {
        "spatial": "spatial",
        "temporal, 3 steps": "temporal",
        "spatiotemporal": WHOLE,
        "spatiotemporal, 3 steps": "looking back",
    },
    "4": {"firing rates": WHOLE},
    "stage 3": {"self-attention": WHOLE, "query-key": "all CMQKA"},
}
_QUICK = ["train.epochs=1", "train.batch_size=64", "model.base_dim=8"]


@dataclass(frozen=True)
class Cell:
    """What one network is: where it stands in the tables, and its seed."""

    condition: str
    row: str
    profile: str
    seed: int

    @property
    def overrides(self) -> list[str]:
        """Its settings, over those of the experiment file."""
        slug = f"{self.condition}-{self.row}-{self.profile}".replace(" ", "").replace("=", "").lower()
        changes = [*CONDITIONS[self.condition], *PROFILES[self.profile], *ROWS[self.row]]
        return [f"name=tables-{slug.lstrip('-')}-{self.seed}", f"seed={self.seed}", "model.stage3=ssa", *changes]


@dataclass(frozen=True)
class Result:
    """One row of the results file.

    Attributes:
        tables: where it stands: (table, row) pairs.
        firing_rates: stage and role, as `1 q`, → spikes a neuron and step.
        accumulates, multiply_accumulates: of projections and real-valued fusion, for the mean sample.
        energy_pj: the two at 45 nm fp32 prices.
        git_revision, versions: of the code that trained the network.
    """

    tables: list[tuple[str, str]]
    condition: str
    row: str
    profile: str
    seed: int
    accuracy: float
    loss: float
    accuracy_validation: float
    best_epoch: int
    parameters: int
    train_seconds: float
    firing_rates: dict[str, float]
    accumulates: float
    multiply_accumulates: float
    energy_pj: float
    config: dict[str, Any]
    git_revision: str
    versions: dict[str, str]


def cells(conditions: Sequence[str], seeds: Sequence[int], rows: Sequence[str] = tuple(ROWS)) -> Iterator[Cell]:
    """The whole set, seed by seed, and of each seed first the rows that the others are compared with."""
    for condition, seed, row, profile in itertools.product(conditions, seeds, rows, PROFILES):
        yield Cell(condition, row, profile, seed)


def _cell(row: dict[str, Any]) -> Cell:
    return Cell(*(row[field.name] for field in fields(Cell)))


def measure(cell: Cell, config: Config, folder: Path, threads: int) -> Result:
    """Train one network, or take the trained one in `folder`, and measure it."""
    trained: TrainResult | None = finished(config, folder)
    trained = trained or train(config, output=folder, force=True, threads=threads)
    metrics = trained.metrics
    loaded = checkpoint.load(trained.checkpoint)
    activity = measure_activity(loaded.network, arrays(config, "test"))
    return Result(
        tables=[(table, name) for table, rows in TABLES.items() for name, row in rows.items() if row == cell.row],
        **asdict(cell),
        accuracy=metrics["test_accuracy"],
        loss=metrics["test_loss"],
        accuracy_validation=metrics["val_accuracy"],
        best_epoch=metrics["best_epoch"],
        parameters=metrics["parameters"],
        train_seconds=metrics["train_seconds"],
        firing_rates={f"{stage} {role}": round(rate, 5) for (stage, role), rate in sorted(activity.rates.items())},
        accumulates=activity.accumulates,
        multiply_accumulates=activity.multiply_accumulates,
        energy_pj=energy_pj(activity.accumulates, activity.multiply_accumulates),
        config=to_dict(config),
        git_revision=loaded.git_revision,
        versions=loaded.versions,
    )


def main() -> None:
    """Run what is missing of the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/grid.yaml"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--conditions", nargs="+", choices=sorted(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=1, help="networks at a time, each with its share of the cores")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trained networks")
    parser.add_argument("--quick", action="store_true", help="every row for one epoch, on embedded data, one seed")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    config_file, more, runs = arguments.config, [], arguments.runs
    wanted = list(cells(arguments.conditions, arguments.seeds, arguments.rows))
    if arguments.quick:
        # In a folder of their own, because they have the names of the networks that took hours.
        config_file, more, runs = Path("configs/digits.yaml"), _QUICK, arguments.runs / "quick"
        wanted = list(cells(["-12 dB"], [0], arguments.rows))
    rows = {_cell(row): row for row in read_rows(arguments.output)}
    threads = threads_a_job(arguments.jobs)
    tasks = []
    for cell in wanted:
        config = load_config(config_file, [*cell.overrides, *more])
        if cell not in rows or rows[cell]["config"] != to_dict(config):
            tasks.append(delayed(measure)(cell, config, runs, threads))
    for result in Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(tasks):
        row = asdict(result)
        rows[_cell(row)] = row
        in_order = sorted(rows, key=lambda cell: (cell.condition, list(ROWS).index(cell.row), cell.profile, cell.seed))
        write_rows(arguments.output, "benchmarks.tables", [rows[cell] for cell in in_order])
        name = f"{result.condition}, {result.row}, {result.profile}, seed {result.seed}"
        print(f"{name}: accuracy {result.accuracy:.4f}, {result.energy_pj / 1e6:.3f} µJ", flush=True)


if __name__ == "__main__":
    main()
