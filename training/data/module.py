"""The loaders of one experiment, as Lightning asks for them, of this process's share of the samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from snnergy.artefacts.errors import UserError
from snnergy.training.config.experiment import Config
from snnergy.training.data import build_dataset
from snnergy.training.data.dataset import AudioVisualDataset, Sample


class AudioVisualModule(LightningDataModule):
    """Training and validation loaders.

    The trainer reloads the training loader at each epoch (`reload_dataloaders_every_n_epochs=1`): order and noise of
    an epoch are a function of (seed, epoch), so a resumed run sees what an unbroken one would have seen. A batch holds
    the same samples however many processes share it: each takes every n-th of them.

    Args:
        config: the experiment.
        processes: that share each batch.

    Raises:
        UserError: the data set is not there, or its samples do not fill a batch, or a batch cannot be shared.
    """

    def __init__(self, config: Config, processes: int = 1) -> None:
        super().__init__()
        self.settings = config.train
        self.seed = config.seed
        self.train = build_dataset(
            config.data, config.model, "train", seed=config.seed, dropout=config.train.modality_dropout
        )
        self.val = build_dataset(config.data, config.model, "val")
        size, parts = config.train.batch_size, processes * config.train.accumulate
        violations = []
        if size > len(self.train):
            violations.append(f"train.batch_size = {size}: more than the {len(self.train)} training samples")
        if size % parts or size // parts < 2:
            violations.append(
                f"train.batch_size = {size}: cannot be cut into 2 or more samples for each of {processes} processes "
                f"times train.accumulate = {config.train.accumulate}; change one of the three"
            )
        if violations:
            raise UserError(violations)
        self.part_size = size // parts

    def train_dataloader(self) -> DataLoader[Sample]:
        """Shuffled batches; what does not fill the last one is dropped, because BatchNorm needs alike batches."""
        epoch = self.train.epoch = self._trainer().current_epoch
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.train))
        whole = len(order) // self.settings.batch_size * self.settings.batch_size
        return self._loader(self.train, self.part_size, self._share(order[:whole]))

    def val_dataloader(self) -> DataLoader[Sample]:
        """Batches in the data set's order."""
        return self._loader(self.val, self.settings.batch_size, self._share(np.arange(len(self.val))))

    def _share(self, rows: npt.NDArray[np.int64]) -> list[int]:
        trainer = self._trainer()
        return rows[trainer.global_rank :: trainer.world_size].tolist()

    def _trainer(self) -> Trainer:
        assert self.trainer is not None, "loaders are for a trainer, which puts itself here"
        return self.trainer

    def _loader(self, dataset: AudioVisualDataset, batch_size: int, rows: list[int]) -> DataLoader[Sample]:
        return DataLoader(dataset, batch_size, sampler=rows, num_workers=self.settings.workers)
