"""What was published, with its sources: accuracies, firing rates and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snnergy.training.config.experiment import AnySystem
from snnergy.training.config.systems import JointConfig, QKFormerConfig, SpikformerConfig

# arXiv 2602.00701: tables 2 and 3, accuracy in percent on CREMA-D and AVE; table 4, rates on both.
ACCURACIES = {
    "2": {"1": (72.63, 64.18), "2": (73.71, 68.66), "4": (75.75, 69.99), "6": (78.38, 72.14)},
    "3": {"spatial": (77.78, 63.68), "temporal, 3 steps": (77.24, 70.15), "spatiotemporal": (78.38, 72.14)},
}
RATES = {
    "q": ((0.1304, 0.1396, 0.1285), (0.0896, 0.1027, 0.1470)),
    "k": ((0.1423, 0.1348, 0.1077), (0.1258, 0.1154, 0.1278)),
    "attn": ((0.4355, 0.3842, 0.2156), (0.3103, 0.3247, 0.1890)),
    "mlp1": ((0.1158, 0.1076, 0.0814), (0.0840, 0.0981, 0.0832)),
    "mlp2": ((0.0987, 0.0775, 0.0671), (0.0769, 0.0617, 0.0678)),
}

# Table 1 there, in percent: experiment of configs/table1 → CREMA-D, AVE, UrbanSound8K-AV, None where it has none. It
# quotes TAAF from its authors and ran the others anew. Of MISNet it does not say which of the two ways to fire it is.
DATA_SETS = ("CREMA-D", "AVE", "UrbanSound8K-AV")
SYSTEMS: dict[str, tuple[float | None, ...]] = {
    "ogm-ge-sum": (74.80, 62.68, 98.97),
    "ogm-ge-concat": (74.02, 64.42, 98.97),
    "ogm-ge-film": (76.46, 61.44, 98.74),
    "ogm-ge-gated": (72.67, 64.67, 99.08),
    "pmr-sum": (74.88, 63.43, 99.77),
    "pmr-concat": (69.51, 62.69, 99.66),
    "pmr-film": (75.73, 61.69, 99.66),
    "pmr-gated": (70.73, 48.26, 99.77),
    "weight-attention": (70.12, 65.92, 98.17),
    "sca": (67.80, 60.20, 97.83),
    "cmci": (71.59, 67.91, 98.28),
    "s-cmrl": (71.59, 68.15, 98.05),
    "misnet-l": (75.22, 67.24, 95.23),
    "misnet-xl": (77.14, 68.04, 97.12),
    "taaf-concat": (77.55, 70.65, None),
    "taaf-sum": (76.75, 68.91, None),
    "snnergy-paper": (78.38, 72.14, 99.66),
}


@dataclass(frozen=True)
class Size:
    """A network as its source has it, and the millions of parameters that the source states."""

    name: str
    model: AnySystem
    millions: float
    source: str


_IMAGENET: dict[str, Any] = {"time_steps": 4, "image_size": 224, "classes": 1000, "video_channels": 3}
_QKFORMER = "Zhou et al., NeurIPS 2024"
_SPIKFORMER = "Zhou et al., ICLR 2023"


def _qkformer(base_dim: int, heads: int, millions: float) -> Size:
    model = QKFormerConfig(**_IMAGENET, modality="video", base_dim=base_dim, heads=heads, depths=(1, 2, 7))
    return Size(f"QKFormer 10-{4 * base_dim}", model, millions, _QKFORMER)


def _spikformer(base_dim: int, heads: int, millions: float) -> Size:
    model = SpikformerConfig(**_IMAGENET, modality="video", base_dim=base_dim, heads=heads, depth=8)
    return Size(f"Spikformer 8-{base_dim}", model, millions, _SPIKFORMER)


# Two networks of 18 layers; audio has one channel, not three. The encoders of OGM-GE and PMR, whose sources state none.
RESIDUAL = Size(
    "two residual networks of 18 layers",
    JointConfig(**_IMAGENET, base_dim=64, fusion="sum"),
    2 * 11.69,
    "He et al., CVPR 2016",
)
SIZES = (
    *(_qkformer(*stated) for stated in ((96, 6, 16.47), (128, 8, 29.08), (192, 12, 64.96))),
    *(_spikformer(*stated) for stated in ((384, 12, 16.81), (512, 8, 29.68), (768, 8, 66.34))),
    RESIDUAL,
)
