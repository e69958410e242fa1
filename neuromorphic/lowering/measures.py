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
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnergy.neuromorphic.emulator.run import engine_here

TIME_CONSTANT = 4.0  # of the distance, in time steps: of a spike that is one step late it is 0.67
_KEEP = math.exp(-1 / TIME_CONSTANT)


@dataclass(frozen=True)
class Alike:
    """Sums over two recordings of the same neurons, of some samples or, added up, of more.

    equal: values that are. a, b, both, either: spikes in each, Σ min and Σ max. off, norm: |k * a − k * b|² and
    |k * b|².
    """

    values: int = 0
    equal: int = 0
    a: float = 0.0
    b: float = 0.0
    both: float = 0.0
    either: float = 0.0
    off: float = 0.0
    norm: float = 0.0

    @classmethod
    def of(cls, a: Tensor, b: Tensor) -> Alike:
        """Of spikes, or of integers from 0 up, `(N, T, neurons)`."""
        if a.dtype == b.dtype == torch.uint8 and engine_here() == "kernels":
            return cls(a.numel(), *_counted(a, b))
        off, norm = _filtered(a, b)
        return cls(
            a.numel(), int((a == b).sum()), total(a), total(b), total(torch.minimum(a, b)), total(torch.maximum(a, b)),
            off, norm,
        )  # fmt: skip

    def __add__(self, other: Alike) -> Alike:
        return Alike(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def overlap(self) -> float | None:
        """None where both are silent."""
        return self.both / self.either if self.either else None

    @property
    def distance(self) -> float | None:
        """Of a from b; None where b is silent."""
        return math.sqrt(self.off / self.norm) if self.norm else None


NOTHING = Alike()


def total(values: Tensor) -> float:
    """Sum of numbers, exact where they are bytes."""
    return float(values.sum(dtype=torch.int64 if values.dtype == torch.uint8 else torch.float64))


def overlap(a: Tensor, b: Tensor) -> float | None:
    """Overlap of two recordings `(N, T, neurons)` of spikes, or of integers from 0 up; None where both are silent."""
    either = total(torch.maximum(a, b))
    return total(torch.minimum(a, b)) / either if either else None


def distance(found: Tensor, expected: Tensor) -> float | None:
    """Van Rossum distance of `found` from `expected`, both `(N, T, neurons)`; None where `expected` is silent."""
    off, norm = _filtered(found, expected)
    return math.sqrt(off / norm) if norm else None


def _counted(found: Tensor, expected: Tensor) -> tuple[int, float, float, float, float, float, float]:
    """The fields of `Alike` behind `values`, of single spikes, in one pass."""
    from snnergy.neuromorphic.emulator.kernels.comparison import alike

    off, norm = np.zeros((2, found.shape[2]))
    equal, a, b, both = alike(found.numpy(), expected.numpy(), _KEEP, off, norm)
    return equal, float(a), float(b), float(both), float(a + b - both), float(off.sum()), float(norm.sum())


def _filtered(found: Tensor, expected: Tensor) -> tuple[float, float]:
    """|k * found − k * expected|² and |k * expected|²."""
    off = norm = 0.0
    x = y = torch.zeros(())
    for t in range(found.shape[1]):
        x, y = _KEEP * x + found[:, t].float(), _KEEP * y + expected[:, t].float()
        off, norm = off + _square(x - y), norm + _square(y)
    tail = _KEEP**2 / (1 - _KEEP**2)  # both traces decay on after the last step
    return off + tail * _square(x - y), norm + tail * _square(y)


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
