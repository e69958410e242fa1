"""The layers that are compared, from two streams to what one of them is given, and the attention in their midst."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.training.config.experiment import ModelConfig, Profile
from snnergy.training.config.systems import SCmrlConfig
from snnergy.training.model import neurons, packed_attention, self_attention
from snnergy.training.model.attention import CMQKA, QueryKeyPath
from snnergy.training.model.batch_norm import BatchNorm2d
from snnergy.training.model.layers import And, Projection
from snnergy.training.model.packed_attention import Words
from snnergy.training.model.self_attention import SSA
from snnergy.training.systems.s_cmrl import CCSSA

STEPS = 6
HEADS = 8
RATE = 0.125

Order = Callable[[Tensor, Tensor, Tensor], Tensor]


class Layer(NamedTuple):
    """module: holds all that computes. call: two streams `(T, B, C, H, W)` to F."""

    module: nn.Module
    call: Callable[[Tensor, Tensor], Tensor]


class Softmax(nn.Module):
    """Attention with softmax on real values, in torch's fused kernel: no neurons, each step by itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (Projection(channels, channels) for _ in range(4))

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to a real F of the same shape."""
        q, k, v = self.q_proj(asking), self.k_proj(asked), self.v_proj(asked)
        return self.out_proj(attend_softly(q, k, v))


def attend_softly(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention of each head and step, all `(T, B, C, H, W)`."""
    heads = [x.flatten(3).unflatten(2, (HEADS, -1)).transpose(3, 4).flatten(0, 1) for x in (q, k, v)]
    found = functional.scaled_dot_product_attention(*heads)
    return found.transpose(2, 3).reshape(q.shape)


def config(channels: int, profile: Profile = "loihi") -> ModelConfig:
    """Settings of a layer of so many channels."""
    return ModelConfig(
        time_steps=STEPS,
        image_size=128,
        classes=2,
        base_dim=channels,
        profile=profile,
        fusion="open_gate",  # the form of eq. 12, a single F, which is the one in words
        heads=HEADS,
        stage3="ssa",
    )


def streams(channels: int, tokens: int, count: int) -> list[Tensor]:
    """So many binary `(T, 1, C, H, W)`, channels innermost, as convolutions leave them; H and W near to equal."""
    height = 1 << (tokens.bit_length() - 1) // 2
    generator = torch.Generator().manual_seed(0)
    shape = (STEPS, 1, height, tokens // height, channels)
    return [(torch.rand(shape, generator=generator) < RATE).float().movedim(-1, 2) for _ in range(count)]


def layers(channels: int) -> dict[str, Layer]:
    """Every layer on streams of so many channels, by name."""
    torch.manual_seed(0)
    binary, real = CMQKA(config(channels), channels), CMQKA(config(channels, "paper"), channels)
    ccssa = CCSSA(SCmrlConfig(time_steps=STEPS, image_size=128, classes=2, base_dim=channels, heads=HEADS))
    ssa = SSA(config(channels, "paper"), channels)
    softmax = Softmax(channels)
    for module, call in ((binary, binary.attend), (real, real.attend), (ccssa, ccssa), (ssa, ssa), (softmax, softmax)):
        _settle(module, call, channels)
    return {
        "CMQKA": Layer(binary, cleared(binary, binary.attend)),
        "CMQKA on words": Layer(binary, cleared(binary, lambda *streams: packed_attention.attend(binary, *streams))),
        "CMQKA, means": Layer(real, cleared(real, real.attend)),
        "CCSSA": Layer(ccssa, cleared(ccssa, ccssa)),
        "SSA, (Q Kᵀ) V": Layer(ssa, cleared(ssa, ordered(ssa, self_attention.scores_first))),
        "SSA, Q (Kᵀ V)": Layer(ssa, cleared(ssa, ordered(ssa, self_attention.summary_first))),
        "softmax, fused": Layer(softmax, softmax),
    }


def _settle(module: nn.Module, call: Callable[..., Tensor], channels: int) -> None:
    """Let batch norms take the statistics of a batch, so that populations fire; evaluation mode."""
    for part in module.modules():
        if isinstance(part, BatchNorm2d):
            part.momentum = 1.0
    module.train()
    with torch.no_grad():
        call(*streams(channels, 64, 2))
    neurons.reset(module)
    module.eval()


def parts(channels: int, tokens: int) -> dict[str, Callable[[], object]]:
    """Attention alone, from the spikes of its projections, by name.

    Query-key attention: both paths, the mean over space of one and what a gate of channels lets through of the other.
    Modules of spikes get them with positions innermost in memory, softmax with channels: what each is fastest with.
    """
    q, k, q2, k2 = given = streams(channels, tokens, 4)
    settings = config(channels)
    spatial, temporal = (QueryKeyPath(settings, channels).eval() for _ in range(2))
    open_in = (torch.rand(STEPS, 1, channels, 1, 1, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    ssa = SSA(config(channels, "paper"), channels).eval()
    flat = [x.contiguous() for x in given]
    in_words = [packed_attention.pack(x, HEADS) for x in given]
    gate, both = And(), nn.ModuleList([spatial, temporal])

    def path(module: QueryKeyPath, q: Tensor, k: Tensor) -> Tensor:
        return module.attn(module.mask(q.unflatten(2, (HEADS, -1)).sum(dim=3)), k)

    def modules() -> tuple[Tensor, Tensor]:
        found = path(spatial, *flat[:2]).mean(dim=(3, 4)), gate(open_in, path(temporal, *flat[2:]))
        neurons.reset(both)
        return found

    def words(q: Words, k: Words, q2: Words, k2: Words) -> tuple[Tensor, Words]:
        attn, other = (packed_attention.query_key(*pair, spatial.mask.constants) for pair in ((q, k), (q2, k2)))
        return packed_attention.counts(attn) / tokens, packed_attention.gate(other, open_in)

    def from_tensors() -> tuple[Tensor, Tensor]:
        mean, gated = words(*(packed_attention.pack(x, HEADS) for x in (q, k, q2, k2)))
        return mean, packed_attention.unpack(gated)

    return {
        "CMQKA": modules,
        "CMQKA on words": lambda: words(*in_words),
        "CMQKA on words, packed and unpacked": from_tensors,
        "SSA, (Q Kᵀ) V": lambda: ordered(ssa.counts, self_attention.scores_first)(*flat[:3]),
        "SSA, Q (Kᵀ V)": lambda: ordered(ssa.counts, self_attention.summary_first)(*flat[:3]),
        "softmax, fused": lambda: attend_softly(q, k, q2),
    }


def cleared(module: nn.Module, call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`call`, after which membranes are at 0 again."""

    def run(*streams: Tensor) -> Tensor:
        found = call(*streams)
        neurons.reset(module)
        return found

    return run


def ordered(call: Callable[..., Tensor], order: Order) -> Callable[..., Tensor]:
    """`call` with every product of self-attention in this order, whichever is cheaper."""

    def run(*streams: Tensor) -> Tensor:
        with patch.multiple(self_attention, scores_first=order, summary_first=order):
            return call(*streams)

    return run
