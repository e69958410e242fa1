"""QKFormer on one modality (Zhou et al., NeurIPS 2024, arXiv 2403.16552): masks made from the query alone.

    token     m = LIF_0.5(sum of q over a head's channels): a bit a token and head
    channel   m = LIF_0.5(sum of q over the tokens): a bit a channel
    both      S = LIF(BN(W (m AND k)));   x ← x + S;   x ← x + MLP(x)

Three stages with maps of 1/4, 1/8 and 1/16 of the image's side. Published stages pool currents before the neuron, and
end in self-attention; NIR has neither a maximum nor a product, so there are forms of both without (`QKFormerConfig`).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from snnergy.training.config.systems import QKFormerConfig
from snnergy.training.model.attention import MLP
from snnergy.training.model.layers import And, OrPool, Projection, fire
from snnergy.training.model.neurons import LIF
from snnergy.training.model.self_attention import summary_first
from snnergy.training.model.system import LOGITS, Group, Outputs, System
from snnergy.training.systems.attention import SSA
from snnergy.training.systems.parts import CBL, Readout

_SCALE = 0.125
_ATTENTION_THRESHOLD = 0.5


class CurrentPool(nn.Module):
    """The largest current of each 3×3 window, stride 2."""

    def forward(self, current: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to `(T, B, C, H / 2, W / 2)`."""
        return functional.max_pool2d(current.flatten(0, 1), 3, 2, 1).unflatten(0, current.shape[:2])


class PooledCBL(nn.Module):
    """3×3 CBL that halves the map: before the neuron as published, or behind it."""

    def __init__(self, config: QKFormerConfig, inputs: int, outputs: int, role: str) -> None:
        super().__init__()
        self.pools_currents = config.pool == "currents"
        self.proj = Projection(inputs, outputs, kernel=3)
        self.lif = LIF(config.tau, config.threshold, role)
        self.pool = CurrentPool() if self.pools_currents else OrPool(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to spikes `(T, B, outputs, H / 2, W / 2)`."""
        if self.pools_currents:
            return self.lif(self.pool(self.proj(x)))
        return self.pool(fire(self.proj, self.lif, x))


class Downsampling(nn.Module):
    """Patch embedding with deformed shortcut: two layers, and a 1×1 layer past both; the sum of their spikes."""

    def __init__(self, config: QKFormerConfig, inputs: int, outputs: int, role: str) -> None:
        super().__init__()
        self.pooled = PooledCBL(config, inputs, outputs, role)
        self.deep = CBL(config, outputs, outputs, role, kernel=3)
        self.shortcut = CBL(config, inputs, outputs, role, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to `(T, B, outputs, H / 2, W / 2)` of 0, 1 or 2."""
        return self.deep(self.pooled(x)) + self.shortcut(x)


class QueryKeyAttention(nn.Module):
    """Query-key attention of a stream to itself."""

    def __init__(self, config: QKFormerConfig, channels: int) -> None:
        super().__init__()
        self.over = config.attention
        self.heads = config.heads
        self.q = CBL(config, channels, channels, "q")
        self.k = CBL(config, channels, channels, "k")
        self.mask = LIF(config.tau, _ATTENTION_THRESHOLD, "mask")
        self.attn = And("attn")
        self.out = CBL(config, channels, channels, "proj")

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to spikes of the same shape."""
        q, k = self.q(x), self.k(x)
        if self.over == "token":
            counts = q.unflatten(2, (self.heads, -1)).sum(dim=3)
        else:
            counts = q.sum(dim=(3, 4), keepdim=True)
        return self.out(self.attn(self.mask(counts), k))


class SelfAttention(nn.Module):
    """Spiking self-attention of a stream to itself."""

    def __init__(self, config: QKFormerConfig, channels: int) -> None:
        super().__init__()
        self.ssa = SSA(config, channels, config.heads, _SCALE, _ATTENTION_THRESHOLD, summary_first)

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to spikes of the same shape."""
        return self.ssa(x, x)


class Block(nn.Module):
    """Attention and MLP, each added to the stream."""

    def __init__(self, config: QKFormerConfig, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.mlp = MLP(config, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to the same shape."""
        x = x + self.attention(x)
        return x + self.mlp(x)


class Stage(nn.Module):
    """Downsampling, in the first stage behind one more pooled layer, then `block0`, `block1`, …"""

    def __init__(self, config: QKFormerConfig, index: int, image_channels: int) -> None:
        super().__init__()
        channels = config.base_dim << index
        self.first = index == 0
        if self.first:
            self.stem = PooledCBL(config, image_channels, channels // 2, "stem")
        self.down = Downsampling(config, channels // 2, channels, "stem" if self.first else "spds")
        self.depth = config.depths[index]
        attention = SelfAttention if index == 2 and config.stage3 == "ssa" else QueryKeyAttention
        for b in range(self.depth):
            self.add_module(f"block{b}", Block(config, channels, attention(config, channels)))

    @property
    def blocks(self) -> list[Block]:
        """The blocks, first to last."""
        return [getattr(self, f"block{b}") for b in range(self.depth)]

    def forward(self, x: Tensor) -> Tensor:
        """The image or stream `(T, B, C, H, W)` to `(T, B, C', H', W')`."""
        x = self.down(self.stem(x) if self.first else x)
        for block in self.blocks:
            x = block(x)
        return x


class QKFormer(System):
    """One modality; the other one is not looked at."""

    config: QKFormerConfig

    def __init__(self, config: QKFormerConfig) -> None:
        super().__init__()
        self.config = config
        image_channels = config.video_channels if config.modality == "video" else 1
        self.stage1 = Stage(config, 0, image_channels)
        self.stage2 = Stage(config, 1, image_channels)
        self.stage3 = Stage(config, 2, image_channels)
        self.head = Readout(config.base_dim << 2, config.classes)

    @property
    def stages(self) -> tuple[Stage, Stage, Stage]:
        """First to last."""
        return self.stage1, self.stage2, self.stage3

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The logits."""
        stream = video if self.config.modality == "video" else audio
        for stage in self.stages:
            stream = stage(stream)
        return {LOGITS: self.head(stream)}

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """Everything before the head encodes the one modality."""
        none: dict[Group, Sequence[nn.Module]] = {"audio": [], "video": [], "fusion": [], "head": [self.head]}
        return none | {self.config.modality: self.stages}
