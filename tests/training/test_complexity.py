"""The publication's count of fusion operations, figure by figure."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from snnergy.training.model.complexity import fusion_operations, stage_operations
from snnergy.training.model.network import SNNergy
from tests.training.helpers import TINY

# Table 5 of arXiv 2602.00701, in millions: CMQKA and SSA of each stage; hybrid, all CMQKA, all SSA.
TABLE_5 = {
    192: ([(37.7, 201.3), (37.7, 25.2), (37.7, 3.1)], (78.5, 113.1, 229.6)),
    96: ([(9.4, 100.7), (9.4, 12.6), (9.4, 1.6)], (20.4, 28.2, 114.9)),
}


@pytest.mark.parametrize("base_dim", [96, 192])
def test_table_5(base_dim):
    model = replace(TINY, image_size=128, time_steps=6, base_dim=base_dim, heads=8)
    stages, totals = TABLE_5[base_dim]
    found = [(stage.cmqka / 1e6, stage.ssa / 1e6) for stage in stage_operations(model)]
    assert [stage.tokens for stage in stage_operations(model)] == [1024, 256, 64]
    assert [tuple(round(figure, 1) for figure in pair) for pair in found] == stages
    for kinds, total in zip((("cmqka", "cmqka", "ssa"), ("cmqka",) * 3, ("ssa",) * 3), totals, strict=True):
        parts = [round(pair[kind == "ssa"], 1) for pair, kind in zip(found, kinds, strict=True)]
        assert round(sum(parts), 1) == total  # the publication adds what it has rounded
        assert fusion_operations(model, kinds) / 1e6 == pytest.approx(total, abs=0.2)


def test_tokens_and_channels_are_those_of_the_network():
    model = replace(TINY, image_size=32)
    net, shapes = SNNergy(model).eval(), []
    for stage in (net.stage1, net.stage2, net.stage3):
        stage.block0.video.spatial.attn.register_forward_hook(lambda _, __, out: shapes.append(out.shape))
    with torch.no_grad():
        net(*(torch.zeros(1, 1, 1, 32, 32) for _ in range(2)))
    assert [(shape[3] * shape[4], shape[2]) for shape in shapes] == [
        (stage.tokens, stage.channels) for stage in stage_operations(model)
    ]
