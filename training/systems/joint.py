"""Two residual networks without spikes, fused and trained together; OGM-GE and PMR train the same in other ways.

a and v are features of the two networks, means over space and steps. Fusions, audio being what conditions:

    sum      W_a a + b_a + W_v v + b_v           film    [g; s] = G a + c;  W (g · v + s) + b
    concat   W [a; v] + b                        gated   W (σ(G_a a + c_a) · (G_v v + c_v)) + b
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.training.config.systems import JointConfig, OgmGeConfig, PmrConfig
from snnergy.training.model.system import LOGITS, Group, Outputs, System
from snnergy.training.systems.residual import WIDEST, ResNet18


def linear(inputs: int, outputs: int) -> nn.Linear:
    """With Xavier's weights and no bias at the start."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Fusion(nn.Module):
    """Of features `(B, D)`; a subclass has `layers`, which condition, and `heads`, which read out."""

    def layers(self) -> list[nn.Module]:
        """What belongs to the fusion."""
        return []

    def heads(self) -> list[nn.Module]:
        """What belongs to the head."""
        raise NotImplementedError

    def forward(self, audio: Tensor, video: Tensor) -> Tensor:
        """Logits `(B, classes)`."""
        raise NotImplementedError

    def alone(self, audio: Tensor, video: Tensor) -> tuple[Tensor, Tensor] | None:
        """The parts of the logits that are due to each modality, where they are a sum of such parts."""
        return None


class Sum(Fusion):
    """A readout of each modality."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.audio = linear(channels, classes)
        self.video = linear(channels, classes)

    def heads(self) -> list[nn.Module]:
        """Both readouts."""
        return [self.audio, self.video]

    def forward(self, audio: Tensor, video: Tensor) -> Tensor:
        """Logits `(B, classes)`."""
        return self.audio(audio) + self.video(video)

    def alone(self, audio: Tensor, video: Tensor) -> tuple[Tensor, Tensor]:
        """Each readout, with all of its bias."""
        return self.audio(audio), self.video(video)


class Concat(Fusion):
    """One readout of both."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = linear(2 * channels, classes)

    def heads(self) -> list[nn.Module]:
        """The readout."""
        return [self.linear]

    def forward(self, audio: Tensor, video: Tensor) -> Tensor:
        """Logits `(B, classes)`."""
        return self.linear(torch.cat([audio, video], dim=1))

    def alone(self, audio: Tensor, video: Tensor) -> tuple[Tensor, Tensor]:
        """Each half of the weights, with half of the bias."""
        of_audio, of_video = self.linear.weight.split(audio.shape[1], dim=1)
        return functional.linear(audio, of_audio, self.linear.bias / 2), functional.linear(
            video, of_video, self.linear.bias / 2
        )


class FiLM(Fusion):
    """Audio scales and shifts the features of video."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.condition = linear(channels, 2 * channels)
        self.linear = linear(channels, classes)

    def layers(self) -> list[nn.Module]:
        """What scales and shifts."""
        return [self.condition]

    def heads(self) -> list[nn.Module]:
        """The readout."""
        return [self.linear]

    def forward(self, audio: Tensor, video: Tensor) -> Tensor:
        """Logits `(B, classes)`."""
        scale, shift = self.condition(audio).chunk(2, dim=1)
        return self.linear(scale * video + shift)


class Gated(Fusion):
    """Audio opens and closes the features of video."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.gate = linear(channels, channels)
        self.content = linear(channels, channels)
        self.linear = linear(channels, classes)

    def layers(self) -> list[nn.Module]:
        """Gate and content."""
        return [self.gate, self.content]

    def heads(self) -> list[nn.Module]:
        """The readout."""
        return [self.linear]

    def forward(self, audio: Tensor, video: Tensor) -> Tensor:
        """Logits `(B, classes)`."""
        return self.linear(self.gate(audio).sigmoid() * self.content(video))


_FUSIONS: dict[str, type[Fusion]] = {"sum": Sum, "concat": Concat, "film": FiLM, "gated": Gated}


class Joint(System):
    """The network, trained by cross entropy."""

    config: JointConfig | OgmGeConfig | PmrConfig

    def __init__(self, config: JointConfig | OgmGeConfig | PmrConfig) -> None:
        super().__init__()
        self.config = config
        self.channels = WIDEST * config.base_dim
        self.video = ResNet18(config.video_channels, config.base_dim, spiking=False)
        self.audio = ResNet18(1, config.base_dim, spiking=False)
        self.fusion = _FUSIONS[config.fusion](self.channels, config.classes)

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The logits, and `feat_video` and `feat_audio` `(B, D)`."""
        if self.config.audio_encoding == "repeat":
            audio = audio[:1]  # the same image at every step
        features = {"feat_video": self.video(video).mean(dim=0), "feat_audio": self.audio(audio).mean(dim=0)}
        return {LOGITS: self.fusion(features["feat_audio"], features["feat_video"]), **features}

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """The readouts are the head; what conditions them is the fusion."""
        return {
            "audio": [self.audio],
            "video": [self.video],
            "fusion": self.fusion.layers(),
            "head": self.fusion.heads(),
        }
