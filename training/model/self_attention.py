"""Cross-modal spiking self-attention without softmax (SNNergy eq. 5), for the third stage.

q of the asking stream, k and v of the asked one, each LIF(BN(W ·)); for each head of d channels on N tokens:

    `paper`   O = LIF(s · Q Kᵀ V)                           (N, d), from integer scores
    `loihi`   M = LIF_0.6(sum over tokens of K AND V)       (d,), one bit a channel: a mask, with a mask's threshold
              O = LIF(s · sum over channels of Q AND M)     (N,), one bit a token

    F = LIF(BN(W O)), which joins the stream as in `attention`
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model.attention import MLP, Direction, residual_weight
from snnergy.training.model.layers import And, Projection, fire
from snnergy.training.model.neurons import LIF

# s at the start where the config says nothing: Q Kᵀ V counts to hundreds, Q AND M to a few.
_SCALE = {"loihi": 1.1, "paper": 0.125}


def scores_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(Q Kᵀ) V of `(…, N, d)`: 2 · N² · d multiplications."""
    return (q @ k.transpose(-2, -1)) @ v


def summary_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Q (Kᵀ V) of `(…, N, d)`: 2 · N · d² multiplications. Counts of spikes are exact in either order."""
    return q @ (k.transpose(-2, -1) @ v)


def _scale(config: ModelConfig) -> nn.Parameter:
    scale = _SCALE[config.profile] if config.ssa_scale is None else config.ssa_scale
    return nn.Parameter(torch.tensor(scale), requires_grad=config.ssa_scale_learnable)


class SSA(nn.Module):
    """Self-attention of the `paper` profile."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = Projection(channels, channels)
        self.q = LIF(config.tau, config.threshold, "q")
        self.k_proj = Projection(channels, channels)
        self.k = LIF(config.tau, config.threshold, "k")
        self.v_proj = Projection(channels, channels)
        self.v = LIF(config.tau, config.threshold, "v")
        self.scale = _scale(config)
        self.attn = LIF(config.tau, config.threshold, "attn")
        self.out_proj = Projection(channels, channels)
        self.out = LIF(config.tau, config.threshold, "proj")

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to binary `(T, B, C, H, W)`."""
        q = fire(self.q_proj, self.q, asking)
        k = fire(self.k_proj, self.k, asked)
        v = fire(self.v_proj, self.v, asked)
        return fire(self.out_proj, self.out, self.attn(self.scale * self.counts(q, k, v)))

    def counts(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Q Kᵀ V of each head, all `(T, B, C, H, W)`, in the cheaper order."""
        with torch.autocast(q.device.type, enabled=False):  # half precision counts to 2048 only
            exact = torch.promote_types(q.dtype, torch.float32)
            heads = [x.to(exact).flatten(3).unflatten(2, (self.heads, -1)).transpose(3, 4) for x in (q, k, v)]
            tokens, width = heads[0].shape[-2:]
            product = scores_first(*heads) if tokens < width else summary_first(*heads)
        return product.transpose(3, 4).flatten(2, 3).unflatten(3, q.shape[3:])


class BinarySSA(nn.Module):
    """Self-attention of the `loihi` profile: what a head remembers of all tokens is a bit a channel, and causal."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = Projection(channels, channels)
        self.q = LIF(config.tau, config.threshold, "q")
        self.k_proj = Projection(channels, channels)
        self.k = LIF(config.tau, config.threshold, "k")
        self.v_proj = Projection(channels, channels)
        self.v = LIF(config.tau, config.threshold, "v")
        self.pair = And("pair")
        self.memory = LIF(config.tau, config.mask_threshold, "memory")
        self.match = And("match")
        self.scale = _scale(config)
        self.attn = LIF(config.tau, config.threshold, "attn")
        self.out_proj = Projection(config.heads, channels)
        self.out = LIF(config.tau, config.threshold, "proj")

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to binary `(T, B, C, H, W)`."""
        q = fire(self.q_proj, self.q, asking)
        k = fire(self.k_proj, self.k, asked)
        v = fire(self.v_proj, self.v, asked)
        memory = self.memory(self.pair(k, v).sum(dim=(3, 4), keepdim=True))
        match = self.match(memory, q)
        attn = self.attn(self.scale * match.unflatten(2, (self.heads, -1)).sum(dim=3))
        return fire(self.out_proj, self.out, attn)


class CrossModalSSA(Direction):
    """Spiking self-attention of one modality to the other, by the config's profile."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        self.ssa = BinarySSA(config, channels) if config.profile == "loihi" else SSA(config, channels)
        self.alpha = residual_weight(config)
        self.mlp = MLP(config, channels)

    def attend(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Binary F."""
        return self.ssa(asking, asked)
