"""WeightAttention (Liu et al., ICASSP 2022), as S-CMRL compares with it: a weight for each modality and step.

    f = [mean over space of x_m; of x_n];   w_m = W2 (W1 f + b1) + b2;   x_m ← w_m · x_m

n is the other modality. Nothing lies between W1 and W2, so w is linear in f and may be negative.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnergy.training.config.systems import WeightAttentionConfig
from snnergy.training.model.system import Outputs
from snnergy.training.systems.two_streams import TwoStreams


class Weight(nn.Module):
    """w of one modality."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * channels, channels)
        self.out = nn.Linear(channels, 1)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to `(T, B, 1, 1, 1)`."""
        seen = torch.cat([own.mean(dim=(3, 4)), other.mean(dim=(3, 4))], dim=2)
        return self.out(self.hidden(seen))[..., None, None]


class WeightAttention(TwoStreams):
    """The whole network."""

    config: WeightAttentionConfig

    def __init__(self, config: WeightAttentionConfig) -> None:
        super().__init__(config)
        self.video_weight = Weight(config.base_dim)
        self.audio_weight = Weight(config.base_dim)

    def exchange(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, Outputs]:
        """Each stream times its weight."""
        return self.video_weight(video, audio) * video, self.audio_weight(audio, video) * audio, {}

    def fusion_modules(self) -> list[nn.Module]:
        """What the weights are made of."""
        return [self.video_weight, self.audio_weight]
