"""SCA, the fusion of SMMT (Guo et al., IEEE TCDS 2024), as S-CMRL compares with it: two directions that differ.

    audio asks   x_a ← LIF(BN(W LIF(¼ · q_a k_vᵀ v_v)))
    video asks   A = LIF(q_v k_aᵀ + P);   x_v ← LIF(BN(W LIF(¼ · A v_a)))

A is binary; P has an entry for each offset of two tokens on their grid, learned, and shared by all heads. What is
found replaces the stream.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnergy.training.config.systems import ScaConfig
from snnergy.training.model.neurons import LIF
from snnergy.training.model.system import Outputs
from snnergy.training.systems.attention import SSA, merge, split
from snnergy.training.systems.parts import CBL
from snnergy.training.systems.two_streams import TwoStreams

_SCALE = 0.25
_STD = 0.02  # of the bias of a position, at the start


class RelativePosition(nn.Module):
    """P: a bias for each pair of tokens on a grid, by how many rows and columns lie between them.

    Args:
        side: of the grid, in tokens.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.table = nn.Parameter(torch.empty(2 * side - 1, 2 * side - 1))
        nn.init.trunc_normal_(self.table, std=_STD)

    def forward(self) -> Tensor:
        """`(N, N)`, N = side²: [n, m] is for token n that looks at token m."""
        line = torch.arange(self.side, device=self.table.device)
        offset = line[:, None] - line[None, :] + self.side - 1
        rows = offset[:, None, :, None].expand(-1, self.side, -1, self.side)
        columns = offset[None, :, None, :].expand(self.side, -1, self.side, -1)
        return self.table[rows, columns].flatten(2).flatten(0, 1)


class BinaryMapAttention(nn.Module):
    """The direction with positions: a map of spikes says which tokens a token looks at."""

    def __init__(self, config: ScaConfig) -> None:
        super().__init__()
        channels = config.base_dim
        self.heads = config.heads
        self.q = CBL(config, channels, channels, "q")
        self.k = CBL(config, channels, channels, "k")
        self.v = CBL(config, channels, channels, "v")
        self.position = RelativePosition(config.image_size // config.patch)
        self.map = LIF(config.tau, config.threshold, "mask")
        self.attn = LIF(config.tau, config.threshold, "attn")
        self.out = CBL(config, channels, channels, "proj")

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, D, H, W)` to spikes of the same shape."""
        q, k, v = (split(x, self.heads, "space") for x in (self.q(asking), self.k(asked), self.v(asked)))
        seen = self.map(q @ k.transpose(-2, -1) + self.position())
        return self.out(self.attn(_SCALE * merge(seen @ v, asking.shape, "space")))


class SCA(TwoStreams):
    """The whole network."""

    config: ScaConfig

    def __init__(self, config: ScaConfig) -> None:
        super().__init__(config)
        self.video_asks = BinaryMapAttention(config)
        self.audio_asks = SSA(config, config.base_dim, config.heads, _SCALE, config.threshold)

    def exchange(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, Outputs]:
        """Both directions on the streams before the fusion."""
        return self.video_asks(video, audio), self.audio_asks(audio, video), {}

    def fusion_modules(self) -> list[nn.Module]:
        """Both directions."""
        return [self.video_asks, self.audio_asks]
