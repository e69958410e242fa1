"""Spiking self-attention without softmax (Zhou et al., ICLR 2023), over the tokens of a step or steps of a position.

    q, k, v = LIF(BN(W ·));   S = LIF(BN(W LIF(s · q kᵀ v)))   for each head

q is of the asking stream, k and v of the asked one. (q kᵀ) v and q (kᵀ v) are equal: both count spikes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from snnergy.training.config.systems import TransformerConfig
from snnergy.training.model.neurons import LIF
from snnergy.training.model.self_attention import scores_first
from snnergy.training.systems.parts import CBL

Over = Literal["space", "time"]
Product = Callable[[Tensor, Tensor, Tensor], Tensor]


def split(x: Tensor, heads: int, over: Over) -> Tensor:
    """`(T, B, C, H, W)` as what a matrix product takes: `(…, heads, tokens or steps, C / heads)`."""
    by_head = x.unflatten(2, (heads, -1))
    if over == "space":
        return by_head.flatten(4).transpose(3, 4)
    return by_head.permute(1, 4, 5, 2, 0, 3)


def merge(x: Tensor, shape: torch.Size, over: Over) -> Tensor:
    """What `split` makes of `(T, B, C, H, W)`, of this shape again."""
    if over == "space":
        return x.transpose(3, 4).reshape(shape)
    return x.permute(4, 0, 3, 5, 1, 2).flatten(2, 3)


class SSA(nn.Module):
    """Of one stream to another, or to itself.

    Args:
        config: gives width and neurons.
        channels: of both streams.
        heads: divides the channels.
        scale: s.
        threshold: of the neurons that read the product.
        product: the order of multiplication: `scores_first` or `summary_first`.
        over: what the tokens are: positions of a step, or steps of a position. The latter is not causal.
    """

    def __init__(
        self,
        config: TransformerConfig,
        channels: int,
        heads: int,
        scale: float,
        threshold: float,
        product: Product = scores_first,
        over: Over = "space",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.product = product
        self.over = over
        self.q = CBL(config, channels, channels, "q")
        self.k = CBL(config, channels, channels, "k")
        self.v = CBL(config, channels, channels, "v")
        self.attn = LIF(config.tau, threshold, "attn")
        self.out = CBL(config, channels, channels, "proj")

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to spikes of the same shape."""
        counts = self.counts(self.q(asking), self.k(asked), self.v(asked))
        return self.out(self.attn(self.scale * counts))

    def counts(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q kᵀ v of each head, all `(T, B, C, H, W)`."""
        with torch.autocast(q.device.type, enabled=False):  # half precision counts to 2048 only
            exact = torch.promote_types(q.dtype, torch.float32)
            product = self.product(*(split(x.to(exact), self.heads, self.over) for x in (q, k, v)))
        return merge(product, q.shape, self.over)
