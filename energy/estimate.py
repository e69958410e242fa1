"""Mean, deviation and 95 % confidence interval of a quantity over samples.

interval = mean ± t · s / √n,  s the sample deviation (n - 1), t the 0.975 quantile of Student's t with n - 1 degrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# 0.975 quantiles of Student's t for 1 to 30 degrees of freedom (any statistics handbook).
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """std and ci95 (low, high) are None for a single sample, of which they cannot be estimated."""

    mean: float
    std: float | None
    ci95: tuple[float, float] | None

    @property
    def half_width(self) -> float | None:
        """Half the width of the confidence interval."""
        return None if self.ci95 is None else (self.ci95[1] - self.ci95[0]) / 2


def estimate(values: npt.ArrayLike) -> Estimate:
    """Summarise `(samples,)` values."""
    values = np.asarray(values, dtype=np.float64)
    mean, samples = float(values.mean()), len(values)
    if samples < 2:
        return Estimate(mean, None, None)
    std = float(values.std(ddof=1))
    half = _quantile(samples - 1) * std / math.sqrt(samples)
    return Estimate(mean, std, (mean - half, mean + half))


def _quantile(degrees: int) -> float:
    # Beyond the table: Cornish-Fisher expansion around the normal quantile, error below 0.0002.
    return _T[degrees - 1] if degrees <= len(_T) else 1.95996 + 2.3722 / degrees + 2.8224 / degrees**2
