"""Cross-modal query-key attention, causal and binary (SNNergy eq. 6-13, `loihi` profile).

For the direction "x asks y", with spikes of x and y projected by weights of this direction:

    path:      q = LIF(x), k = LIF(y), mask = LIF_0.6(sum of q over a head's channels), attn = mask AND k
    fusion:    space = LIF(gain_space * mean over space of S), time = LIF(gain_time * P), F = space AND time
    residual:  x' = x + alpha * F;   out = x' + MLP(x')

S and P are `attn` of the spatial and of the temporal path. The two paths are alike as long as the temporal one looks
at one step at a time; they differ by their weights and by what the fusion does with them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.config import ModelConfig
from training.layers import And, Projection
from training.neurons import LIF


class QueryKeyPath(nn.Module):
    """One query-key path: a bit a token and head, made from the query, lets the head's key spikes through."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = Projection(channels, channels)
        self.q = LIF(config.tau, config.threshold)
        self.k_proj = Projection(channels, channels)
        self.k = LIF(config.tau, config.threshold)
        self.mask = LIF(config.tau, config.mask_threshold)
        self.attn = And()

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to binary `(T, B, C, H, W)`."""
        q = self.q(self.q_proj(asking))
        k = self.k(self.k_proj(asked))
        mask = self.mask(q.unflatten(2, (self.heads, -1)).sum(dim=3))
        return self.attn(mask, k)


class Fusion(nn.Module):
    """Lets a channel and position through if the channel is active in space and the position has been in time."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gain_space = config.gain_space
        self.gain_time = config.gain_time
        self.space = LIF(config.tau, config.threshold)
        self.time = LIF(config.tau, config.threshold)
        self.gate = And()

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Two binary `(T, B, C, H, W)` to a binary `(T, B, C, H, W)`."""
        space = self.space(self.gain_space * spatial.mean(dim=(3, 4), keepdim=True))
        time = self.time(self.gain_time * temporal)
        return self.gate(space, time)


class MLP(nn.Module):
    """Two 1×1 projections, each with its LIF."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        hidden = config.mlp_ratio * channels
        self.hidden_proj = Projection(channels, hidden)
        self.hidden = LIF(config.tau, config.threshold)
        self.out_proj = Projection(hidden, channels)
        self.out = LIF(config.tau, config.threshold)

    def forward(self, stream: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to binary `(T, B, C, H, W)`."""
        return self.out(self.out_proj(self.hidden(self.hidden_proj(stream))))


class CMQKA(nn.Module):
    """One direction of a block. Which of `spatial`, `temporal` and `fusion` exist is the config's `variant`."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        self.variant = config.variant
        if self.variant != "temporal":
            self.spatial = QueryKeyPath(config, channels)
        if self.variant != "spatial":
            self.temporal = QueryKeyPath(config, channels)
        if self.variant == "spatiotemporal":
            self.fusion = Fusion(config)
        self.alpha = nn.Parameter(torch.tensor(config.alpha_init), requires_grad=config.alpha_learnable)
        self.mlp = MLP(config, channels)

    def attend(self, asking: Tensor, asked: Tensor) -> Tensor:
        """The binary F `(T, B, C, H, W)` that is added to the asking stream."""
        if self.variant == "spatial":
            return self.spatial(asking, asked)
        if self.variant == "temporal":
            return self.temporal(asking, asked)
        return self.fusion(self.spatial(asking, asked), self.temporal(asking, asked))

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to the asking stream, updated: a weighted sum of binary populations."""
        stream = asking + self.alpha * self.attend(asking, asked)
        return stream + self.mlp(stream)


class CrossModalBlock(nn.Module):
    """Both directions on the same inputs: neither sees what the other has made of its stream."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        self.video = CMQKA(config, channels)
        self.audio = CMQKA(config, channels)

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Two streams `(T, B, C, H, W)` to two streams of the same shape."""
        return self.video(video, audio), self.audio(audio, video)
