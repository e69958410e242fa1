"""The lines of a run: one an epoch, and one every half minute of a long epoch."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from snnergy.training.loop.progress import EpochLines
from snnergy.training.loop.train import train
from tests.training.helpers import tiny_config


def test_a_run_writes_a_line_an_epoch_and_begins_once(tmp_path, capfd):
    config = tiny_config()
    config = replace(config, train=replace(config.train, epochs=2))
    lines, begun = [], []
    train(config, output=tmp_path, progress=lines.append, begin=begun.append, threads=1)
    assert len(lines) == 2 and begun == [config]
    pattern = r"epoch {}/2: train_loss \d\.\d{{4}}, val_loss \d\.\d{{4}}, val_accuracy 0\.\d{{4}}, \d+ s"
    assert all(re.fullmatch(pattern.format(i + 1), line) for i, line in enumerate(lines)), lines
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize(("rank_zero", "expected"), [(True, 2), (False, 0)])
def test_a_long_epoch_says_how_far_it_is_in_one_process(rank_zero, expected):
    now, lines = [0.0], []
    trainer = SimpleNamespace(
        is_global_zero=rank_zero, current_epoch=1, max_epochs=9, num_training_batches=40, callback_metrics={}
    )
    follower = EpochLines(lines.append, lambda: now[0])
    follower.on_train_epoch_start(trainer, None)
    for batch in range(7):
        now[0] += 10
        follower.on_train_batch_end(trainer, None, None, None, batch)
    assert lines == ["epoch 2/9: 3 of 40 batches, 30 s", "epoch 2/9: 6 of 40 batches, 60 s"][:expected]
