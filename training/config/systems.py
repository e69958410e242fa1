"""The model section of an experiment: what every system says of its inputs, and one class for each system, by `system`.

SNNergy's own is in `experiment`, the systems that it is compared with are here. Their networks are in
`snnergy.training.systems`; docs/decisions/0021-comparison-systems.md says what is chosen where sources are silent.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass

from snnergy.training.config.types import STRICT, NonNegative, Positive, PositiveFloat, Probability, refuse

Modality = Literal["video", "audio"]
Fusion = Literal["sum", "concat", "film", "gated"]
Depth = Annotated[int, Field(ge=1, le=16)]
Ratio = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class SystemConfig:
    """What every system is told: its inputs, its classes and its width.

    Attributes:
        system: tag of the section.
        time_steps: T.
        image_size: side of both images, in pixels; a multiple of 16.
        classes: of the readout.
        base_dim: channels of a network of stages in the first one, of a network of tokens in each token.
        audio_encoding: `repeat` shows the whole audio image at every step, `windowed` a half that moves along.
        video_channels: 1 for gray.
        blank: modality whose input is all zero, in training and in evaluation.
    """

    system: str
    time_steps: Annotated[int, Field(ge=1, le=4096)]
    image_size: Annotated[int, Field(ge=16, le=65536, multiple_of=16)]
    classes: Annotated[int, Field(ge=2, le=65536)]
    base_dim: Annotated[int, Field(ge=2, le=65536, multiple_of=2)]
    audio_encoding: Literal["repeat", "windowed"] = "repeat"
    video_channels: Literal[1, 3] = 1
    blank: Literal["none", "video", "audio"] = "none"

    @property
    def extent(self) -> str:
        """The fields that make a network large, in a message."""
        return f"base_dim = {self.base_dim}"

    @property
    def activations(self) -> int:
        """Values that neurons make of one sample in a step, of both modalities: an estimate from above."""
        raise NotImplementedError


class Spiking(Protocol):
    """What a spiking MLP reads of a config: time constant in steps, threshold, hidden channels over channels."""

    @property
    def tau(self) -> float:
        """Membrane time constant in steps."""

    @property
    def threshold(self) -> float:
        """Of every LIF."""

    @property
    def mlp_ratio(self) -> int:
        """Hidden channels of an MLP over its channels."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class TransformerConfig(SystemConfig):
    """What the spiking transformers have in common.

    Attributes:
        mlp_ratio: hidden channels of an MLP over its channels.
    """

    tau: ClassVar[float] = 2.0
    threshold: ClassVar[float] = 1.0

    mlp_ratio: Ratio = 4

    def __post_init__(self) -> None:
        refuse(self.violations())

    def violations(self) -> list[str]:
        """What does not fit together."""
        return []


def _heads_violations(heads: int, base_dim: int) -> list[str]:
    return [f"heads = {heads}: must divide base_dim = {base_dim}"] if base_dim % heads else []


@dataclass(frozen=True, config=STRICT, kw_only=True)
class QKFormerConfig(TransformerConfig):
    """QKFormer on one modality; see `snnergy.training.systems.qkformer`.

    Attributes:
        modality: that it sees.
        attention: of stages 1 and 2: query-key attention that selects tokens, or channels.
        stage3: spiking self-attention as published, or query-key as in the others, which NIR can express.
        pool: before a neuron its `currents` as published, or behind it its `spikes`, which NIR can express.
        depths: blocks of each stage; base_dim, 2·base_dim and 4·base_dim are their channels.
        heads: of every block; divides base_dim.
    """

    system: Literal["qkformer"] = "qkformer"
    modality: Modality
    attention: Literal["token", "channel"] = "token"
    stage3: Literal["ssa", "query_key"] = "ssa"
    pool: Literal["currents", "spikes"] = "currents"
    depths: tuple[Depth, Depth, Depth] = (1, 1, 2)
    heads: Positive = 8

    def violations(self) -> list[str]:
        """What does not fit together."""
        return _heads_violations(self.heads, self.base_dim)

    @property
    def extent(self) -> str:
        """The fields that make a network large, in a message."""
        return f"base_dim = {self.base_dim} and depths = {list(self.depths)}"

    @property
    def activations(self) -> int:
        """Values of all neurons, and the scores of self-attention in the third stage."""
        total = self.base_dim * self.image_size**2 // 2
        for stage, depth in enumerate(self.depths):
            tokens, channels = (self.image_size // (4 << stage)) ** 2, self.base_dim << stage
            total += tokens * channels * (8 + depth * (6 + self.mlp_ratio))
        tokens = (self.image_size // 16) ** 2
        return total + (self.depths[2] * self.heads * tokens**2 if self.stage3 == "ssa" else 0)


@dataclass(frozen=True, config=STRICT, kw_only=True)
class TokenConfig(TransformerConfig):
    """Transformers whose tokeniser makes tokens of base_dim channels.

    Attributes:
        patch: side of what a token is made of, in pixels. 16 as published, for images of 128 pixels: 64 tokens.
    """

    STREAMS: ClassVar[int] = 2

    base_dim: Annotated[int, Field(ge=8, le=65536, multiple_of=8)]
    patch: Literal[8, 16] = 16

    @property
    def tokens(self) -> int:
        """N."""
        return (self.image_size // self.patch) ** 2

    @property
    def activations(self) -> int:
        """Values of all neurons of tokenisers, one attention and one MLP a stream."""
        stream = self.base_dim * (6 * self.image_size**2 // self.patch + self.tokens * (14 + self.mlp_ratio))
        return self.STREAMS * stream


@dataclass(frozen=True, config=STRICT, kw_only=True)
class AttentionConfig(TokenConfig):
    """Of tokens that attend to each other.

    Attributes:
        heads: divides base_dim.
    """

    heads: Positive = 16

    def violations(self) -> list[str]:
        """What does not fit together."""
        return _heads_violations(self.heads, self.base_dim)

    @property
    def activations(self) -> int:
        """The scores of each token for each as well."""
        return super().activations + 2 * self.STREAMS * self.heads * self.tokens**2


@dataclass(frozen=True, config=STRICT, kw_only=True)
class SpikformerConfig(AttentionConfig):
    """Spikformer on one modality; see `snnergy.training.systems.spikformer`.

    Attributes:
        modality: that it sees.
        depth: blocks.
    """

    STREAMS: ClassVar[int] = 1

    system: Literal["spikformer"] = "spikformer"
    modality: Modality
    depth: Depth = 1

    @property
    def extent(self) -> str:
        """The fields that make a network large, in a message."""
        return f"base_dim = {self.base_dim} and depth = {self.depth}"

    @property
    def activations(self) -> int:
        """Of all blocks."""
        return self.depth * super().activations


@dataclass(frozen=True, config=STRICT, kw_only=True)
class SCmrlConfig(AttentionConfig):
    """S-CMRL; see `snnergy.training.systems.s_cmrl`.

    Attributes:
        temperature: of the alignment loss.
    """

    system: Literal["s_cmrl"] = "s_cmrl"
    temperature: PositiveFloat = 0.07

    @property
    def activations(self) -> int:
        """The scores of each step for each, and a second attention, as well."""
        return 2 * super().activations + 4 * self.heads * self.tokens * self.time_steps


@dataclass(frozen=True, config=STRICT, kw_only=True)
class WeightAttentionConfig(TokenConfig):
    """WeightAttention; see `snnergy.training.systems.weight_attention`."""

    system: Literal["weight_attention"] = "weight_attention"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ScaConfig(AttentionConfig):
    """SCA; see `snnergy.training.systems.sca`."""

    system: Literal["sca"] = "sca"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class CmciConfig(TokenConfig):
    """CMCI; see `snnergy.training.systems.cmci`."""

    STREAMS: ClassVar[int] = 3

    system: Literal["cmci"] = "cmci"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class MisnetConfig(SystemConfig):
    """MISNet; see `snnergy.training.systems.misnet`.

    Attributes:
        size: `L` has one cell in its last stage, `XL` two as in the others.
        firing: both streams send one spike of their joint potential, as described, or each its own, as published code
            computes.
        input_size: that images are resized to.
    """

    system: Literal["misnet"] = "misnet"
    size: Literal["L", "XL"] = "L"
    firing: Literal["joint", "split"] = "joint"
    input_size: Annotated[int, Field(ge=16, le=1024, multiple_of=16)] = 96

    @property
    def activations(self) -> int:
        """Values of all neurons, and the two membranes of each."""
        return 2 * 3 * 10 * 2 * self.base_dim * self.input_size**2


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ResidualConfig(SystemConfig):
    """Two residual networks of 18 layers; their last stage has 8·base_dim channels."""

    @property
    def activations(self) -> int:
        """Values of all layers."""
        return 2 * self.base_dim * self.image_size**2


@dataclass(frozen=True, config=STRICT, kw_only=True)
class TaafConfig(ResidualConfig):
    """TAAF; see `snnergy.training.systems.taaf`.

    Attributes:
        fusion: of the features of each step.
        alpha: how much the modality that is ahead is slowed down.
    """

    system: Literal["taaf"] = "taaf"
    fusion: Literal["sum", "concat"] = "concat"
    alpha: NonNegative = 0.3


@dataclass(frozen=True, config=STRICT, kw_only=True)
class JointConfig(ResidualConfig):
    """Two residual networks without spikes, trained together; see `snnergy.training.systems.joint`.

    Attributes:
        fusion: of their features.
    """

    system: Literal["joint"] = "joint"
    fusion: Fusion = "concat"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class OgmGeConfig(ResidualConfig):
    """OGM-GE; see `snnergy.training.systems.ogm_ge`.

    Attributes:
        fusion: as in `joint`.
        alpha: how much the modality that is ahead is slowed down.
    """

    system: Literal["ogm_ge"] = "ogm_ge"
    fusion: Fusion = "concat"
    alpha: NonNegative = 0.1


@dataclass(frozen=True, config=STRICT, kw_only=True)
class PmrConfig(ResidualConfig):
    """PMR; see `snnergy.training.systems.pmr`.

    Attributes:
        fusion: as in `joint`.
        alpha: weight of the prototypes' loss.
        momentum: share of a prototype that stays from epoch to epoch.
    """

    system: Literal["pmr"] = "pmr"
    fusion: Fusion = "concat"
    alpha: NonNegative = 1.0
    momentum: Probability = 0.2
