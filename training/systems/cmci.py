"""CMCI (Jiang et al., ICONIP 2023), as S-CMRL compares with it: both modalities drive the same neurons.

    s = LIF(W1 x_a + b1 + W2 x_v + b2);   z = s + MLP(s);   logits = W mean(z) + b

Each modality has an MLP and a readout of its own, which training alone uses. Where the SNNergy paper names the method
"cross-modal complementary information" it cites another one; this is current integration.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from snnergy.artefacts.samples import MODALITIES
from snnergy.training.config.systems import CmciConfig
from snnergy.training.model.attention import MLP
from snnergy.training.model.neurons import LIF
from snnergy.training.model.system import LOGITS, Group, Outputs, System
from snnergy.training.systems.parts import Readout, TokenLinear, Tokens


class Own(nn.Module):
    """What one modality says alone: an MLP and a readout, for the loss."""

    def __init__(self, config: CmciConfig) -> None:
        super().__init__()
        self.mlp = MLP(config, config.base_dim)
        self.head = Readout(config.base_dim, config.classes)

    def forward(self, stream: Tensor) -> Tensor:
        """`(T, B, D, H, W)` to logits `(B, classes)`."""
        return self.head(stream + self.mlp(stream))


class CMCI(System):
    """The whole network."""

    config: CmciConfig

    def __init__(self, config: CmciConfig) -> None:
        super().__init__()
        channels = config.base_dim
        self.config = config
        self.video = Tokens(config, config.video_channels)
        self.audio = Tokens(config, 1)
        self.video_current = TokenLinear(channels, channels)
        self.audio_current = TokenLinear(channels, channels)
        self.fused = LIF(config.tau, config.threshold, "fused")
        self.mlp = MLP(config, channels)
        self.head = Readout(channels, config.classes)
        self.video_own = Own(config)
        self.audio_own = Own(config)

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The logits of the fused stream, and those of each modality."""
        video, audio = self.video(video), self.audio(audio)
        fused = self.fused(self.audio_current(audio) + self.video_current(video))
        return {
            LOGITS: self.head(fused + self.mlp(fused)),
            "logits_video": self.video_own(video),
            "logits_audio": self.audio_own(audio),
        }

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """The readouts of the modalities belong to the head, their MLPs to the encoders."""
        return {
            "audio": [self.audio, self.audio_own.mlp],
            "video": [self.video, self.video_own.mlp],
            "fusion": [self.video_current, self.audio_current, self.mlp],
            "head": [self.head, self.video_own.head, self.audio_own.head],
        }

    def loss(self, outputs: Outputs, labels: Tensor, smoothing: float, progress: float) -> Tensor:
        """The sum of three cross entropies."""
        return sum(
            (
                functional.cross_entropy(outputs[f"logits_{name}"], labels, label_smoothing=smoothing)
                for name in MODALITIES
            ),
            super().loss(outputs, labels, smoothing, progress),
        )

    def populations(self) -> dict[str, nn.Module]:
        """Those behind the logits: not what each modality says alone."""
        alone = {module for own in (self.video_own, self.audio_own) for module in own.modules()}
        return {path: module for path, module in super().populations().items() if module not in alone}
