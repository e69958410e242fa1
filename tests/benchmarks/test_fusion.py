"""The benchmark of fusions: what comes through a gate, and what a gate costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import fusion
from snnergy.training.model.network import SNNergy
from tests.training.helpers import TINY, randomise, tiny_config


@pytest.mark.parametrize(
    ("options", "gated"),
    [({}, True), ({"profile": "paper"}, False), ({"variant": "spatial"}, False), ({"stage3": "ssa"}, True)],
)
def test_shares_are_those_of_the_attention_that_joins_the_stream(options, gated):
    torch.manual_seed(0)
    network = randomise(
        SNNergy(replace(TINY, image_size=32, base_dim=8, alpha_init=1.0, mask_threshold=0.3, **options))
    )
    rng = np.random.default_rng(0)
    samples = {name: rng.integers(0, 256, (4, 3, 1, 32, 32), dtype=np.uint8) for name in ("video", "audio")}
    joined = {f"stage{stage}": [] for stage in (1, 2, 3)}
    for path, module in network.named_modules():
        if path.endswith((".video.mlp", ".audio.mlp")):  # hears asking + alpha · F
            module.register_forward_hook(lambda _, given, __, path=path: joined[path[:6]].append(given[0]))
            direction = network.get_submodule(path.removesuffix(".mlp"))
            direction.register_forward_hook(lambda _, given, __, path=path: joined[path[:6]].append(given[0]))
    found = fusion.shares(network, samples)
    for stage, (video, asking_video, audio, asking_audio) in joined.items():
        fused = torch.stack([video - asking_video, audio - asking_audio])
        assert found["entries"][stage] == pytest.approx((fused != 0).double().mean().item(), abs=1e-5)
        assert fused.any()
    assert ("kept" in found) == gated
    if gated and options.get("profile") != "paper":
        assert all(0 < kept <= 1 for kept in found["kept"].values())


def test_what_a_gate_costs(monkeypatch):
    monkeypatch.setattr(fusion, "SIDES", (32,))
    monkeypatch.setattr(fusion, "_COST_SAMPLES", 2)
    config = tiny_config(mask_threshold=0.3)
    torch.manual_seed(0)
    found = fusion.costs(config, randomise(SNNergy(config.model)))
    assert [(cost.image_size, cost.stage, cost.tokens) for cost in found] == [(32, 1, 64), (32, 2, 16), (32, 3, 4)]
    for cost in found:
        channels = TINY.base_dim << cost.stage - 1
        assert cost.synapses == 2 * 3 * channels * cost.tokens
        assert cost.neurons == 2 * channels * (cost.tokens + 1)
        assert cost.operations["ac"] <= TINY.time_steps * cost.synapses
        assert cost.pj > 0


def test_slopes_are_those_of_powers_of_the_tokens():
    cost = [
        {"stage": stage, "tokens": n, "synapses": 6 * n, "operations": {"ac": 3.0 * n**2}, "pj": n**0.5}
        for stage in (1, 2)
        for n in (16, 64, 144)
    ]
    assert fusion.exponents(cost) == {
        "synapses": {1: 1.0, 2: 1.0},
        "accumulates": {1: 2.0, 2: 2.0},
        "energy": {1: 0.5, 2: 0.5},
    }


def test_there_is_no_slope_of_one_size_nor_of_nothing():
    one = {"stage": 1, "tokens": 16, "synapses": 96, "operations": {"ac": 0.0}, "pj": 4.0}
    assert not any(fusion.exponents([one]).values())
    two = [one, one | {"tokens": 64, "synapses": 384, "pj": 8.0}]
    assert fusion.exponents(two) == {"synapses": {1: 1.0}, "accumulates": {}, "energy": {1: 0.5}}
