"""Accuracy in float, rounded after training, and fine-tuned for the rounding, at 8, 6 and 4 bits, over several seeds.

    python -m benchmarks.finetune configs/digits.yaml --seeds 0 1 2 -o benchmarks/results/finetune.json

Each row is one network at one width of its weights: trained (or taken from `--runs`, where `benchmarks.modalities`
leaves the same ones), exported, compiled and simulated on the whole test split, once as it is and once fine-tuned. A
finished row of the same settings is kept, so that a broken-off set goes on where it stopped. Fields may be changed as
in `snnergy train`; those of the fine-tuning with `--tuning train.epochs=5`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.modalities import BLANKED
from benchmarks.results_file import read_rows, write_rows
from snnergy.artefacts.held_scales import WEIGHT_BITS
from snnergy.artefacts.samples import Samples
from snnergy.export.artefact import export
from snnergy.finetuning.finetune import experiment, finetune
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config, load_config, to_dict
from snnergy.training.data import model_inputs
from snnergy.training.loop.seeds import finished, spread
from snnergy.training.loop.train import train

_CALIBRATION_SAMPLES = 80
_FIGURES = ("accuracy_float", "accuracy_rounded", "accuracy_finetuned")


@dataclass(frozen=True)
class Row:
    """One network at one width, on the test split.

    accuracy_float: of the trained network. accuracy_rounded: of that in integers. accuracy_finetuned: of the fine-tuned
    network in integers, accuracy_finetuned_training of the rounded network that fine-tuning trains: the two are equal
    but for membranes that a chip rounds by less than a unit. seconds: of the fine-tuning. config: of that.
    git_revision, versions: of the code that fine-tuned it.
    """

    experiment: str
    modality: str
    seed: int
    bits: int
    accuracy_float: float
    accuracy_rounded: float
    accuracy_finetuned: float
    accuracy_finetuned_training: float
    best_epoch: int
    seconds: float
    config: dict[str, Any]
    git_revision: str
    versions: dict[str, str]


def measure(trained: Config, tuned: Config, modality: str, start: Path, runs: Path, tuning: list[str]) -> Row:
    """Take a trained network to the emulator, as it is and fine-tuned; artefacts stay in `runs`."""
    assert tuned.finetune is not None
    bits = tuned.finetune.bits
    begun = time.perf_counter()
    result = finished(tuned, runs) or finetune(start, bits, *tuning, output=runs, force=True, threads=1)
    seconds = result.metrics.get("train_seconds", time.perf_counter() - begun)
    loaded = checkpoint.load(result.checkpoint)
    return Row(
        experiment=trained.name.rsplit("-", 2)[0],
        modality=modality,
        seed=trained.seed,
        bits=bits,
        accuracy_float=checkpoint.load(start).metrics["test_accuracy"],
        accuracy_rounded=_in_integers(trained, start, bits),
        accuracy_finetuned=_in_integers(tuned, result.checkpoint, bits),
        accuracy_finetuned_training=result.metrics["test_accuracy"],
        best_epoch=result.metrics["best_epoch"],
        seconds=round(seconds, 1),
        config=to_dict(tuned),
        git_revision=loaded.git_revision,
        versions=loaded.versions,
    )


def _in_integers(config: Config, path: Path, bits: int) -> float:
    """Accuracy of a checkpoint's network on the test split, compiled to so many bits."""
    graph = path.with_name("model.nir")
    export(path, graph, samples=None, force=True)
    compiled = compile(graph, calibration=_samples(config, "val", _CALIBRATION_SAMPLES), bits=bits)
    simulated = simulate(compiled, _samples(config, "test"), record="counts")
    assert simulated.accuracy is not None  # they have labels
    return simulated.accuracy


def _samples(config: Config, split: Any, limit: int | None = None) -> Samples:
    arrays = model_inputs(config, split, limit)
    return Samples({name: arrays[name] for name in ("video", "audio")}, arrays["label"])


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and sample standard deviation over the seeds of each experiment, modality and width, and what is lost."""
    table = []
    for key in sorted({_kind(row) for row in rows}):
        chosen = [row for row in rows if _kind(row) == key]
        entry = dict(zip(("experiment", "modality", "bits"), key, strict=True)) | {"seeds": len(chosen)}
        for figure in _FIGURES:
            found = spread(row[figure] for row in chosen)
            entry |= {f"{figure}_mean": round(found.mean, 4), f"{figure}_std": round(found.deviation, 4)}
        for figure in _FIGURES[1:]:
            lost = spread(100 * (row["accuracy_float"] - row[figure]) for row in chosen)
            entry[figure.replace("accuracy", "points_lost")] = round(lost.mean, 2)
        table.append(entry)
    return table


def _kind(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["experiment"], row["modality"], row["bits"]


def main() -> None:
    """Run what is missing of the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("changes", nargs="*", metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modalities", nargs="+", choices=sorted(BLANKED), default=sorted(BLANKED))
    parser.add_argument("--bits", type=int, nargs="+", choices=WEIGHT_BITS, default=list(WEIGHT_BITS))
    parser.add_argument("--tuning", nargs="+", default=[], metavar="SECTION.FIELD=VALUE", help="of the fine-tuning")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and artefacts")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    name = load_config(arguments.config, arguments.changes).name
    rows = read_rows(arguments.output)
    for seed, modality in product(arguments.seeds, arguments.modalities):
        overrides = [f"name={name}-{modality}-{seed}", f"seed={seed}", f"model.blank={BLANKED[modality]}"]
        trained = load_config(arguments.config, [*arguments.changes, *overrides])
        network = finished(trained, arguments.runs) or train(trained, output=arguments.runs, force=True, threads=1)
        for bits in arguments.bits:
            tuned = experiment(network.checkpoint, bits, tuple(arguments.tuning))
            present = [row for row in rows if (*_kind(row), row["seed"]) == (name, modality, bits, seed)]
            if any(row["config"] == to_dict(tuned) for row in present):
                continue
            row = asdict(measure(trained, tuned, modality, network.checkpoint, arguments.runs, arguments.tuning))
            rows = [row for row in rows if row not in present] + [row]  # those of other settings are replaced
            rows.sort(key=lambda row: (row["experiment"], row["modality"], -row["bits"], row["seed"]))
            write_rows(arguments.output, "benchmarks.finetune", rows, summary=summary(rows))
            print({key: row[key] for key in ("modality", "seed", "bits", *_FIGURES)}, flush=True)
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
