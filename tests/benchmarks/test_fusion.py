"""The benchmark of fusions: what comes through a gate, and what a gate costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import fusion
from snnergy.training import checkpoint
from snnergy.training.config.experiment import to_dict
from snnergy.training.loop.result import TrainResult
from snnergy.training.model.network import SNNergy
from snnergy.training.systems.build import build
from tests.training.helpers import TINY, randomise, tiny_config

EXPERIMENT = Path(__file__).parents[2] / "configs" / "grid-correspondence.yaml"


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


def test_what_a_gate_costs_in_the_size_it_was_trained_in_and_in_others(monkeypatch):
    monkeypatch.setattr(fusion, "SIDES", (32,))
    monkeypatch.setattr(fusion, "_COST_SAMPLES", 2)
    config = tiny_config(mask_threshold=0.3)
    torch.manual_seed(0)
    found = fusion.costs(config, randomise(SNNergy(config.model)))
    assert config.model.image_size == 16
    sizes = [(16, 1, 16), (16, 2, 4), (16, 3, 1), (32, 1, 64), (32, 2, 16), (32, 3, 4)]
    assert [(cost.image_size, cost.stage, cost.tokens) for cost in found] == sizes
    for cost in found:
        channels = TINY.base_dim << cost.stage - 1
        assert cost.synapses == 2 * 3 * channels * cost.tokens
        assert cost.neurons == 2 * channels * (cost.tokens + 1)
        assert cost.operations["ac"] <= TINY.time_steps * cost.synapses
        assert cost.pj > 0


def test_the_experiment_that_begins_with_words_says_how_they_are_learned():
    """The commands at its top are those that the benchmark runs."""
    commands = [line for line in EXPERIMENT.read_text().splitlines() if line.startswith("#     ")]
    experiment, lips, words, _ = commands
    assert all(change in experiment for change in fusion._RECOGNITION)
    assert all(change in lips for change in fusion._LIPS)
    assert all(change in words for change in fusion._WORDS)


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


def test_rows_begin_with_a_network_that_learned_lips_and_then_words(monkeypatch, tmp_path):
    runs = []

    def learn(config, *, start, output, force):
        runs.append((config, start))
        torch.manual_seed(0)
        path = output / config.name / "checkpoint.pt"
        path.parent.mkdir(parents=True)
        checkpoint.save(path, build(config.model).eval(), config, {"test_accuracy": 0.5})
        return TrainResult(path, {})

    monkeypatch.setattr(fusion, "train", learn)
    experiment = Path(fusion.__file__).parents[1] / "configs/grid-correspondence.yaml"
    begun = fusion.words(experiment, 1, tmp_path)
    assert begun == tmp_path / "grid-words-seed1/checkpoint.pt"
    (lips, none), (both, start) = runs
    assert (none, start) == (None, tmp_path / "grid-lips-seed1/checkpoint.pt")
    assert both.start.source == lips.name
    assert (lips.model.blank, both.model.blank) == ("audio", "none")
    for config in (lips, both):
        assert (config.seed, config.data.task, config.model.classes) == (1, "recognition", 10)
        assert (config.model.alpha_init, config.model.alpha_learnable) == (0, False)


def test_a_row_is_kept_whatever_file_it_began_with():
    config = tiny_config()
    begun = {"config": to_dict(config) | {"start": {"source": "words", "sha256": 64 * "0"}}}
    assert fusion._is_of({"config": to_dict(config)}, config, begun=False)
    assert fusion._is_of(begun, config, begun=True)
    assert not fusion._is_of(begun, config, begun=False)
    assert not fusion._is_of({"config": to_dict(config)}, config, begun=True)
    assert not fusion._is_of(begun, replace(config, seed=1), begun=True)


def test_every_row_is_an_experiment(monkeypatch, tmp_path):
    named = []

    def known(row, config, begun):
        named.append(config.name)
        return True

    monkeypatch.setattr(fusion, "_is_of", known)
    monkeypatch.setattr(fusion, "read_rows", lambda _: [{"row": row, "seed": 3} for row in fusion.ROWS])
    monkeypatch.setattr("sys.argv", ["fusion", "--seeds", "3", "-o", str(tmp_path / "rows.json")])
    fusion.main()
    assert len(set(named)) == len(fusion.ROWS) and "fusion-paper-alpha-30-3" in named
