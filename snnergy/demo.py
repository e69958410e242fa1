"""The whole toolchain on embedded data: train → export → compile → simulate → verify in Lava → energy.

OUTPUT/training/ checkpoint.pt, metrics   calibration.npz test.npz   model.nir model.net model.fidelity.json
       activity.h5   report/report.html   summary.json: the figures, written again after each step
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snnergy as sn
from snnergy.artefacts.files import FolderOf, git_revision, versions, written_whole
from snnergy.artefacts.samples import read_samples, write_samples
from snnergy.energy.report import units
from snnergy.neuromorphic.inputs import shapes_of
from snnergy.show import show_fidelity
from snnergy.terminal import Terminal
from snnergy.training.config.experiment import Config, load_config

EXPERIMENT = "digits"
_LAVA_ENDS = (3, 11)  # the first Python that lava-nc 0.10.0 does not run on
_COMMAND = "snnergy demo"
_ENTRIES = (
    "training", "calibration.npz", "test.npz", "model.nir", "model.net", "model.fidelity.json", "activity.h5", "report",
    "summary.json",
)  # fmt: skip
_FOLDER = FolderOf(_COMMAND, _ENTRIES)

Summary = dict[str, Any]


@dataclass(frozen=True)
class Extent:
    """How much a demo does.

    changes: to the experiment. The others are numbers of samples; None takes all of the test split.
    """

    changes: tuple[str, ...] = ()
    parity_samples: int = 64
    calibration_samples: int = 128
    test_samples: int | None = None
    lava_samples: int = 4


FULL = Extent()
# A network too small and too briefly trained to be good: it shows that every step works here, in a minute or two.
QUICK = Extent(("train.epochs=2", "train.warmup_epochs=0", "model.base_dim=8", "model.time_steps=2"), 8, 32, 100, 1)


@dataclass
class _Demo:
    """A demo under way: its folder, its terminal, and the summary so far."""

    folder: Path
    terminal: Terminal
    extent: Extent
    summary: Summary

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Announce a step, time it, and keep what it found."""
        self.terminal.say("")
        self.terminal.say(f"[{len(self.summary['seconds']) + 1}/6] {text}")
        begun = time.perf_counter()
        yield
        self.summary["seconds"][name] = round(time.perf_counter() - begun, 2)
        self.write()

    def write(self) -> None:
        """Write summary.json anew."""
        with written_whole(self.folder / "summary.json", force=True) as scratch:
            scratch.write_text(json.dumps(self.summary, indent=2) + "\n")


def demo(
    output: Path, terminal: Terminal, *, config: Path | str = EXPERIMENT, extent: Extent = FULL, force: bool = False
) -> Summary:
    """Run every step on the experiment `config`, into the folder `output`.

    Args:
        output: folder to make.
        force: replace `output` if an earlier demo wrote it; any other folder is never replaced.

    Returns:
        What summary.json holds: accuracies (0..1), parity and Lava comparisons, energies (pJ an inference), seconds
        by step, versions. `lava_*` are None where Lava cannot run.

    Raises:
        CheckFailed: the exported graph differs from the network.
    """
    experiment = load_config(config, ["name=training", *extent.changes])
    _begin(output, config, force)
    run = _Demo(output, terminal, extent, _empty_summary())
    run.write()
    _train(run, experiment)
    _export(run)
    compiled = _compile(run)
    _simulate(run, compiled)
    _verify(run, compiled)
    _energy(run)
    run.summary["finished"] = True
    run.write()
    _show(run)
    return run.summary


def _begin(output: Path, config: Path | str, force: bool) -> None:
    """Make the demo's folder anew, so that no artefact of an earlier one stands beside this one's."""
    inputs = [Path(config)] if Path(config).is_file() else []  # otherwise the name of a packaged experiment
    with written_whole(output, force=force, inputs=inputs, folder=_FOLDER):
        pass


def _empty_summary() -> Summary:
    figures = (
        "accuracy_float", "accuracy_8bit", "parity_mismatches", "lava_samples", "lava_nodes", "lava_values_compared",
        "lava_mismatches", "energy_snn_pj", "energy_ann_pj", "energy_quantized_ann_pj",
    )  # fmt: skip
    start: Summary = {"command": _COMMAND, "finished": False}
    end = {"seconds": {}, "versions": versions(), "git_revision": git_revision()}
    return start | dict.fromkeys(figures) | end


def _train(run: _Demo, experiment: Config) -> None:
    with run.step("train", f"training: {experiment.train.epochs} epochs on {experiment.data.name}"):
        metrics = sn.train(experiment, output=run.folder, progress=run.terminal.follow).metrics
        from snnergy.training.data import model_inputs

        calibration = model_inputs(experiment, "val", run.extent.calibration_samples)
        write_samples(run.folder / "calibration.npz", calibration)
        write_samples(run.folder / "test.npz", model_inputs(experiment, "test", run.extent.test_samples))
        run.summary["accuracy_float"] = metrics["test_accuracy"]
    run.terminal.say(f"accuracy {metrics['test_accuracy']:.2%} on {metrics['test_samples']} test samples")


def _export(run: _Demo) -> None:
    with run.step("export", "exporting to NIR, and comparing every spike of every node with PyTorch"):
        checkpoint = run.folder / "training" / "checkpoint.pt"
        parity = sn.export(checkpoint, run.folder / "model.nir", samples=run.extent.parity_samples).parity
        assert parity is not None  # there are samples
        run.summary["parity_mismatches"] = parity.mismatches
    run.terminal.say(str(parity))


def _compile(run: _Demo) -> sn.Compiled:
    samples = run.extent.calibration_samples
    with run.step("compile", f"quantizing to 8-bit weights, calibrated on {samples} validation samples"):
        compiled = sn.compile(run.folder / "model.nir", calibration=run.folder / "calibration.npz")
        compiled.save(run.folder / "model.net")
    show_fidelity(run.terminal, compiled.fidelity)
    return compiled


def _simulate(run: _Demo, compiled: sn.Compiled) -> None:
    samples = read_samples(run.folder / "test.npz", shapes_of(compiled.net.inputs))
    with (
        run.step("simulate", f"simulating {len(samples)} test samples in the bit-exact emulator"),
        run.terminal.progress("simulating", total=len(samples)) as advance,
    ):
        path = run.folder / "activity.h5"
        accuracy = sn.simulate(run.folder / "model.net", samples, output=path, progress=advance).accuracy
        run.summary["accuracy_8bit"] = accuracy
    run.terminal.say(f"accuracy {accuracy:.2%} in 8 bits, {run.summary['accuracy_float']:.2%} in float")


def _verify(run: _Demo, compiled: sn.Compiled) -> None:
    count = run.extent.lava_samples
    with run.step("verify", f"comparing the emulator with Intel's Lava, {count} samples, every node and step"):
        if sys.version_info >= _LAVA_ENDS:
            run.terminal.say(f"left out: Lava runs on Python 3.10 only, this is {platform.python_version()}")
            return
        samples = read_samples(run.folder / "test.npz", shapes_of(compiled.net.inputs)).first(count)
        with run.terminal.progress("simulating in Lava"):
            verification = sn.verify(compiled, samples)
        run.summary["lava_samples"] = verification.samples
        run.summary["lava_nodes"] = verification.nodes
        run.summary["lava_values_compared"] = verification.values_compared
        run.summary["lava_mismatches"] = verification.total_mismatches
    run.terminal.say(str(verification))


def _energy(run: _Demo) -> None:
    with run.step("energy", "counting every operation, and pricing it"):
        report = sn.energy(run.folder / "activity.h5", output=run.folder / "report")
        for figure in ("energy_snn_pj", "energy_ann_pj", "energy_quantized_ann_pj"):
            run.summary[figure] = getattr(report, figure)


def _show(run: _Demo) -> None:
    """Print the table that a reader of the demo looks for, and where the page is."""
    found = run.summary
    rows = [
        ("accuracy, PyTorch float32", f"{found['accuracy_float']:.2%}"),
        ("accuracy, 8-bit integers", f"{found['accuracy_8bit']:.2%}"),
        ("spikes that NIR and PyTorch differ in", str(found["parity_mismatches"])),
    ]
    if found["lava_samples"] is not None:
        rows += [
            ("values compared, emulator against Lava", f"{found['lava_values_compared']:,}"),
            ("values that differ", str(found["lava_mismatches"])),
        ]
    rows += [
        ("energy of this network", units.energy(found["energy_snn_pj"])),
        ("energy of the same-shape fp32 ANN", units.energy(found["energy_ann_pj"])),
        ("energy of the same-shape quantized ANN", units.energy(found["energy_quantized_ann_pj"])),
        ("seconds in all", f"{sum(found['seconds'].values()):.0f}"),
    ]
    run.terminal.say("")
    run.terminal.table("Result (energies are estimates, for one inference)", ("figure", "value"), rows)
    run.terminal.say(f"the report: {run.folder / 'report' / 'report.html'}")
