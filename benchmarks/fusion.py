"""What the fusion of both attention paths is worth: one network a row, on whether a tone belongs to the digit seen.

    python -m benchmarks.fusion -o benchmarks/results/fusion.json
    python -m benchmarks.fusion --config configs/digits-binding.yaml -o benchmarks/results/fusion-binding.json
    python -m benchmarks.fusion --config configs/grid-correspondence.yaml --words -o benchmarks/results/fusion-grid.json

No head on two streams can tell (`none` stays at chance), so accuracy shows what the attention carries. Each row also
has how much of it: the share of F's entries that are not 0, and of P's spikes that F keeps, by stage, before and after
training. With --words, all rows of a seed begin with one network that tells words apart without any fusion. The gates'
rows have what they cost on the chip, from the ledger, and how that grows with the tokens. Rows that the output file
holds already with the same settings are kept.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from benchmarks.results_file import read_rows, write_rows
from benchmarks.threads import threads_a_job
from snnergy.artefacts.samples import MODALITIES
from snnergy.energy.account import energy
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.neuromorphic.taps import synapse_count
from snnergy.training import checkpoint
from snnergy.training.config.data import Split
from snnergy.training.config.experiment import Config, ModelConfig, load_config, to_dict
from snnergy.training.data import arrays, model_inputs
from snnergy.training.loop.evaluation import to_input
from snnergy.training.loop.seeds import finished, spread
from snnergy.training.loop.start import start_from
from snnergy.training.loop.train import started_from, train
from snnergy.training.model.attention import CMQKA, Direction, FixedGate, GatedSum, MeanFusion, OpenGate
from snnergy.training.model.complexity import stage_operations
from snnergy.training.model.network import SNNergy
from snnergy.training.model.self_attention import CrossModalSSA

# Row → its changes of the experiment.
ROWS = {
    "none": ["model.alpha_init=0", "model.alpha_learnable=false"],
    "gated_sum": [],
    "open_gate": ["model.fusion=open_gate"],
    "fixed_gate": ["model.fusion=fixed_gate"],
    "spatial": ["model.variant=spatial"],
    "gated_sum, self-attention": ["model.stage3=ssa"],
    "paper": ["model.profile=paper"],
    # A product of two means is a few thousandths at first: so it weighs about what spikes weigh.
    "paper, alpha 30": ["model.profile=paper", "model.alpha_init=30"],
    "paper, self-attention": ["model.profile=paper", "model.stage3=ssa"],
}
# What teaches words, each modality by itself: lips first, as the two together are learned by ear alone.
_RECOGNITION = ("data.task=recognition", "model.classes=10", *ROWS["none"])
_LIPS = ("model.blank=audio", "train.epochs=30", "train.learning_rate=2.0e-3", "train.warmup_epochs=2")
_WORDS = ("train.modality_dropout=0.8", "train.epochs=12")
FUSION = ".fusion."  # in the path of a fusion's populations
SIDES = (32, 64, 96)  # of images, for the cost, beside those that the network was trained on
_SAMPLES = 64  # of the validation split, for shares
COSTED = ("gated_sum", "open_gate", "fixed_gate")
_COST_SAMPLES = 8  # for calibration, and as many for counting
Shares = dict[str, dict[str, float]]
_KINDS = {GatedSum: "gated sum", OpenGate: "gate", FixedGate: "gate", MeanFusion: "attention"}  # what F is


@dataclass(frozen=True)
class Cost:
    """Of the fusions of one stage on the chip, both modalities, for the mean sample.

    Attributes:
        image_size: that the trained network, whose weights fit any, was compiled for.
        tokens: N of the stage.
        operations: name → count, of the ledger.
        pj: their price at 45 nm fp32.
    """

    image_size: int
    stage: int
    tokens: int
    neurons: int
    synapses: int
    operations: dict[str, float]
    pj: float


@dataclass(frozen=True)
class Row:
    """One trained network.

    Attributes:
        before, after: stage → share of the entries of F that are not 0 (`entries`), and of P's that a gate, where there
            is one, lets through (`kept`); on validation samples, before training with the statistics of these.
        cost: of the fusion on the chip, of the first seed where it has a form in NIR.
        git_revision, versions: of the code that trained the network.
    """

    row: str
    seed: int
    accuracy_validation: float
    accuracy: float
    best_epoch: int
    before: Shares
    after: Shares
    cost: list[Cost] | None
    train_seconds: float
    config: dict[str, Any]
    git_revision: str
    versions: dict[str, str]


def shares(network: SNNergy, samples: dict[str, Any]) -> Shares:
    """How much of the attention comes through in each stage, in the network's present mode."""
    counts: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)

    def watch(stage: str, what: str) -> Any:
        def keep(_: Any, given: tuple[torch.Tensor, ...], fused: torch.Tensor) -> None:
            counts["entries", stage].append((float((fused != 0).sum()), fused.numel()))
            if what != "attention":
                spatial, temporal = given
                gated = fused - spatial if what == "gated sum" else fused
                counts["kept", stage].append((float((gated != 0).sum()), float(temporal.sum())))

        return keep

    with ExitStack() as hooks, torch.no_grad():
        for path, module in network.named_modules():
            if isinstance(module, Direction):
                maker, what = _maker(module)
                hooks.callback(maker.register_forward_hook(watch(path.partition(".")[0], what)).remove)
        network(*(to_input(torch.from_numpy(samples[name])) for name in MODALITIES))
    found: Shares = {}
    for (figure, stage), pairs in counts.items():
        part, whole = (sum(column) for column in zip(*pairs, strict=True))
        found.setdefault(figure, {})[stage] = round(part / whole, 5) if whole else 0.0
    return found


def _maker(direction: Direction) -> tuple[torch.nn.Module, str]:
    """The module that makes a direction's F, and what it is: attention, a gate on P, or a sum of S and such a gate."""
    if isinstance(direction, CrossModalSSA):
        return direction.ssa, "attention"
    assert isinstance(direction, CMQKA)
    if direction.variant == "spatiotemporal":
        return direction.fusion, _KINDS[type(direction.fusion)]
    return getattr(direction, direction.variant), "attention"


def costs(config: Config, network: SNNergy) -> list[Cost]:
    """Compile the trained network for larger and larger images, and count what its fusions do in the emulator."""
    found = []
    for side in sorted({*SIDES, network.config.image_size}):
        model = replace(network.config, image_size=side)
        at = replace(config, model=model)
        larger = SNNergy(model).eval()
        larger.load_state_dict(network.state_dict())
        compiled = compile(to_nir(larger, {}), calibration=_inputs(at, "val"))
        report = energy(simulate(compiled, _inputs(at, "test"), record="counts"))
        parts = report.parts(lambda place: (place.stage, FUSION in place.target))
        for stage, tokens in enumerate((each.tokens for each in stage_operations(model)), start=1):
            inside = [p.name for p in compiled.net.populations if FUSION in p.name and p.labels.stage == stage]
            part = parts[stage, True]
            assert part.energy_pj is not None  # every operation has a price at 45 nm
            found.append(
                Cost(
                    image_size=side,
                    stage=stage,
                    tokens=tokens,
                    neurons=sum(compiled.net.population(name).size for name in inside),
                    synapses=sum(synapse_count(s.operator) for s in compiled.net.synapses if s.target in inside),
                    operations={name: round(number, 1) for name, number in part.counts.items()},
                    pj=round(part.energy_pj.mean, 1),
                )
            )
    return found


def _inputs(config: Config, split: Split) -> dict[str, Any]:
    inputs = model_inputs(config, split, _COST_SAMPLES)
    return {name: inputs[name] for name in MODALITIES}


def exponents(cost: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Slopes over tokens in double logarithm: of the synapses, the synaptic operations and the energy of each stage.

    There is none of a stage where there is one size, or where a figure is 0.
    """
    figures: dict[str, Callable[[dict[str, Any]], float]] = {
        "synapses": lambda each: each["synapses"],
        "accumulates": lambda each: each["operations"]["ac"],
        "energy": lambda each: each["pj"],
    }
    found: dict[str, dict[int, float]] = {}
    for name, figure in figures.items():
        found[name] = {}
        for stage in sorted({each["stage"] for each in cost}):
            points = {each["tokens"]: figure(each) for each in cost if each["stage"] == stage}
            if len(points) > 1 and all(points.values()):
                found[name][stage] = round(_slope(points), 3)
    return found


def _slope(points: dict[int, float]) -> float:
    tokens, figures = np.log(list(points)), np.log(list(points.values()))
    return float(np.polyfit(tokens, figures, 1)[0])


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean and sample standard deviation of the accuracies over the seeds of each row, and how its cost grows."""
    table: dict[str, dict[str, Any]] = {}
    for name in ROWS:
        chosen = [row for row in rows if row["row"] == name]
        if chosen:
            table[name] = {"seeds": len(chosen)}
            for figure in ("accuracy_validation", "accuracy"):
                found = spread(row[figure] for row in chosen)
                table[name] |= {f"{figure}_mean": round(found.mean, 4), f"{figure}_std": round(found.deviation, 4)}
            if cost := next((row["cost"] for row in chosen if row["cost"]), None):
                table[name]["exponents"] = exponents(cost)
    return table


def measure(row: str, config: Config, start: Path | None, folder: Path, threads: int) -> Row:
    """Train one network, or take the trained one in `folder`, and look at its attention."""
    trained = finished(config, folder) or train(config, start=start, output=folder, force=True, threads=threads)
    metrics, loaded = trained.metrics, checkpoint.load(trained.checkpoint)
    network = loaded.network
    assert isinstance(network, SNNergy), "the rows are of SNNergy's own network"
    samples = arrays(config, "val", _SAMPLES)
    torch.manual_seed(config.seed)
    return Row(
        row=row,
        seed=config.seed,
        accuracy_validation=metrics["val_accuracy"],
        accuracy=metrics["test_accuracy"],
        best_epoch=metrics["best_epoch"],
        before=shares(_new(network.config, start).train(), samples),
        after=shares(network, samples),
        cost=costs(config, network) if config.seed == 0 and row in COSTED else None,
        train_seconds=metrics["train_seconds"],
        config=to_dict(config),
        git_revision=loaded.git_revision,
        versions=loaded.versions,
    )


def words(experiment: Path, seed: int, folder: Path) -> Path:
    """A network that knows the words of an experiment; trained, in two runs, or taken from `folder`."""
    start = None
    for name, changes in (("lips", _LIPS), ("words", _WORDS)):
        config = load_config(experiment, [f"seed={seed}", *_RECOGNITION, *changes])
        config = replace(config, name=f"{config.data.name}-{name}-seed{seed}")
        if start is not None:
            config = started_from(config, start)
        start = (finished(config, folder) or train(config, start=start, output=folder, force=True)).checkpoint
    assert start is not None
    return start


def _is_of(row: dict[str, Any], config: Config, begun: bool) -> bool:
    """Whether a row has these settings. Which file it began with is none: that is trained anew on another machine."""
    fields = dict(row["config"])
    return begun == (fields.pop("start", None) is not None) and fields == to_dict(config)


def _new(config: ModelConfig, start: Path | None) -> SNNergy:
    network = SNNergy(config)
    if start is not None:
        start_from(network, start)
    return network


def main() -> None:
    """Run what is missing of the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/digits-correspondence.yaml"))
    parser.add_argument("changes", nargs="*", metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--words", action="store_true", help="begin with networks that know the words, trained first")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=1, help="networks at a time, each with its share of the cores")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trained networks")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    rows = {(row["row"], row["seed"]): row for row in read_rows(arguments.output)}
    tasks, starts = [], dict[int, Path]()
    for seed, name in itertools.product(arguments.seeds, arguments.rows):
        run = f"fusion-{name.replace(', ', '-').replace(' ', '-')}-{seed}"
        config = load_config(arguments.config, [f"name={run}", f"seed={seed}", *arguments.changes, *ROWS[name]])
        if (name, seed) in rows and _is_of(rows[name, seed], config, arguments.words):
            continue
        folder = arguments.runs / arguments.config.stem  # networks of other tasks have the same names
        if arguments.words and seed not in starts:
            starts[seed] = words(arguments.config, seed, folder)
        start = starts.get(seed)
        config = config if start is None else started_from(config, start)
        tasks.append(delayed(measure)(name, config, start, folder, threads_a_job(arguments.jobs)))
    for result in Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(tasks):
        rows[result.row, result.seed] = asdict(result)
        in_order = [rows[key] for key in sorted(rows, key=lambda key: (list(ROWS).index(key[0]), key[1]))]
        write_rows(arguments.output, "benchmarks.fusion", in_order, summary=summary(in_order))
        print(f"{result.row}, seed {result.seed}: {result.accuracy_validation:.4f} on validation", flush=True)


if __name__ == "__main__":
    main()
