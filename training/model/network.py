"""The SNNergy network: three stages of downsampling and cross-modal attention, and a linear head.

    stage{1,2,3}.{video,audio}.spds     C = D, 2D, 4D channels on 1/4, 1/8, 1/16 of the image's side
    stage{s}.block{b}.{video,audio}     cross-modal query-key attention; in stage 3 self-attention where asked for
    head                                mean over space, of both modalities, over time; BatchNorm; linear

Every population is a module that returns its own binary spikes, and its path names it in all later artefacts. In the
`loihi` profile the streams between them are sums of populations with constant weights, and enter only linear operators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from snnergy.artefacts.samples import MODALITIES
from snnergy.artefacts.types import Labels
from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model.attention import CMQKA, CrossModalBlock
from snnergy.training.model.batch_norm import BatchNorm1d
from snnergy.training.model.layers import POPULATIONS
from snnergy.training.model.self_attention import CrossModalSSA
from snnergy.training.model.spds import SPDS, StemSPDS
from snnergy.training.model.system import LOGITS, Group, Outputs, System


class Encoder(nn.Module):
    """Holds one modality's downsampling, so that its path reads `stage1.video.spds`."""

    def __init__(self, spds: StemSPDS | SPDS) -> None:
        super().__init__()
        self.spds = spds

    def forward(self, stream: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to the binary, downsampled stream."""
        return self.spds(stream)


class Stage(nn.Module):
    """Downsampling of each modality, then `block0`, `block1`, … of cross-modal attention."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        channels = config.base_dim << index
        neuron = (config.tau, config.threshold)
        if index == 0:
            self.video = Encoder(StemSPDS(config.video_channels, channels, *neuron))
            self.audio = Encoder(StemSPDS(1, channels, *neuron))
        else:
            self.video = Encoder(SPDS(channels // 2, channels, *neuron))
            self.audio = Encoder(SPDS(channels // 2, channels, *neuron))
        self.depth = config.depths[index]
        attention = CrossModalSSA if index == 2 and config.stage3 == "ssa" else CMQKA
        for b in range(self.depth):
            self.add_module(f"block{b}", CrossModalBlock(attention(config, channels), attention(config, channels)))

    @property
    def blocks(self) -> list[CrossModalBlock]:
        """The blocks, first to last."""
        return [getattr(self, f"block{b}") for b in range(self.depth)]

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Two streams `(T, B, C, H, W)` to two streams `(T, B, C', H', W')`."""
        video, audio = self.video(video), self.audio(audio)
        for block in self.blocks:
            video, audio = block(video, audio)
        return video, audio

    def parts(self) -> Iterator[tuple[str, int | None, str, nn.Module]]:
        """What belongs to one modality and to one block or none: path in the stage, block, modality, module."""
        for modality in MODALITIES:
            yield modality, None, modality, getattr(self, modality)
        for index, block in enumerate(self.blocks):
            for modality in MODALITIES:
                yield f"block{index}.{modality}", index, modality, getattr(block, modality)


class Head(nn.Module):
    """Linear readout of both streams. It has no neuron: its mean over time equals the mean of a readout of each step.

    Without the BatchNorm, pooled binary maps vary too little between samples for training to start.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = BatchNorm1d(2 * channels)
        self.linear = nn.Linear(2 * channels, classes)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to logits `(B, classes)`."""
        pooled = [self.pool(stream.mean(dim=0)).flatten(1) for stream in (video, audio)]
        return self.linear(self.norm(torch.cat(pooled, dim=1)))


class SNNergy(System):
    """Audio-visual spiking transformer."""

    config: ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.stage1 = Stage(config, 0)
        self.stage2 = Stage(config, 1)
        self.stage3 = Stage(config, 2)
        self.head = Head(config.base_dim << 2, config.classes)

    @property
    def stages(self) -> tuple[Stage, Stage, Stage]:
        """First to last."""
        return self.stage1, self.stage2, self.stage3

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """The logits."""
        for stage in self.stages:
            video, audio = stage(video, audio)
        return {LOGITS: self.head(video, audio)}

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """Downsampling of each modality, the blocks of cross-modal attention, the head."""
        return {
            "audio": [stage.audio for stage in self.stages],
            "video": [stage.video for stage in self.stages],
            "fusion": [block for stage in self.stages for block in stage.blocks],
            "head": [self.head],
        }

    def labels(self) -> dict[str, Labels]:
        """Where every population stands, by path: its own role, in the stage, block and modality that hold it.

        stage: from 1. block: from 0, None outside one. modality: `video` or `audio`.
        role: stem, spds, pool; q, k, v, mask, attn; space, time, gate; pair, memory, match, proj; mlp1, mlp2.
        """
        return {
            path: Labels(module.role, number, block, modality)
            for number, stage in enumerate(self.stages, start=1)
            for part, block, modality, holder in stage.parts()
            for path, module in holder.named_modules(prefix=f"stage{number}.{part}")
            if isinstance(module, POPULATIONS)
        }
