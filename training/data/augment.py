"""Augmentation of a clip's picture: one draw a clip, so that all its frames change alike."""

from __future__ import annotations

import numpy as np

from snnergy.training.data.dataset import Pixels

_LUMA = np.array([0.299, 0.587, 0.114])[:, None, None]  # ITU-R BT.601, of R, G and B


def mirror_and_move(video: Pixels, flip: float, reach: int, rng: np.random.Generator) -> Pixels:
    """Mirror a clip `(..., H, W)` with probability `flip` and move it by up to `reach` pixels, its edges repeated."""
    height, width = video.shape[-2:]
    if rng.random() < flip:
        video = video[..., ::-1]
    row, column = rng.integers(0, 2 * reach + 1, size=2)
    padded = np.pad(video, [(0, 0)] * (video.ndim - 2) + [(reach, reach)] * 2, mode="edge")
    return padded[..., row : row + height, column : column + width]


def jitter_colour(video: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Change brightness, contrast and saturation of a clip `(T, 3, H, W)` by a factor of 1 ± `strength` each.

    In float64: the mean depends on the processor in its last bits, which then decide no pixel but next to a boundary.
    """
    brightness, contrast, saturation = 1 + strength * rng.uniform(-1, 1, size=3)
    pixels = brightness * video
    luma = np.sum(_LUMA * pixels, axis=1, keepdims=True)
    pixels = luma + saturation * (pixels - luma)
    mean = luma.mean()
    return np.clip(np.rint(mean + contrast * (pixels - mean)), 0, 255).astype(np.uint8)
