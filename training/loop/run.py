"""Run one experiment: fit, choose the best epoch on validation, test it once, write the artefacts.

OUTPUT/NAME/checkpoint.pt   the best network          metrics.json   what it reaches
            config.yaml     every setting, resolved   logs/          TensorBoard and CSV
            resume/         only while a run is unfinished: a killed run goes on from there
"""

from __future__ import annotations

import errno
import json
import logging
import resource
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, Timer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from snnergy.artefacts.errors import OutputRefused, UserError
from snnergy.artefacts.files import refuse_overwrite, written_whole
from snnergy.training import checkpoint, torch_archive
from snnergy.training.config.experiment import Config, to_yaml
from snnergy.training.data import arrays
from snnergy.training.data.module import AudioVisualModule
from snnergy.training.loop.evaluation import evaluate
from snnergy.training.loop.learner import Learner
from snnergy.training.loop.progress import EpochLines
from snnergy.training.loop.result import Progress, TrainResult
from snnergy.training.loop.resume_files import MISFITS, Restored, ResumeFiles
from snnergy.training.loop.resume_state import BEST, LAST, StateRefused, refusal

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# Advice of Lightning and torch on matters that are decided here: samples are cheap to make, so there are no workers;
# the training loader is renewed each epoch on purpose; a network that is fine-tuned is in evaluation mode on purpose.
# The last is for Lightning's authors, who are behind torch.
_ADVICE = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists.*",
    r".*module\(s\) in eval mode.*",
    r".*isinstance\(treespec, LeafSpec\). is deprecated.*",
)


def run(
    config: Config,
    folder: Path,
    force: bool,
    resume: bool,
    progress: Progress,
    begin: Callable[[Config], None] | None,
    threads: int | None,
    devices: int,
    learner_of: Callable[[Config], Learner] = Learner,
) -> TrainResult:
    """Train `config` in `folder`; arguments and errors are those of `train`, which checks what can be checked first.

    Args:
        learner_of: makes what is trained.
    """
    data = AudioVisualModule(config, devices)  # first: where it is missing, no folder is left behind
    refuse_overwrite(folder / "checkpoint.pt", force)
    with _alone(folder), _settings(threads), _room(folder):
        if _rank() == 0:
            start_from = _prepare(folder, config, force, resume)
        else:  # the first process has prepared the folder before it started this one
            last = folder / "resume" / LAST
            start_from = last if last.is_file() else None
        if begin is not None and _rank() == 0:
            begin(config)
        if torch.cuda.is_initialized():  # by an earlier run of this process, whose peak is not this one's
            torch.cuda.reset_peak_memory_stats()
        try:
            learner, seconds, best_epoch = _fit(config, folder, data, start_from, progress, devices, learner_of)
        except StateRefused:
            if start_from is None or not force:
                raise
            start_from = _prepare(folder, config, force, resume=False)
            learner, seconds, best_epoch = _fit(config, folder, data, start_from, progress, devices, learner_of)
        learner.to("cuda" if torch.cuda.is_available() else "cpu")  # Lightning has taken it back to the CPU
        metrics = _measure(config, learner) | {
            "best_epoch": best_epoch,
            "epochs": config.train.epochs,
            "train_seconds": round(seconds, 2),
            "train_samples_per_second": round(config.train.epochs * len(data.train) / seconds, 2),
            "peak_memory_bytes": _peak_memory_bytes(),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
            **learner.about,
        }
        path = folder / "checkpoint.pt"
        checkpoint.save(path, learner.network, config, metrics, scales=learner.scales, force=force)
        with written_whole(folder / "metrics.json", force=True) as scratch:
            scratch.write_text(json.dumps(metrics, indent=2) + "\n")
        shutil.rmtree(folder / "resume")
    return TrainResult(folder / "checkpoint.pt", metrics)


def _rank() -> int:
    """Number of this process among those that share each batch. Process 0 starts the others, and alone writes."""
    # Lightning sets it on the function when it is imported, of which its types know nothing.
    return rank_zero_only.rank  # type: ignore[attr-defined]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the run's folder against other runs; a process that is killed lets go of it."""
    if _rank():  # the first process, which started this one, holds it for both
        yield
        return
    try:
        lock = FileLock(folder / "resume" / ".lock").acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder}: another process is training this run; wait for it, stop it, or change the name"
        ) from None
    with lock:
        yield


def _prepare(folder: Path, config: Config, force: bool, resume: bool) -> Path | None:
    """Make the run's folder and return the file to resume from, if there is one."""
    last, written, wanted = folder / "resume" / LAST, folder / "config.yaml", to_yaml(config).encode()
    unfinished = last.is_file()
    same = written.is_file() and written.stat().st_size == len(wanted) and written.read_bytes() == wanted
    if unfinished and resume and same:
        return last
    if unfinished and resume and not force:
        raise OutputRefused(f"{folder}: holds an unfinished run of another config", replaceable=True)
    for state in (folder / "resume").glob("*.ckpt"):
        state.unlink()
    shutil.rmtree(folder / "logs", ignore_errors=True)
    with written_whole(written, force=True) as scratch:
        scratch.write_bytes(wanted)
    return None


def _fit(
    config: Config,
    folder: Path,
    data: AudioVisualModule,
    start_from: Path | None,
    progress: Progress,
    devices: int,
    learner_of: Callable[[Config], Learner],
) -> tuple[Learner, float, int]:
    """Train to the last epoch; the processes that were started for this one end here.

    Returns:
        The best of what was trained; the seconds of all epochs, those before an interruption among them; and the
        epoch that was best.

    Raises:
        StateRefused: the run cannot go on from `start_from`.
    """
    seed_everything(config.seed, verbose=False)
    learner = learner_of(config)
    resume = (folder / "resume").resolve()
    # Two callbacks, because `save_last` of the first would write only where the best improves.
    keep_best = ModelCheckpoint(
        resume, Path(BEST).stem, monitor="val_score", mode="max", enable_version_counter=False
    )  # fmt: skip
    keep_last = ModelCheckpoint(resume, Path(LAST).stem, enable_version_counter=False)
    timer, restored = Timer(verbose=False), Restored()
    callbacks: list[Callback] = [keep_best, keep_last, timer]
    if start_from is not None:
        callbacks.insert(0, restored)
    if callable(progress):
        callbacks.append(EpochLines(progress))
    if config.train.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=config.train.ema_decay))
    trainer = Trainer(
        max_epochs=config.train.epochs,
        accelerator="auto",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        use_distributed_sampler=False,  # the loaders give each process its own share
        accumulate_grad_batches=config.train.accumulate,
        precision="16-mixed" if config.train.mixed_precision and torch.cuda.is_available() else "32-true",
        gradient_clip_val=config.train.gradient_clip,
        callbacks=callbacks,
        plugins=[ResumeFiles(resume)],
        logger=[
            TensorBoardLogger(folder / "logs", name="tensorboard", version=""),
            CSVLogger(folder / "logs", name="csv"),  # a version for each start, so that a resumed run keeps the first
        ],
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        enable_progress_bar=progress == "bar",
        enable_model_summary=False,
    )
    logged = set((folder / "logs").rglob("*"))
    try:
        trainer.fit(learner, datamodule=data, ckpt_path=start_from)
    except (StateRefused, *MISFITS) as error:
        if start_from is None or restored.begun:
            raise
        _forget_logs(folder / "logs", logged)
        if isinstance(error, StateRefused):
            raise
        raise refusal(start_from, error) from error
    if _rank():
        raise SystemExit(0)
    return learner, timer.time_elapsed("train"), _return_to_best(learner, resume / BEST)


def _forget_logs(logs: Path, kept: set[Path]) -> None:
    """Remove what loggers have begun of a run that does not go on."""
    for path in sorted(set(logs.rglob("*")) - kept, reverse=True):  # what lies in a folder before the folder
        path.rmdir() if path.is_dir() else path.unlink()
    if not kept:
        with suppress(OSError):
            logs.rmdir()


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Turn the error of a disk that is full, whoever met it, into the user's."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); make room and start the run again, which goes on after "
            "the last epoch that was kept"
        ) from error


def _return_to_best(learner: Learner, path: Path) -> int:
    """Give a learner the weights that were best on validation; returns their epoch."""
    try:
        best = torch_archive.read(path)
        learner.load_state_dict(best["state_dict"])
        return int(best["epoch"])
    except (torch_archive.Damaged, torch_archive.Forbidden, *MISFITS) as error:
        raise refusal(path, error) from error


def _peak_memory_bytes() -> int:
    """Of this process: allocated on its GPU, or resident where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def _measure(config: Config, learner: Learner) -> dict[str, Any]:
    """Accuracy and loss on the fixed samples of validation and test, by the network as it is now."""
    metrics: dict[str, Any] = {"parameters": sum(p.numel() for p in learner.network.parameters())}
    for split in ("val", "test"):
        samples = arrays(config, split)
        accuracy, loss, _ = evaluate(learner.network, samples, config.train.batch_size)
        metrics |= {f"{split}_accuracy": accuracy, f"{split}_loss": loss, f"{split}_samples": len(samples["label"])}
    return metrics


@contextmanager
def _settings(threads: int | None) -> Iterator[None]:
    """Torch's threads, silence on `_ADVICE`, and convolutions on a GPU that round as those of a CPU do, for a run."""
    before, rounded = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    lightning_log = logging.getLogger("lightning.pytorch")
    level = lightning_log.level
    torch.set_num_threads(threads or before)
    torch.backends.cudnn.allow_tf32 = False
    lightning_log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _ADVICE:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        torch.set_num_threads(before)
        torch.backends.cudnn.allow_tf32 = rounded
        lightning_log.setLevel(level)
