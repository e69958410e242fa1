"""A small configuration of every system, its network, and images for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from snnergy.training.config import systems as configs
from snnergy.training.systems.build import build
from tests.training.helpers import TINY, randomise

SHARED: dict[str, Any] = {"time_steps": 3, "image_size": 32, "classes": 4, "base_dim": 8}
SMALL = SHARED | {"base_dim": 4}
TOKENS = SHARED | {"base_dim": 32, "patch": 8}
SYSTEMS = {
    "snnergy": replace(TINY, classes=4, image_size=32, base_dim=8),
    "qkformer-token": configs.QKFormerConfig(**SHARED, modality="video", heads=2, depths=(1, 1, 1)),
    "qkformer-channel": configs.QKFormerConfig(
        **SHARED, modality="audio", attention="channel", stage3="query_key", pool="spikes", depths=(1, 1, 1)
    ),
    "spikformer": configs.SpikformerConfig(**TOKENS, modality="audio", heads=2),
    "s_cmrl": configs.SCmrlConfig(**TOKENS, heads=2),
    "weight_attention": configs.WeightAttentionConfig(**TOKENS),
    "sca": configs.ScaConfig(**TOKENS, heads=2),
    "cmci": configs.CmciConfig(**TOKENS),
    "misnet-L": configs.MisnetConfig(**SMALL, input_size=16),
    "misnet-XL-split": configs.MisnetConfig(**SMALL, size="XL", firing="split", input_size=16),
    "taaf-concat": configs.TaafConfig(**SMALL),
    "taaf-sum": configs.TaafConfig(**SMALL, fusion="sum"),
    "joint-concat": configs.JointConfig(**SMALL),
    "ogm_ge-sum": configs.OgmGeConfig(**SMALL, fusion="sum"),
    "ogm_ge-film": configs.OgmGeConfig(**SMALL, fusion="film"),
    "pmr-concat": configs.PmrConfig(**SMALL),
    "pmr-gated": configs.PmrConfig(**SMALL, fusion="gated"),
}
SPIKING = [name for name in SYSTEMS if not name.startswith(("joint", "ogm_ge", "pmr"))]
LABELS = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])


def network(name, **fields):
    torch.manual_seed(0)
    net = build(replace(SYSTEMS[name], **fields))
    if name == "s_cmrl":  # what reaches its last neurons are products of means, which random weights leave silent
        for direction in (net.video_asks, net.audio_asks):
            torch.nn.init.constant_(direction.linear.conv.bias, 1.2)
    return net


def lively(net):
    """Raise what every BatchNorm adds, so that a handful of channels has something to say."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.bias.data += 0.5
    return net


def alive(name):
    """In evaluation mode, with statistics of its own; rectifiers keep the usual ones, under which no gate is shut."""
    net = network(name)
    return lively(randomise(net)) if name in SPIKING else net.eval()


def images(batch, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(3, batch, 1, 32, 32, generator=generator, dtype=dtype) for _ in range(2))
