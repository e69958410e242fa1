"""What S-CMRL, WeightAttention and SCA have in common: tokens of each modality, one exchange, an MLP each, a sum.

x_m = tokens of m;   x_v, x_a ← fusion(x_v, x_a);   x_m ← x_m + MLP(x_m);   logits = W mean(x_v + x_a) + b
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from snnergy.training.config.systems import TokenConfig
from snnergy.training.model.attention import MLP
from snnergy.training.model.system import LOGITS, Group, Outputs, System
from snnergy.training.systems.parts import Readout, Tokens


class TwoStreams(System):
    """The frame; a subclass adds its exchange after this constructor."""

    def __init__(self, config: TokenConfig) -> None:
        super().__init__()
        self.config = config
        self.video = Tokens(config, config.video_channels)
        self.audio = Tokens(config, 1)
        self.video_mlp = MLP(config, config.base_dim)
        self.audio_mlp = MLP(config, config.base_dim)
        self.head = Readout(config.base_dim, config.classes)

    def exchange(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, Outputs]:
        """Both streams `(T, B, D, H, W)` after the fusion, and what else the loss reads."""
        raise NotImplementedError

    def fusion_modules(self) -> list[nn.Module]:
        """What the exchange is made of."""
        raise NotImplementedError

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The logits, and what the exchange adds."""
        video, audio, others = self.exchange(self.video(video), self.audio(audio))
        fused = video + self.video_mlp(video) + audio + self.audio_mlp(audio)
        return {LOGITS: self.head(fused), **others}

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """The tokenisers encode; the MLPs belong to the fusion."""
        return {
            "audio": [self.audio],
            "video": [self.video],
            "fusion": [*self.fusion_modules(), self.video_mlp, self.audio_mlp],
            "head": [self.head],
        }
