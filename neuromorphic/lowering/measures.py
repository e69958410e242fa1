"""How alike two recordings of the same neurons are, where most of both is silence, and what a guess would have reached.

overlap      Σ min(a, b) / Σ max(a, b): of spikes 0 and 1, those of both over those of either (Jaccard's index)
distance     |k * a − k * b| / |k * b| with k(t) = exp(−t/τ), |·| the root of the integral of squares over all time:
             van Rossum (2001), A novel spike distance, Neural Computation 13, 751-763, over the norm of the train
             that is compared with. 0: the same; 1: as far off as silence; a spike that is late by far less than τ
             counts little
by_guessing  P(X ≥ k) of a binomial X: how often a guess among the classes is right on as many samples
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TIME_CONSTANT = 4.0  # of the distance, in time steps: of a spike that is one step late it is 0.67


def overlap(a: Tensor, b: Tensor) -> float | None:
    """Overlap of two recordings `(N, T, neurons)` of spikes, or of integers from 0 up; None where both are silent."""
    either = float(torch.maximum(a, b).sum(dtype=torch.float64))
    return float(torch.minimum(a, b).sum(dtype=torch.float64)) / either if either else None


def distance(found: Tensor, expected: Tensor) -> float | None:
    """Van Rossum distance of `found` from `expected`, both `(N, T, neurons)`; None where `expected` is silent."""
    keep = math.exp(-1 / TIME_CONSTANT)
    off = norm = 0.0
    x = y = torch.zeros(())
    for t in range(found.shape[1]):
        x, y = keep * x + found[:, t].float(), keep * y + expected[:, t].float()
        off, norm = off + _square(x - y), norm + _square(y)
    tail = keep**2 / (1 - keep**2)  # both traces decay on after the last step
    off, norm = off + tail * _square(x - y), norm + tail * _square(y)
    return math.sqrt(off / norm) if norm else None


def _square(trace: Tensor) -> float:
    return float(trace.square().sum(dtype=torch.float64))


def by_guessing(accuracy: float, samples: int, classes: int) -> float:
    """Probability that guessing among `classes` is right at least as often as `accuracy` on `samples` samples."""
    if classes < 2:
        return 1.0
    chance, right = 1 / classes, round(accuracy * samples)
    logs = (
        math.lgamma(samples + 1) - math.lgamma(k + 1) - math.lgamma(samples - k + 1)
        + k * math.log(chance) + (samples - k) * math.log1p(-chance)
        for k in range(right, samples + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))
