"""The timing of a training step: each variant takes its own way through the network, in every round."""

from __future__ import annotations

import torch

from benchmarks import training_step
from snnergy.training.model import neurons
from snnergy.training.model.network import SNNergy
from tests.training.helpers import TINY


def test_variants_take_the_way_that_they_are_named_after(monkeypatch):
    calls = dict.fromkeys(("norm_lif_scan", "lif_scan"), 0)

    def counted(name, function):
        def call(*arguments):
            calls[name] += 1
            return function(*arguments)

        return call

    for name in calls:
        monkeypatch.setattr(neurons, name, counted(name, getattr(neurons, name)))
    network = SNNergy(TINY).train()
    seen = {}
    for variant, context in training_step.VARIANTS.items():
        calls.update(dict.fromkeys(calls, 0))
        with context():
            network(*(torch.rand(TINY.time_steps, 2, 1, TINY.image_size, TINY.image_size) for _ in range(2)))
        seen[variant] = dict(calls)
    populations = len([m for m in network.modules() if isinstance(m, neurons.LIF)])
    assert seen["together"]["norm_lif_scan"] > seen["together"]["lif_scan"] > 0
    assert sum(seen["together"].values()) == populations
    assert seen["apart"] == {"norm_lif_scan": 0, "lif_scan": populations}
    assert seen["loop"] == {"norm_lif_scan": 0, "lif_scan": 0}


def test_every_round_times_every_variant():
    batch = {
        name: torch.randint(256, (2, TINY.time_steps, 1, TINY.image_size, TINY.image_size), dtype=torch.uint8)
        for name in ("video", "audio")
    }
    seconds = training_step.measure(SNNergy(TINY).train(), batch | {"label": torch.tensor([0, 1])}, rounds=2)
    assert seconds.keys() == training_step.VARIANTS.keys()
    assert all(len(times) == 2 and min(times) > 0 for times in seconds.values())
