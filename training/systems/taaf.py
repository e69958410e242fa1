"""TAAF-SNN, our own specification after the description (Shen et al., ACM MM 2025, arXiv 2505.14535; no public code).

Streams u are audio, video and fused; F_u (B, T, D) are features of each step, of residual spiking networks:

    A_u = softmax(F_u Q_u (F_u K_u)ᵀ / √classes), over the steps looked at;   s_u = mean of A_u over the steps that look
    Z_u = W_u F_u + b_u;   P_u = sum over t of s_u[t] Z_u[t];   the logits are P_fused
    L_u = CE(P_u) + sum over t of stop(s_u[t]) CE(Z_u[t]);   L = L_fused + ½ L_audio + ½ L_video

In the first half of the training the encoder of the modality that is ahead is slowed down; see `balance`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.artefacts.samples import MODALITIES
from snnergy.training.config.systems import TaafConfig
from snnergy.training.model.system import ENCODED, LOGITS, Group, Outputs, System
from snnergy.training.systems.balance import lead, slowed, true_class
from snnergy.training.systems.residual import WIDEST, ResNet18

_OWN_LOSS = 0.5
_MODULATED = 0.5  # of the training


class Aligned(nn.Module):
    """Features of one modality, each step mixed with its two neighbours; at the start with none."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        channels = WIDEST * width
        self.encoder = ResNet18(inputs, width, spiking=True)
        self.mix = nn.Conv1d(channels, channels, 3, padding=1, groups=channels)
        nn.init.dirac_(self.mix.weight, groups=channels)
        assert self.mix.bias is not None
        nn.init.zeros_(self.mix.bias)

    def forward(self, images: Tensor) -> Tensor:
        """`(T, B, inputs, H, W)` to `(B, T, D)`."""
        return self.mix(self.encoder(images).permute(1, 2, 0)).transpose(1, 2)


class StepScores(nn.Module):
    """What one stream says at each step, and how much each step counts."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, classes, bias=False)
        self.key = nn.Linear(channels, classes, bias=False)
        self.linear = nn.Linear(channels, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, T, D)` to logits `(B, T, classes)` and shares `(B, T)`, which sum to 1 over T."""
        looks = self.query(features) @ self.key(features).transpose(1, 2)
        looks = (looks / math.sqrt(self.linear.out_features)).softmax(dim=-1)
        return self.linear(features), looks.mean(dim=1)


class TAAF(System):
    """The whole network, whose fused stream concatenates or adds the features."""

    config: TaafConfig

    def __init__(self, config: TaafConfig) -> None:
        super().__init__()
        self.config = config
        channels, classes = WIDEST * config.base_dim, config.classes
        self.video = Aligned(config.video_channels, config.base_dim)
        self.audio = Aligned(1, config.base_dim)
        self.video_scores = StepScores(channels, classes)
        self.audio_scores = StepScores(channels, classes)
        self.fused_scores = StepScores(2 * channels if config.fusion == "concat" else channels, classes)

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """Of each stream the prediction, `steps_…` `(B, T, classes)` and `shares_…` `(B, T)`."""
        video, audio = self.video(video), self.audio(audio)
        fused = torch.cat([audio, video], dim=2) if self.config.fusion == "concat" else audio + video
        outputs: Outputs = {}
        for name, scores, features in (
            ("fused", self.fused_scores, fused),
            ("video", self.video_scores, video),
            ("audio", self.audio_scores, audio),
        ):
            steps, shares = scores(features)
            outputs |= {f"steps_{name}": steps, f"shares_{name}": shares}
            outputs[LOGITS if name == "fused" else f"logits_{name}"] = (shares[..., None] * steps).sum(dim=1)
        return outputs

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """The scores of the fused stream are the head; those of a modality belong to the fusion, which they guide."""
        return {
            "audio": [self.audio],
            "video": [self.video],
            "fusion": [self.video_scores, self.audio_scores],
            "head": [self.fused_scores],
        }

    def loss(self, outputs: Outputs, labels: Tensor, smoothing: float, progress: float) -> Tensor:
        """The three streams' losses, weighted."""
        own = [self._stream_loss(outputs, name, labels, smoothing) for name in MODALITIES]
        return self._stream_loss(outputs, "fused", labels, smoothing) + _OWN_LOSS * torch.stack(own).sum()

    def _stream_loss(self, outputs: Outputs, name: str, labels: Tensor, smoothing: float) -> Tensor:
        prediction = outputs[LOGITS if name == "fused" else f"logits_{name}"]
        steps, shares = outputs[f"steps_{name}"], outputs[f"shares_{name}"].detach()
        each = functional.cross_entropy(
            steps.transpose(1, 2), labels[:, None].expand(steps.shape[:2]), label_smoothing=smoothing, reduction="none"
        )
        return functional.cross_entropy(prediction, labels, label_smoothing=smoothing) + (shares * each).sum(1).mean()

    def modulate(self, outputs: Outputs, labels: Tensor, progress: float) -> None:
        """Slow down the encoder of the modality that is ahead, in the first half of the training."""
        if progress >= _MODULATED:
            return
        audio, video = (
            (outputs[f"shares_{name}"].detach() * true_class(outputs[f"steps_{name}"], labels)).sum()
            for name in ("audio", "video")
        )
        factors, groups = slowed(lead(audio, video), self.config.alpha), self.groups()
        for name in ENCODED:
            for p in groups[name]:
                if p.grad is not None:
                    p.grad *= factors[name]
