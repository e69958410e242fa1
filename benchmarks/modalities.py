"""Accuracy of audio alone, video alone and both together, in float and in 8 bits, over several seeds.

    python -m benchmarks.modalities configs/grid.yaml --seeds 0 1 2 -o benchmarks/results/grid.json

Each row trains one network (a single modality is the same network with the other one blanked in training as well),
exports it, compiles it and simulates the whole test split in the emulator; the rows of both modalities together also
run a few samples in Lava. A finished row of the same settings is kept, so that a broken-off set goes on where it
stopped. Fields may be changed as in `snnergy train`: `configs/grid.yaml train.epochs=60 name=grid-60`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from benchmarks.results_file import read_rows, write_rows
from benchmarks.threads import threads_a_job
from snnergy.artefacts.samples import read_samples, write_samples
from snnergy.export.artefact import export
from snnergy.neuromorphic.inputs import shapes_of
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.neuromorphic.simulation.verify import verify
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, load_config, to_dict
from snnergy.training.data import model_inputs
from snnergy.training.loop.seeds import finished, spread
from snnergy.training.loop.train import train

BLANKED = {"audio": "video", "video": "audio", "both": "none"}
_CALIBRATION_SAMPLES = 80
_PARITY_SAMPLES = 50


@dataclass(frozen=True)
class Row:
    """One trained network.

    seconds: by step. lava_*: None where no sample was run in Lava. git_revision, versions: of the code that trained it.
    """

    modality: str
    seed: int
    accuracy_float: float
    accuracy_8bit: float
    accuracy_validation: float
    best_epoch: int
    parity_values: int
    parity_mismatches: int
    parity_ties: int
    lava_samples: int | None
    lava_values_compared: int | None
    lava_mismatches: int | None
    seconds: dict[str, float]
    config: dict[str, Any]
    git_revision: str
    versions: dict[str, str]


def measure(config: Config, modality: str, folder: Path, lava_samples: int, threads: int) -> Row:
    """Take one network from data to the emulator; artefacts stay in `folder`, a trained checkpoint there is reused."""
    seconds: dict[str, float] = {}
    begun = time.perf_counter()

    def lap(step: str) -> None:
        nonlocal begun
        now = time.perf_counter()
        seconds[step], begun = round(now - begun, 1), now

    trained = finished(config, folder) or train(config, output=folder, force=True, threads=threads)
    metrics, loaded = trained.metrics, checkpoint.load(trained.checkpoint)
    begun = time.perf_counter()
    seconds["train"] = metrics["train_seconds"]
    run = folder / config.name
    write_samples(run / "calibration.npz", model_inputs(config, "val", _CALIBRATION_SAMPLES), force=True)
    write_samples(run / "test.npz", model_inputs(config, "test"), force=True)
    parity = export(run / "checkpoint.pt", run / "model.nir", samples=_PARITY_SAMPLES, force=True).parity
    assert parity is not None  # samples were asked for
    compared = parity.total
    lap("export")
    compiled = compile(run / "model.nir", calibration=run / "calibration.npz")
    compiled.save(run / "model.net", force=True)
    lap("compile")
    samples = read_samples(run / "test.npz", shapes_of(compiled.net.inputs))
    simulated = simulate(compiled, samples)
    assert simulated.accuracy is not None  # written with labels above
    lap("simulate")
    verified = None
    if lava_samples:
        verified = verify(compiled, samples.first(lava_samples), timeout_s=1800.0)
        lap("lava")
    return Row(
        modality=modality,
        seed=config.seed,
        accuracy_float=metrics["test_accuracy"],
        accuracy_8bit=simulated.accuracy,
        accuracy_validation=metrics["val_accuracy"],
        best_epoch=metrics["best_epoch"],
        parity_values=compared.values,
        parity_mismatches=compared.mismatches,
        parity_ties=compared.ties,
        lava_samples=None if verified is None else verified.samples,
        lava_values_compared=None if verified is None else verified.values_compared,
        lava_mismatches=None if verified is None else verified.total_mismatches,
        seconds=seconds,
        config=to_dict(config),
        git_revision=loaded.git_revision,
        versions=loaded.versions,
    )


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and sample standard deviation over the seeds of each modality."""
    table: dict[str, dict[str, float]] = {}
    for modality in BLANKED:
        chosen = [row for row in rows if row["modality"] == modality]
        if chosen:
            table[modality] = {"seeds": len(chosen)}
            for figure in ("accuracy_float", "accuracy_8bit"):
                found = spread(row[figure] for row in chosen)
                table[modality] |= {f"{figure}_mean": round(found.mean, 4), f"{figure}_std": round(found.deviation, 4)}
    return table


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    rows = sorted(rows, key=lambda row: (list(BLANKED).index(row["modality"]), row["seed"]))
    write_rows(path, "benchmarks.modalities", rows, summary=summary(rows))


def main() -> None:
    """Run what is missing of the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("changes", nargs="*", metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modalities", nargs="+", choices=sorted(BLANKED), default=sorted(BLANKED))
    parser.add_argument("--lava-samples", type=int, default=2, help="run in Lava for each network of both modalities")
    parser.add_argument("--jobs", type=int, default=1, help="networks at a time, each with its share of the cores")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and artefacts")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    name = load_config(arguments.config, arguments.changes).name
    rows, tasks = read_rows(arguments.output), []
    for seed, modality in product(arguments.seeds, arguments.modalities):
        overrides = [f"name={name}-{modality}-{seed}", f"seed={seed}", f"model.blank={BLANKED[modality]}"]
        config = load_config(arguments.config, [*arguments.changes, *overrides])
        present = [row for row in rows if (row["modality"], row["seed"]) == (modality, seed)]
        if any(row.get("config") == to_dict(config) for row in present):
            continue
        rows = [row for row in rows if row not in present]  # of other settings
        lava_samples = arguments.lava_samples if modality == "both" else 0
        tasks.append(delayed(measure)(config, modality, arguments.runs, lava_samples, threads_a_job(arguments.jobs)))
    for row in Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(tasks):
        rows.append(asdict(row))
        _write(arguments.output, rows)
        print(
            f"{row.modality} seed {row.seed}: float {row.accuracy_float:.4f}, 8 bit {row.accuracy_8bit:.4f}", flush=True
        )
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
