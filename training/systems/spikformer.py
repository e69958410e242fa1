"""Spikformer on one modality (Zhou et al., ICLR 2023, arXiv 2209.15425), as S-CMRL compares with it.

x ← x + SSA(x);   x ← x + MLP(x)   in each block, on the tokens of `parts.Tokens`; then a linear readout
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from snnergy.training.config.systems import SpikformerConfig
from snnergy.training.model.attention import MLP
from snnergy.training.model.system import LOGITS, Group, Outputs, System
from snnergy.training.systems.attention import SSA
from snnergy.training.systems.parts import Readout, Tokens

_SCALE = 0.125
_ATTENTION_THRESHOLD = 0.5


class Block(nn.Module):
    """Self-attention and MLP, each added to the stream."""

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        self.attention = SSA(config, config.base_dim, config.heads, _SCALE, _ATTENTION_THRESHOLD)
        self.mlp = MLP(config, config.base_dim)

    def forward(self, x: Tensor) -> Tensor:
        """`(T, B, D, H, W)` to the same shape."""
        x = x + self.attention(x, x)
        return x + self.mlp(x)


class Spikformer(System):
    """One modality; the other one is not looked at."""

    config: SpikformerConfig

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = Tokens(config, config.video_channels if config.modality == "video" else 1)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.depth)))
        self.head = Readout(config.base_dim, config.classes)

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The logits."""
        return {LOGITS: self.head(self.blocks(self.tokens(video if self.config.modality == "video" else audio)))}

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """Everything before the head encodes the one modality."""
        none: dict[Group, Sequence[nn.Module]] = {"audio": [], "video": [], "fusion": [], "head": [self.head]}
        return none | {self.config.modality: [self.tokens, self.blocks]}
