"""OGM-GE (Peng et al., CVPR 2022): slow down the encoder of the modality that is ahead, and add noise to both.

    grad ← k_m · grad + N(0, std(grad)²)   for every convolution of the encoder of m, in the first half of the training

k is that of `balance`, from what each modality alone says. Where the fusion has no such parts (FiLM, gated), readouts
of the features, which no gradient leaves, say it; they have a cross entropy of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.artefacts.samples import MODALITIES
from snnergy.training.config.systems import OgmGeConfig
from snnergy.training.model.system import ENCODED, Group, Outputs
from snnergy.training.systems.balance import lead, slowed, true_class
from snnergy.training.systems.joint import Joint, linear

_MODULATED = 0.5  # of the training
_LEAST_NOISE = 1e-8
_PROBED = ("film", "gated")


class OGMGE(Joint):
    """The network of `joint`, trained in this way."""

    config: OgmGeConfig

    def __init__(self, config: OgmGeConfig) -> None:
        super().__init__(config)
        probes = MODALITIES if config.fusion in _PROBED else ()
        self.probes = nn.ModuleDict({name: linear(self.channels, config.classes) for name in probes})

    def compute(self, video: Tensor, audio: Tensor) -> Outputs:
        """As of `joint`, and what each modality alone says."""
        outputs = super().compute(video, audio)
        parts = self.fusion.alone(outputs["feat_audio"], outputs["feat_video"])
        if parts is None:
            parts = tuple(self.probes[name](outputs[f"feat_{name}"].detach()) for name in ("audio", "video"))
        return {**outputs, "logits_audio": parts[0], "logits_video": parts[1]}

    def parts(self) -> dict[Group, Sequence[nn.Module]]:
        """As of `joint`; the probes belong to the head."""
        parts = super().parts()
        return {**parts, "head": [*parts["head"], self.probes]}

    def loss(self, outputs: Outputs, labels: Tensor, smoothing: float, progress: float) -> Tensor:
        """Cross entropy of the logits, and of the probes where there are any."""
        return sum(
            (functional.cross_entropy(outputs[f"logits_{name}"], labels) for name in self.probes),
            super().loss(outputs, labels, smoothing, progress),
        )

    def modulate(self, outputs: Outputs, labels: Tensor, progress: float) -> None:
        """Scale the gradients of both encoders, and add noise."""
        if progress >= _MODULATED:
            return
        audio, video = (true_class(outputs[f"logits_{name}"], labels).sum() for name in ("audio", "video"))
        factors, groups = slowed(lead(audio, video), self.config.alpha), self.groups()
        for name in ENCODED:
            for p in groups[name]:
                if p.ndim == 4 and p.grad is not None:
                    deviation = p.grad.std() + _LEAST_NOISE
                    p.grad = factors[name] * p.grad + deviation * torch.randn_like(p.grad)
