"""The optimisation of one network, as Lightning runs it: AdamW, linear warm-up, then a cosine to zero, per step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric

from snnergy.artefacts.held_scales import HeldScales
from snnergy.training.config.experiment import Config
from snnergy.training.data.dataset import Sample
from snnergy.training.loop.captured import Pass, captured
from snnergy.training.loop.evaluation import to_input
from snnergy.training.loop.start import start_from
from snnergy.training.model.system import Batch, Outputs
from snnergy.training.systems.build import build

# Below one sample's share of the accuracy for any loss that occurs, so it decides between equals only.
_LOSS_SHARE = 1e-4


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Share of the peak learning rate at `step`, counted from 0: a line up to 1, then half a cosine to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))


class _Batches:
    """Those of a loader, as a network takes them."""

    def __init__(self, loader: DataLoader[Sample], device: torch.device) -> None:
        self.loader = loader
        self.device = device

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.loader:
            video, audio, labels = (batch[name].to(self.device) for name in ("video", "audio", "label"))
            yield to_input(video), to_input(audio), labels


class Learner(LightningModule):
    """Trains `network`; logs train_loss, val_loss, val_accuracy, and val_score by which the best epoch is chosen.

    about: what the metrics say of a run besides its figures. scales: those that the network is trained to be rounded
    to, None where it is not.
    """

    about: Mapping[str, str | int] = MappingProxyType({})
    scales: HeldScales | None = None

    def __init__(self, config: Config, start: Path | None = None) -> None:
        """A network of its own, which begins with what that of the checkpoint `start` has learned.

        Raises:
            UserError: the checkpoint cannot be read, or nothing in it fits.
        """
        super().__init__()
        self.train_config = config.train
        self.seed = config.seed
        self.network = build(config.model)
        if start is not None:
            self.about = start_from(self.network, start)
        self.seen: list[tuple[Outputs, Tensor]] = []  # outputs and labels of the parts of this step's batch
        self.captured: Pass | None = None
        # Weighted means over batches and, in several processes, over all of them.
        self.validation = nn.ModuleDict({name: MeanMetric() for name in ("val_loss", "val_accuracy", "val_score")})

    def _progress(self) -> float:
        return self.current_epoch / self.train_config.epochs

    def on_train_epoch_start(self) -> None:
        """Let the network look at the batches; what it draws in an epoch is the same where a run is resumed."""
        torch.manual_seed(hash((self.seed, self.current_epoch)))
        assert isinstance(self.trainer.train_dataloader, DataLoader)
        self.network.start_epoch(_Batches(self.trainer.train_dataloader, self.device), self._progress())

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The system's own loss of a batch."""
        outputs = self._outputs(to_input(batch["video"]), to_input(batch["audio"]))
        loss = self.network.loss(outputs, batch["label"], self.train_config.label_smoothing, self._progress())
        # Copies: the next part of the batch may be computed into the same memory.
        self.seen.append(({name: output.detach().clone() for name, output in outputs.items()}, batch["label"]))
        size = len(batch["label"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size, sync_dist=True)
        return loss

    def _outputs(self, video: Tensor, audio: Tensor) -> Outputs:
        """What the network computes of a training batch; on a GPU of its own, launched at once."""
        alone = video.is_cuda and self.network.training and self.trainer.world_size == 1
        if not alone or self.train_config.mixed_precision:
            return self.network.outputs(video, audio)
        if self.captured is None:
            self.captured = captured(self.network, video, audio)
        return self.captured(video, audio)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Let the network change its gradients, which are unscaled and not yet clipped."""
        parts, labels = zip(*self.seen, strict=True)
        self.seen.clear()
        outputs = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        self.network.modulate(outputs, torch.cat(labels), self._progress())

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """Log accuracy and cross entropy of the validation split."""
        logits = self.network(to_input(batch["video"]), to_input(batch["audio"]))
        labels = batch["label"]
        loss = functional.cross_entropy(logits, labels)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        score = accuracy - _LOSS_SHARE * loss
        for name, value in (("val_loss", loss), ("val_accuracy", accuracy), ("val_score", score)):
            self.validation[name].update(value, len(labels))
            self.log(name, self.validation[name], prog_bar=True, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW that decays weights alone: BatchNorm, biases and alpha are scales and thresholds."""
        train = self.train_config
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        # One kernel on a GPU; but it unscales gradients of mixed precision itself, after they would have been clipped.
        fused = parameters[0].is_cuda and not train.mixed_precision
        optimizer = torch.optim.AdamW(groups, lr=train.learning_rate, fused=fused or None)
        total = int(self.trainer.estimated_stepping_batches)
        warmup = round(train.warmup_epochs * total / train.epochs)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
