"""Attention on words of spikes against the modules in floating point, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnergy.training.model import packed_attention as packed
from snnergy.training.model.attention import CMQKA, QueryKeyPath
from snnergy.training.model.layers import And
from snnergy.training.model.neurons import LIF, reset
from tests.training.helpers import TINY, randomise

RATES = (0.0, 0.1, 0.5, 1.0)


def spikes(shape, rate, seed):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


@st.composite
def shapes(draw):
    """(T, B, C, H, W) and heads: of one channel, odd numbers of them, a whole word, and several words."""
    heads = draw(st.integers(1, 5))
    size = draw(st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 64, 65, 96])))
    steps, batch, height, width = (draw(st.integers(1, 4)) for _ in range(4))
    return (steps, batch, heads * size, height, width), heads


@settings(max_examples=15, deadline=None)
@given(shapes(), st.sampled_from(RATES), st.sampled_from(RATES), st.sampled_from([(2.0, 0.6), (2.0, 1.0), (1.5, 2.5)]))
def test_a_path_on_words_is_the_module(given_shape, q_rate, k_rate, neuron):
    shape, heads = given_shape
    q, k = spikes(shape, q_rate, 0), spikes(shape, k_rate, 1)
    path = QueryKeyPath(replace(TINY, base_dim=2 * heads, heads=heads, tau=neuron[0], mask_threshold=neuron[1]), 1)
    expected = path.attn(path.mask(q.unflatten(2, (heads, -1)).sum(dim=3)), k)
    attn = packed.query_key(packed.pack(q, heads), packed.pack(k, heads), path.mask.constants)
    assert torch.equal(packed.unpack(attn), expected)
    counts = packed.counts(attn)
    assert torch.equal(counts, expected.sum(dim=(3, 4)).int())
    assert torch.equal(counts / (shape[3] * shape[4]), expected.mean(dim=(3, 4)))
    gate = spikes((*shape[:3], 1, 1), 0.5, 2)
    assert torch.equal(packed.unpack(packed.gate(attn, gate)), And()(gate, expected))


@settings(max_examples=15, deadline=None)
@given(shapes(), st.sampled_from([(2.0, 1.0), (3.0, 0.6)]), st.integers(0, 3))
def test_a_population_fires_into_words(given_shape, neuron, seed):
    shape, heads = given_shape
    current = 3 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1
    population = LIF(*neuron)
    found = packed.fire(current, population.constants, heads)
    assert torch.equal(packed.unpack(found), population(current))
    assert (found.words == packed.pack(packed.unpack(found), heads).words).all()


def test_more_tokens_than_a_byte_counts_and_more_neurons_than_a_block():
    """Counters are bytes, and neurons are walked through time in blocks of 2048."""
    for heads, size in ((8, 12), (3, 7), (2, 96)):
        shape = (2, 2, heads * size, 64, 70)
        q, k = torch.ones(shape), torch.ones(shape)
        mask = LIF(2.0, 0.6)
        attn = packed.query_key(packed.pack(q, heads), packed.pack(k, heads), mask.constants)
        expected = mask(q.unflatten(2, (heads, -1)).sum(dim=3)).repeat_interleave(size, dim=2)
        assert torch.equal(packed.unpack(attn), expected)
        assert torch.equal(packed.counts(attn), expected.sum(dim=(3, 4)).int())


@pytest.mark.parametrize(("channels", "heads", "bits"), [(96, 8, 16), (192, 8, 32), (384, 8, 48), (10, 2, 16)])
def test_a_head_takes_as_few_words_as_hold_it(channels, heads, bits):
    words = packed.pack(torch.zeros(6, 1, channels, 4, 4), heads).words
    assert words.nbytes == 6 * 16 * heads * bits // 8


def test_a_layer_on_words_is_the_layer():
    model = replace(TINY, base_dim=20, heads=4, time_steps=4)
    attention = randomise(CMQKA(model, 20))
    asking, asked = spikes((4, 2, 20, 5, 6), 0.4, 0), spikes((4, 2, 20, 5, 6), 0.4, 1)
    with torch.inference_mode():
        found = packed.attend(attention, asking, asked)
        reset(attention)
        expected = attention.attend(asking, asked)
    assert torch.equal(found, expected)
    assert 0 < expected.mean() < 1
