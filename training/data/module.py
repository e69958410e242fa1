"""The loaders of one experiment, as Lightning asks for them."""

from __future__ import annotations

import numpy as np
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from training.config import Config
from training.data import build_dataset


class AudioVisualModule(LightningDataModule):
    """Training and validation loaders.

    The trainer reloads the training loader at each epoch (`reload_dataloaders_every_n_epochs=1`): order and noise of
    an epoch are a function of (seed, epoch), so a resumed run sees what an unbroken one would have seen.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.batch_size = config.train.batch_size
        self.seed = config.seed
        self.train = build_dataset(
            config.data, config.model, "train", seed=config.seed, dropout=config.train.modality_dropout
        )
        self.val = build_dataset(config.data, config.model, "val")

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches; the last one is dropped where it is smaller, because BatchNorm needs alike batches."""
        epoch = self.trainer.current_epoch
        self.train.epoch = epoch
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.train)).tolist()
        return DataLoader(self.train, self.batch_size, sampler=order, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Batches in the data set's order."""
        return DataLoader(self.val, self.batch_size)
