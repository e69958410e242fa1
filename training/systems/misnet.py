"""MISNet (ACM TOMM 21(5), 2025): two convolutional streams that exchange spikes several times in each of four stages.

    stage   CLIF(BN(conv)) of each modality, cells, mean of 2×2, dropout; widths D, 2D, 4D, 8D
    cell    b = x + CLIF(BN(conv CLIF(BN(conv x))));   p = CLIF(BN(W b));   s_v, s_a = MLIF(p_v, p_a);   x ← x + s
    head    of the means of both streams, over space and steps; training adds a readout of each

The neurons have two variables, and a gradient of 1 within half a unit of the threshold, through the reset as well:

    CLIF    u = v (1 - 1/τ) + x;   s = [u ≥ 1];   m ← m σ(u / τ) + s;   v ← u - s - s σ(m)
    MLIF    h_m = u_m (1 - 1/τ) + p_m;   u_m ← h_m - s_m
            joint: s_v = s_a = [½ h_v + ½ h_a ≥ 1]
            split: s_m = [½ h_m ≥ 1], and p_m = b_m: spikes of one step after the other would leave h_m below 2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.artefacts.samples import MODALITIES
from snnergy.training.config.systems import MisnetConfig
from snnergy.training.model.layers import Projection
from snnergy.training.model.system import LOGITS, Group, Outputs, System

_TAU = 2.0
_DROPOUT = 0.3
_SHARE = 0.5  # of each modality's potential in the joint one
_OWN_LOSS = 0.5  # weight of the loss of each modality alone
CELLS = {"L": (2, 2, 2, 1), "XL": (2, 2, 2, 2)}


class _Fire(torch.autograd.Function):
    """1 from 0 on; the gradient is 1 from -½ to ½."""

    @staticmethod
    def forward(ctx: Any, above: Tensor) -> Tensor:
        ctx.save_for_backward(above)
        return (above >= 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (above,) = ctx.saved_tensors
        return grad * (above.abs() <= 0.5)


def fired(potential: Tensor) -> Tensor:
    """Spikes of neurons with a threshold of 1."""
    return _Fire.apply(potential - 1.0)


class CLIF(nn.Module):
    """Complementary leaky integrate-and-fire neurons; each call starts at rest."""

    def forward(self, current: Tensor) -> Tensor:
        """`(T, …)` to spikes of the same shape."""
        v = m = torch.zeros_like(current[0])
        spikes = []
        for x in current.unbind(0):
            u = v * (1 - 1 / _TAU) + x
            s = fired(u)
            m = m * torch.sigmoid(u / _TAU) + s
            v = u - s - s * torch.sigmoid(m)
            spikes.append(s)
        return torch.stack(spikes)


class MLIF(nn.Module):
    """Neurons with a membrane for each modality; each call starts at rest."""

    def __init__(self, joint: bool) -> None:
        super().__init__()
        self.joint = joint

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Two `(T, …)` to the spikes that each stream is sent."""
        u_video = u_audio = torch.zeros_like(video[0])
        sent_video, sent_audio = [], []
        for p_video, p_audio in zip(video.unbind(0), audio.unbind(0), strict=True):
            h_video = u_video * (1 - 1 / _TAU) + p_video
            h_audio = u_audio * (1 - 1 / _TAU) + p_audio
            if self.joint:
                s_video = s_audio = fired(_SHARE * h_video + _SHARE * h_audio)
            else:
                s_video, s_audio = fired(_SHARE * h_video), fired(_SHARE * h_audio)
            u_video, u_audio = h_video - s_video, h_audio - s_audio
            sent_video.append(s_video)
            sent_audio.append(s_audio)
        return torch.stack(sent_video), torch.stack(sent_audio)


def _cbl(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(Projection(inputs, outputs, kernel), CLIF())


class Cell(nn.Module):
    """Lets each stream make something of itself, and sends both what they have in common."""

    def __init__(self, channels: int, joint: bool) -> None:
        super().__init__()
        self.video = nn.Sequential(_cbl(channels, channels, 3), _cbl(channels, channels, 3))
        self.audio = nn.Sequential(_cbl(channels, channels, 3), _cbl(channels, channels, 3))
        self.video_proj = _cbl(channels, channels, 1) if joint else nn.Identity()
        self.audio_proj = _cbl(channels, channels, 1) if joint else nn.Identity()
        self.mlif = MLIF(joint)

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Two `(T, B, C, H, W)` to two of the same shape."""
        to_video, to_audio = self.mlif(
            self.video_proj(self.video(video) + video), self.audio_proj(self.audio(audio) + audio)
        )
        return video + to_video, audio + to_audio


class Stage(nn.Module):
    """A layer of each modality, cells, and half the map's side."""

    def __init__(self, video: int, audio: int, channels: int, cells: int, joint: bool) -> None:
        super().__init__()
        self.video = _cbl(video, channels, 3)
        self.audio = _cbl(audio, channels, 3)
        self.cells = nn.ModuleList(Cell(channels, joint) for _ in range(cells))
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Two `(T, B, C, H, W)` to two `(T, B, C', H / 2, W / 2)`."""
        video, audio = self.video(video), self.audio(audio)
        for cell in self.cells:
            video, audio = cell(video, audio)
        return self._halve(video), self._halve(audio)

    def _halve(self, x: Tensor) -> Tensor:
        return self.dropout(functional.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2]))


class StepReadout(nn.Module):
    """The mean over steps of a readout, with dropout, of each step's mean over space."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(_DROPOUT)
        self.linear = nn.Linear(channels, classes)

    def forward(self, stream: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to `(B, classes)`."""
        return self.linear(self.dropout(stream.mean(dim=(3, 4)))).mean(dim=0)


class MISNet(System):
    """The whole network, L or XL, joint or split."""

    config: MisnetConfig

    def __init__(self, config: MisnetConfig) -> None:
        super().__init__()
        self.config = config
        stages, video, audio = [], int(config.video_channels), 1
        for index, cells in enumerate(CELLS[config.size]):
            channels = config.base_dim << index
            stages.append(Stage(video, audio, channels, cells, config.firing == "joint"))
            video = audio = channels
        self.stages = nn.ModuleList(stages)
        self.head = StepReadout(2 * video, config.classes)
        self.video_head = StepReadout(video, config.classes)
        self.audio_head = StepReadout(audio, config.classes)

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The logits of both streams together, and those of each."""
        video, audio = self._resized(video), self._resized(audio)
        for stage in self.stages:
            video, audio = stage(video, audio)
        return {
            LOGITS: self.head(torch.cat([video, audio], dim=2)),
            "logits_video": self.video_head(video),
            "logits_audio": self.audio_head(audio),
        }

    def _resized(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.config.input_size:
            return images
        size = (self.config.input_size, self.config.input_size)
        frames = functional.interpolate(images.flatten(0, 1), size, mode="bilinear", antialias=True)
        return frames.unflatten(0, images.shape[:2])

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """Layers of one modality encode it; what leads into the shared neurons is the fusion."""
        cells: list[Any] = [cell for stage in self.stages for cell in stage.cells]
        own: dict[str, list[Any]] = {
            name: [getattr(module, name) for module in (*self.stages, *cells)] for name in MODALITIES
        }
        return {
            "audio": own["audio"],
            "video": own["video"],
            "fusion": [module for cell in cells for module in (cell.video_proj, cell.audio_proj)],
            "head": [self.head, self.video_head, self.audio_head],
        }

    def loss(self, outputs: Outputs, labels: Tensor, smoothing: float, progress: float) -> Tensor:
        """Squared distance to one-hot labels, of the fused logits and half that of each stream; nothing is smoothed."""
        wanted = functional.one_hot(labels, self.config.classes).to(outputs[LOGITS].dtype)
        own = sum(functional.mse_loss(outputs[f"logits_{name}"], wanted) for name in MODALITIES)
        return functional.mse_loss(outputs[LOGITS], wanted) + _OWN_LOSS * own
