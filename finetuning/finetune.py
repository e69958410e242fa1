"""`finetune`: from a trained network to one that bears its rounding to 8, 6 or 4 bits.

As light to import as `train`: what can be wrong with a call is found first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.extras import require
from snnergy.artefacts.files import refuse_overwrite, sha256_of
from snnergy.artefacts.held_scales import require_weight_bits
from snnergy.training.loop.result import Progress, TrainResult
from snnergy.training.loop.resume_state import refuse_damaged
from snnergy.training.loop.train import PACKAGES
from snnergy.training.source import checkpoint_of

if TYPE_CHECKING:
    from snnergy.training.config.experiment import Config

# Unless fields say otherwise: so many epochs, from this share of the learning rate that the network was trained with.
EPOCHS = 3
RATE_SHARE = 0.1
_CHECKPOINT = "checkpoint.pt"
_OWN = ("train.", "name=", "seed=")


def finetune(
    source: str | Path,
    bits: int,
    *changes: str,
    output: str | Path = "runs",
    seed: int | None = None,
    force: bool = False,
    resume: bool = True,
    progress: Progress = None,
    begin: Callable[[Config], None] | None = None,
    threads: int | None = None,
    devices: int = 1,
) -> TrainResult:
    """Train a network further while it is rounded as `compile` rounds it, into the folder `output / NAME-<bits>bit`.

    The scales are those that `compile` chooses for the network as it comes, and stay; the checkpoint carries them, so
    that what is exported from it is compiled to the integers that it was trained with. Accuracies in its metrics are
    those of the rounded network.

    Args:
        source: a checkpoint; or an experiment, whose checkpoint lies in `output`.
        bits: that a weight has: 8, 6 or 4.
        changes: of `train.` fields, `name=` and `seed=`; data and model are those of the checkpoint. Without any, 3
            epochs, without a warm-up, from a tenth of the learning rate that the network was trained with.
        output, seed, force, resume, progress, begin, threads, devices: of `train`.

    Raises:
        UserError: as `train`; or there is no such checkpoint, its network has no form in NIR, a change is of something
            else, or `bits` is none of the three.
    """
    require("fine-tuning", "train", *PACKAGES, "nir")
    require_weight_bits(bits)
    if others := [change for change in changes if not change.startswith(_OWN)]:
        raise UserError(
            [
                f"change {change!r}: fine-tuning keeps the data and the model of its checkpoint; change train fields, "
                "name or seed only"
                for change in others
            ]
        )
    start = checkpoint_of(source, Path(output), "fine-tuning")
    config = experiment(start, bits, changes if seed is None else (*changes, f"seed={seed}"))
    from snnergy.training.data.presence import refuse_missing

    refuse_missing(config.data)
    folder = Path(output) / config.name
    refuse_overwrite(folder / _CHECKPOINT, force, inputs=[start])
    if resume and not force:
        refuse_damaged(folder)
    from snnergy.export.refusals import refuse_inexpressible
    from snnergy.finetuning.learner import FineTuner
    from snnergy.training import checkpoint
    from snnergy.training.loop.run import run

    refuse_inexpressible(checkpoint.load(start).network)
    return run(
        config, folder, force, resume, progress, begin, threads, devices, lambda config: FineTuner(config, start)
    )


def experiment(start: Path, bits: int, changes: tuple[str, ...]) -> Config:
    """What fine-tunes the checkpoint `start`: its own experiment, gone on with. Arguments are those of `finetune`."""
    from snnergy.training import checkpoint
    from snnergy.training.config.experiment import load_config, to_dict

    trained = checkpoint.load_config(start)
    fields = to_dict(replace(trained, start=None))
    fields["name"] = f"{trained.name}-{bits}bit"
    fields["finetune"] = {"bits": bits, "source": trained.name, "sha256": sha256_of(start)}
    rate = trained.train.learning_rate * RATE_SHARE
    fields["train"] |= {"epochs": EPOCHS, "warmup_epochs": 0, "learning_rate": rate}
    return load_config(fields, changes)
