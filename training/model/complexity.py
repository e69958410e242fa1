"""Operations of the fusion layers as the publication counts them (table 5 of arXiv 2602.00701).

For one direction of a block on N tokens of C channels: query-key attention N·C², self-attention N²·C. That leaves out
the N·C² of the self-attention's own projections, and its cheaper order Q (Kᵀ V), which is linear in N too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snnergy.training.config.experiment import ModelConfig

Attention = Literal["cmqka", "ssa"]


@dataclass(frozen=True)
class StageOperations:
    """Of one direction of one block. tokens: N. channels: C."""

    tokens: int
    channels: int

    @property
    def cmqka(self) -> int:
        """N·C²."""
        return self.tokens * self.channels**2

    @property
    def ssa(self) -> int:
        """N²·C."""
        return self.tokens**2 * self.channels


def stage_operations(model: ModelConfig) -> tuple[StageOperations, ...]:
    """Tokens and channels of the three stages, whose maps have 1/4, 1/8 and 1/16 of the image's side."""
    return tuple(
        StageOperations((model.image_size // (4 << stage)) ** 2, model.base_dim << stage) for stage in range(3)
    )


def fusion_operations(model: ModelConfig, attention: tuple[Attention, Attention, Attention]) -> int:
    """Sum over the stages, each with the attention named."""
    stages = stage_operations(model)
    return sum(stage.cmqka if kind == "cmqka" else stage.ssa for stage, kind in zip(stages, attention, strict=True))
