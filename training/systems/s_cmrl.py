"""S-CMRL (He et al., 2025, arXiv 2502.12488): what each modality can add to the other, along space and along time.

For the direction "x asks y":

    S = SSA over the tokens of a step, R = SSA over the steps of a position;   q of x, k and v of y
    z = LIF(W (mean over space of S · mean over time of R) + b);   x ← x + 1.5 · z

Training adds an alignment of both z: see `alignment_loss`. R sees later steps, so the network is not causal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.training.config.systems import SCmrlConfig
from snnergy.training.model.neurons import LIF
from snnergy.training.model.system import Outputs
from snnergy.training.systems.attention import SSA
from snnergy.training.systems.parts import TokenLinear
from snnergy.training.systems.two_streams import TwoStreams

_SCALE = 0.25
_ALPHA = 1.5


class CCSSA(nn.Module):
    """One direction: complementary cross-modal spiking self-attention along space and time."""

    def __init__(self, config: SCmrlConfig) -> None:
        super().__init__()
        size = (config.base_dim, config.heads, _SCALE, config.threshold)
        self.spatial = SSA(config, *size)
        self.temporal = SSA(config, *size, over="time")
        self.linear = TokenLinear(config.base_dim, config.base_dim)
        self.out = LIF(config.tau, config.threshold, "proj")

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, D, H, W)` to the spikes of z, of the same shape."""
        space = self.spatial(asking, asked).mean(dim=(3, 4), keepdim=True)
        time = self.temporal(asking, asked).mean(dim=0, keepdim=True)
        return self.out(self.linear(space * time))


def alignment_loss(audio: Tensor, video: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Contrast of all pairs of samples: `-mean over i, j of [y_i = y_j] · log softmax_j(a_i · v_j / temperature)`.

    The mean is over all B² pairs, not over the pairs of one class, and features are not normalised, as published.

    Args:
        audio, video: features `(B, C)`.
        labels: `(B,)`.
    """
    likeness = functional.log_softmax(audio @ video.T / temperature, dim=1)
    return -torch.where(labels[:, None] == labels[None, :], likeness, 0.0).mean()


class SCMRL(TwoStreams):
    """The whole network."""

    config: SCmrlConfig

    def __init__(self, config: SCmrlConfig) -> None:
        super().__init__(config)
        self.video_asks = CCSSA(config)
        self.audio_asks = CCSSA(config)

    def exchange(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, Outputs]:
        """Both directions on the same streams; `align_video` and `align_audio` `(B, D)` are the means of z."""
        for_video, for_audio = self.video_asks(video, audio), self.audio_asks(audio, video)
        others = {"align_video": for_video.mean(dim=(0, 3, 4)), "align_audio": for_audio.mean(dim=(0, 3, 4))}
        return video + _ALPHA * for_video, audio + _ALPHA * for_audio, others

    def fusion_modules(self) -> list[nn.Module]:
        """Both directions."""
        return [self.video_asks, self.audio_asks]

    def loss(self, outputs: Outputs, labels: Tensor, smoothing: float, progress: float) -> Tensor:
        """Cross entropy and alignment."""
        aligned = alignment_loss(outputs["align_audio"], outputs["align_video"], labels, self.config.temperature)
        return super().loss(outputs, labels, smoothing, progress) + aligned
