"""Cross-modal query-key attention (SNNergy eq. 6-13), linear in the number of tokens.

For the direction "x asks y", with spikes of x and y projected by weights of this direction:

    path:      q = LIF(x), k = LIF(y), mask = LIF_0.6(sum of q over a head's channels), attn = mask AND k
    fusion:    `paper`       F = mean over space of S · mean over time of P
               `gated_sum`   F = S + (g AND P),   g = LIF(BN(mean over space of S))
               `open_gate`   F = g AND P
               `fixed_gate`  F = LIF(gain_space · mean over space of S) AND LIF(gain_time · P)
    residual:  x' = x + alpha · F;   out = x' + MLP(x')

S and P are `attn` of the spatial and of the temporal path. The temporal path may look back over `temporal_kernel`
steps; where it looks at one, the two differ by their weights and by what the fusion does with them. The paper's F is
real-valued and known only after the last step; the others, of the `loihi` profile, are made of spikes and causal, and
their mean travels as the spikes of one neuron a channel. The gate g starts by letting all of P through and can learn
what to hold back; the fixed one learns nothing, and lets next to nothing through.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnergy.training.config.experiment import ModelConfig
from snnergy.training.config.systems import Spiking
from snnergy.training.model.layers import And, CausalProjection, Projection, SpatialMean, fire
from snnergy.training.model.neurons import LIF


class QueryKeyPath(nn.Module):
    """One query-key path: a bit a token and head, made from the query, lets the head's key spikes through.

    Args:
        config: gives heads and neurons.
        channels: of both streams.
        steps: that the projections look at, this one and those before it.
    """

    def __init__(self, config: ModelConfig, channels: int, steps: int = 1) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = _projection(channels, steps)
        self.q = LIF(config.tau, config.threshold, "q")
        self.k_proj = _projection(channels, steps)
        self.k = LIF(config.tau, config.threshold, "k")
        self.mask = LIF(config.tau, config.mask_threshold, "mask")
        self.attn = And("attn")

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to binary `(T, B, C, H, W)`."""
        q = fire(self.q_proj, self.q, asking)
        k = fire(self.k_proj, self.k, asked)
        mask = self.mask(q.unflatten(2, (self.heads, -1)).sum(dim=3))
        return self.attn(mask, k)


def _projection(channels: int, steps: int) -> Projection:
    return Projection(channels, channels) if steps == 1 else CausalProjection(channels, channels, steps)


class OpenGate(nn.Module):
    """Lets a channel of the temporal path through where its mean over space of the spatial path says so.

    Every channel is let through at first, and the network learns which of them to hold back, and when.
    """

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        # A LIF fires in each step on a constant current of threshold · tau. This one varies by 1, so around that it
        # would be silent in every other step, at random: noise that P's spikes do not survive while nothing is learned.
        self.mean = SpatialMean(channels, shift=2 * config.threshold * config.tau)
        self.space = LIF(config.tau, config.threshold, "space")
        self.gate = And("gate")

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Two binary `(T, B, C, H, W)` to a binary `(T, B, C, H, W)`."""
        return self.gate(fire(self.mean, self.space, spatial), temporal)


class GatedSum(OpenGate):
    """What the gate lets through of the temporal path, beside all of the spatial path."""

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Two binary `(T, B, C, H, W)` to their sum, 0 to 2."""
        return spatial + super().forward(spatial, temporal)


class FixedGate(nn.Module):
    """Lets a channel and position through if the channel is active in space and the position has been in time."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gain_space = config.fixed_gains["gain_space"]
        self.gain_time = config.fixed_gains["gain_time"]
        self.space = LIF(config.tau, config.threshold, "space")
        self.time = LIF(config.tau, config.threshold, "time")
        self.gate = And("gate")

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Two binary `(T, B, C, H, W)` to a binary `(T, B, C, H, W)`."""
        space = self.space(self.gain_space * spatial.mean(dim=(3, 4), keepdim=True))
        time = self.time(self.gain_time * temporal)
        return self.gate(space, time)


class MeanFusion(nn.Module):
    """The product of a channel's mean over space and a position's mean over time (eq. 12): real, from 0 to 1."""

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Two binary `(T, B, C, H, W)` to a real `(T, B, C, H, W)`."""
        return spatial.mean(dim=(3, 4), keepdim=True) * temporal.mean(dim=0, keepdim=True)


def _fusion(config: ModelConfig, channels: int) -> OpenGate | FixedGate | MeanFusion:
    if config.profile == "paper":
        return MeanFusion()
    if config.fusion == "fixed_gate":
        return FixedGate(config)
    return (OpenGate if config.fusion == "open_gate" else GatedSum)(config, channels)


class MLP(nn.Module):
    """Two 1×1 projections, each with its LIF."""

    def __init__(self, config: Spiking, channels: int) -> None:
        super().__init__()
        hidden = config.mlp_ratio * channels
        self.hidden_proj = Projection(channels, hidden)
        self.hidden = LIF(config.tau, config.threshold, "mlp1")
        self.out_proj = Projection(hidden, channels)
        self.out = LIF(config.tau, config.threshold, "mlp2")

    def forward(self, stream: Tensor) -> Tensor:
        """`(T, B, C, H, W)` to binary `(T, B, C, H, W)`."""
        return fire(self.out_proj, self.out, fire(self.hidden_proj, self.hidden, stream))


class Direction(nn.Module):
    """One direction of a block: what attention finds joins the asking stream, and then what an MLP makes of both.

    A subclass sets `alpha` and `mlp` after the parts of its attention, which the forward pass computes first.
    """

    alpha: nn.Parameter
    mlp: MLP

    def attend(self, asking: Tensor, asked: Tensor) -> Tensor:
        """F `(T, B, C, H, W)`, which is added to the asking stream."""
        raise NotImplementedError

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Two streams `(T, B, C, H, W)` to the asking stream, updated."""
        stream = asking + self.alpha * self.attend(asking, asked)
        return stream + self.mlp(stream)


def residual_weight(config: ModelConfig) -> nn.Parameter:
    """alpha of eq. 13."""
    return nn.Parameter(torch.tensor(config.alpha_init), requires_grad=config.alpha_learnable)


class CMQKA(Direction):
    """Query-key attention. Which of `spatial`, `temporal` and `fusion` exist is the config's `variant`."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        self.variant = config.variant
        if self.variant != "temporal":
            self.spatial = QueryKeyPath(config, channels)
        if self.variant != "spatial":
            self.temporal = QueryKeyPath(config, channels, config.temporal_kernel)
        if self.variant == "spatiotemporal":
            self.fusion = _fusion(config, channels)
        self.alpha = residual_weight(config)
        self.mlp = MLP(config, channels)

    def attend(self, asking: Tensor, asked: Tensor) -> Tensor:
        """F of eq. 12; of one path alone, its spikes."""
        if self.variant == "spatial":
            return self.spatial(asking, asked)
        if self.variant == "temporal":
            return self.temporal(asking, asked)
        return self.fusion(self.spatial(asking, asked), self.temporal(asking, asked))


class CrossModalBlock(nn.Module):
    """Both directions on the same inputs: neither sees what the other has made of its stream."""

    def __init__(self, video: Direction, audio: Direction) -> None:
        super().__init__()
        self.video = video
        self.audio = audio

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Two streams `(T, B, C, H, W)` to two streams of the same shape."""
        return self.video(video, audio), self.audio(audio, video)
