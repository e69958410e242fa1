"""PMR (Fan et al., CVPR 2023, arXiv 2211.07089): prototypes of each class pull the features of the slower modality.

c_m[k] = mean of the features of m over training samples of class k, anew before each epoch
sim_m = -‖f_m - c_m[k]‖ for each k;   r = Σ softmax(sim_a)[y] / Σ softmax(sim_v)[y]
L = CE + α CE(sim of the modality that is behind)   in the first 70 % of the training
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from snnergy.artefacts.samples import MODALITIES
from snnergy.training.config.systems import PmrConfig
from snnergy.training.model.system import Batches, Outputs
from snnergy.training.systems.balance import lead, summed, true_class
from snnergy.training.systems.joint import Joint

_ACTIVE = 0.7  # of the training
_SHARE = 0.1  # of the batches that is looked at
_NEAREST = 1e-12  # square of a distance, so that its root has a gradient


def similarity(features: Tensor, prototypes: Tensor) -> Tensor:
    """Minus the distance of features `(B, D)` to each of `(K, D)`: `(B, K)`."""
    squares = (features[:, None] - prototypes[None]).square().sum(dim=2)
    return -(squares + _NEAREST).sqrt()


class PMR(Joint):
    """The network of `joint`, trained in this way."""

    config: PmrConfig

    def __init__(self, config: PmrConfig) -> None:
        super().__init__(config)
        for name in MODALITIES:
            self.register_buffer(f"prototypes_{name}", torch.zeros(config.classes, self.channels))
        self.register_buffer("known", torch.zeros(config.classes))  # 1 for a class that has prototypes

    def loss(self, outputs: Outputs, labels: Tensor, smoothing: float, progress: float) -> Tensor:
        """Cross entropy of the logits, and of the similarities of the slower modality."""
        loss = super().loss(outputs, labels, smoothing, progress)
        if progress >= _ACTIVE:
            return loss
        similar = {name: self.similarities(outputs, name) for name in MODALITIES}
        audio, video = (true_class(similar[name], labels).sum() for name in ("audio", "video"))
        ahead = lead(audio, video)
        if ahead == 1:
            return loss
        slower = "audio" if ahead > 1 else "video"
        return loss + self.config.alpha * functional.cross_entropy(similar[slower], labels)

    def similarities(self, outputs: Outputs, modality: str) -> Tensor:
        """Of the features of one modality to its prototypes, `(B, classes)`."""
        return similarity(outputs[f"feat_{modality}"], self.get_buffer(f"prototypes_{modality}"))

    def start_epoch(self, batches: Batches, progress: float) -> None:
        """Make the prototypes anew, of a tenth of the batches, and of more until every class has been there."""
        if progress >= _ACTIVE:
            return
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                self._make_prototypes(batches)
        finally:
            self.train(was_training)

    def _make_prototypes(self, batches: Batches) -> None:
        counts = torch.zeros_like(self.get_buffer("known"))
        sums = {name: torch.zeros_like(self.get_buffer(f"prototypes_{name}")) for name in MODALITIES}
        for index, (video, audio, labels) in enumerate(batches):
            if index >= _SHARE * len(batches) and counts.all():
                break
            outputs = self.outputs(video, audio)
            counts.index_add_(0, labels, torch.ones_like(labels, dtype=counts.dtype))
            for name in MODALITIES:
                sums[name].index_add_(0, labels, outputs[f"feat_{name}"].to(counts.dtype))
        counts = summed(counts)[:, None]
        known = self.get_buffer("known")[:, None]
        stays = torch.where(counts > 0, self.config.momentum * known, 1.0)
        for name in MODALITIES:
            prototypes = self.get_buffer(f"prototypes_{name}")
            prototypes.copy_(stays * prototypes + (1 - stays) * summed(sums[name]) / counts.clamp(min=1))
        self.get_buffer("known").copy_(torch.maximum(known, (counts > 0).to(known.dtype))[:, 0])
