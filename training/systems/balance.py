"""How far one modality is ahead of the other, and how much its encoder is slowed down for it (Peng et al., CVPR 2022).

    ρ_v = g_v / g_a,  ρ_a = g_a / g_v;   k_m = 1 - tanh(α ρ_m) where ρ_m > 1, else 1

g sums, over a batch, how well a modality alone scores the true class. No gradient flows through any of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, distributed

from snnergy.training.model.batch_norm import shared


def summed(value: Tensor) -> Tensor:
    """The sum over all processes that share a batch."""
    if shared():
        value = value.clone()
        distributed.all_reduce(value)
    return value


def true_class(scores: Tensor, labels: Tensor) -> Tensor:
    """Softmax of `(…, classes)` at the label of each sample, `(B,)` or `(B, T)` as `scores` has it."""
    at = labels.view(-1, *[1] * (scores.ndim - 1)).expand(*scores.shape[:-1], 1)
    return scores.detach().softmax(dim=-1).gather(-1, at).squeeze(-1)


def lead(audio: Tensor, video: Tensor) -> float:
    """ρ_v of the sums g of a batch, or of this process's part of it."""
    total = summed(torch.stack([audio.double(), video.double()]))
    return (total[1] / total[0].clamp(min=1e-30)).item()


def slowed(lead_of_video: float, alpha: float) -> Mapping[str, float]:
    """k of each modality."""
    ratios = {"video": lead_of_video, "audio": 1 / max(lead_of_video, 1e-30)}
    return {name: 1 - math.tanh(alpha * ratio) if ratio > 1 else 1.0 for name, ratio in ratios.items()}
