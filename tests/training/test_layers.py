"""Projections, downsampling and attention against the loop-written reference, spike for spike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from snnergy.training.model.attention import CMQKA, CrossModalBlock, FixedGate, MeanFusion, OpenGate, QueryKeyPath
from snnergy.training.model.layers import And, CausalProjection, OrPool, Projection
from snnergy.training.model.self_attention import SSA, BinarySSA, CrossModalSSA, scores_first, summary_first
from snnergy.training.model.spds import SPDS, StemSPDS
from tests.training import reference
from tests.training.helpers import TINY, randomise


def spikes(*shape, rate=0.4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < rate).double()


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (1, 2), (1, 4)])
def test_projection(kernel, stride):
    torch.manual_seed(0)
    projection = randomise(Projection(2, 3, kernel, stride)).double()
    x = torch.rand(2, 2, 2, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(projection(x).numpy(), reference.project(projection, x.numpy()), atol=1e-12)


def test_gates_are_boolean_functions():
    one, all_positions, head = spikes(2, 2, 6, 1, 1), spikes(2, 2, 6, 4, 4, seed=1), spikes(2, 2, 3, 4, 4, seed=2)
    for a, spread in ((one, one.numpy()), (head, head.numpy()[:, :, [0, 0, 1, 1, 2, 2]])):
        both = np.logical_and(spread, all_positions.numpy())
        assert both.any()
        np.testing.assert_array_equal(And()(a, all_positions).numpy(), both)
    np.testing.assert_array_equal(OrPool()(head).numpy(), reference.or_pool(head.numpy()))


@pytest.mark.parametrize("stem", [True, False])
def test_spds(stem):
    torch.manual_seed(1)
    module = randomise((StemSPDS if stem else SPDS)(2, 4, 2.0, 1.0)).double()
    x = torch.rand(3, 2, 2, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        out = module(x)
    deep = reference.or_pool(reference.lif(reference.project(module.conv0, x.numpy())))
    if stem:
        deep = reference.or_pool(reference.lif(reference.project(module.conv1, deep)))
    current = reference.project(module.conv2 if stem else module.conv1, deep)
    expected = reference.lif(current + reference.project(module.shortcut, x.numpy()))
    assert 0 < out.mean() < 1
    np.testing.assert_array_equal(out.numpy(), expected)


def test_query_key_path_gates_each_head_by_its_own_mask():
    torch.manual_seed(2)
    path = randomise(QueryKeyPath(TINY, 6)).double()
    asking, asked = spikes(4, 2, 6, 3, 3), spikes(4, 2, 6, 3, 3, seed=1)
    with torch.no_grad():
        attn = path(asking, asked)
    assert 0 < attn.mean() < 1
    np.testing.assert_array_equal(attn.numpy(), reference.query_key(path, asking.numpy(), asked.numpy(), TINY.heads))


@pytest.mark.parametrize("steps", [2, 4])
def test_projection_that_looks_back(steps):
    torch.manual_seed(5)
    projection = randomise(CausalProjection(2, 3, steps)).double()
    x = torch.rand(4, 2, 2, 3, 3, dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(
            projection(x).numpy(), reference.project_causally(projection, x.numpy(), steps), atol=1e-12
        )


def test_fusion_of_means():
    spatial, temporal = spikes(5, 2, 4, 3, 3, rate=0.3), spikes(5, 2, 4, 3, 3, rate=0.8, seed=1)
    expected = reference.fuse_means(spatial.numpy(), temporal.numpy())
    fused = MeanFusion()(spatial, temporal)
    np.testing.assert_allclose(fused.numpy(), expected, atol=1e-12)
    temporal[-1] = 0
    assert not torch.equal(MeanFusion()(spatial, temporal)[0], fused[0]), "the first step knows the last"


@pytest.mark.parametrize("side", [1, 2, 4])  # 4 channels a head: more, as many, and fewer than tokens
def test_self_attention(side):
    torch.manual_seed(6)
    module = randomise(SSA(TINY, 8)).double()
    asking, asked = spikes(4, 2, 8, side, side), spikes(4, 2, 8, side, side, seed=1)
    with torch.no_grad():
        out = module(asking, asked)
    assert 0 < out.mean() < 1
    np.testing.assert_array_equal(out.numpy(), reference.ssa(module, asking.numpy(), asked.numpy(), TINY.heads))


def test_both_orders_of_self_attention_agree_exactly():
    for tokens, width in ((3, 8), (8, 8), (70, 8)):
        q, k, v = (
            (torch.rand(3, 2, tokens, width, generator=torch.Generator().manual_seed(seed)) < 0.6).float()
            for seed in range(3)
        )
        assert torch.equal(scores_first(q, k, v), summary_first(q, k, v))
        assert scores_first(q, k, v).max() > 1


@pytest.mark.parametrize("side", [1, 3])
def test_binary_self_attention(side):
    torch.manual_seed(7)
    module = randomise(BinarySSA(replace(TINY, ssa_scale=1.3), 8)).double()
    asking, asked = spikes(4, 2, 8, side, side), spikes(4, 2, 8, side, side, seed=1)
    with torch.no_grad():
        out = module(asking, asked)
    assert 0 < out.mean() < 1
    np.testing.assert_array_equal(out.numpy(), reference.binary_ssa(module, asking.numpy(), asked.numpy(), TINY.heads))


def test_fixed_gate():
    fusion = FixedGate(replace(TINY, fusion="fixed_gate", gain_space=3.7, gain_time=1.5))
    spatial, temporal = spikes(5, 2, 4, 3, 3, rate=0.3), spikes(5, 2, 4, 3, 3, rate=0.8, seed=1)
    gate = fusion(spatial, temporal)
    assert 0 < gate.mean() < 1
    np.testing.assert_array_equal(gate.numpy(), reference.fixed_gate(fusion, spatial.numpy(), temporal.numpy()))


def test_open_gate():
    fusion = randomise(OpenGate(TINY, 4)).double()
    spatial, temporal = spikes(5, 2, 4, 3, 3, rate=0.3), spikes(5, 2, 4, 3, 3, rate=0.8, seed=1)
    with torch.no_grad():
        gate = fusion(spatial, temporal)
    assert 0 < gate.mean() < temporal.mean()
    np.testing.assert_array_equal(gate.numpy(), reference.open_gate(fusion, spatial.numpy(), temporal.numpy()))


def test_an_open_gate_lets_all_through_before_it_has_learned():
    spatial, temporal = spikes(5, 32, 4, 3, 3, rate=0.1), spikes(5, 32, 4, 3, 3, rate=0.3, seed=1)
    passed = OpenGate(TINY, 4).double().train()(spatial, temporal)
    assert passed.sum() > 0.99 * temporal.sum()


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "spatial"},
        {"variant": "temporal"},
        {"fusion": "open_gate"},
        {"fusion": "gated_sum"},
        {"fusion": "fixed_gate", "gain_space": 41.0, "gain_time": 3.0},
    ],
)
def test_one_direction(options):
    torch.manual_seed(3)
    module = randomise(CMQKA(replace(TINY, **options), 6)).double()
    if isinstance(getattr(module, "fusion", None), OpenGate):
        torch.nn.init.constant_(module.fusion.mean.norm.bias, 2.0)  # open in some channels and steps
    asking, asked = spikes(5, 2, 6, 4, 4) + spikes(5, 2, 6, 4, 4, seed=2), spikes(5, 2, 6, 4, 4, seed=1)
    with torch.no_grad():
        out = module(asking, asked).numpy()
    x, y = asking.numpy(), asked.numpy()
    if "fusion" in options:
        paths = (reference.query_key(p, x, y, TINY.heads) for p in (module.spatial, module.temporal))
        attended = getattr(reference, options["fusion"])(module.fusion, *paths)
    else:
        attended = reference.query_key(getattr(module, options["variant"]), x, y, TINY.heads)
    assert attended.any()
    stream = x + 1.5 * attended
    np.testing.assert_allclose(out, stream + reference.mlp(module.mlp, stream), atol=1e-12)


@pytest.mark.parametrize(("steps", "same"), [(1, True), (2, False)])
def test_either_path_alone_is_one_network_unless_the_temporal_one_looks_back(steps, same):
    outputs = []
    for variant in ("spatial", "temporal"):
        torch.manual_seed(7)
        direction = CMQKA(replace(TINY, variant=variant, temporal_kernel=steps), 4)
        with torch.no_grad():
            outputs.append(direction(spikes(3, 2, 4, 4, 4).float(), spikes(3, 2, 4, 4, 4, seed=1).float()))
    assert torch.equal(*outputs) == same


def test_variants_have_only_what_they_use():
    children = {v: {n for n, _ in CMQKA(replace(TINY, variant=v), 4).named_children()} for v in ("spatial", "temporal")}
    assert children == {"spatial": {"spatial", "mlp"}, "temporal": {"temporal", "mlp"}}


@pytest.mark.parametrize("profile", ["loihi", "paper"])
def test_one_direction_of_self_attention(profile):
    torch.manual_seed(8)
    module = randomise(CrossModalSSA(replace(TINY, profile=profile, ssa_scale=1.3), 4)).double()
    asking, asked = spikes(4, 2, 4, 3, 3), spikes(4, 2, 4, 3, 3, seed=1)
    with torch.no_grad():
        out = module(asking, asked).numpy()
    plain = reference.binary_ssa if profile == "loihi" else reference.ssa
    attended = plain(module.ssa, asking.numpy(), asked.numpy(), TINY.heads)
    assert attended.any()
    stream = asking.numpy() + 1.5 * attended
    np.testing.assert_allclose(out, stream + reference.mlp(module.mlp, stream), atol=1e-12)


def test_directions_run_on_the_same_inputs():
    torch.manual_seed(4)
    block = randomise(CrossModalBlock(CMQKA(TINY, 4), CMQKA(TINY, 4))).double()
    video, audio = spikes(3, 2, 4, 3, 3), spikes(3, 2, 4, 3, 3, seed=1)
    with torch.no_grad():
        _, before = block(video, audio)
        for parameter in block.video.parameters():
            parameter.zero_()
        for module in block.modules():
            if hasattr(module, "reset"):
                module.reset()
        _, after = block(video, audio)
    assert torch.equal(before, after)
