"""Folds BatchNorm into the linear layer beside it, or makes one of it.

In float64, rounded to float32 once at the end:

    BN(y) = gain · y + offset,   gain = gamma / sqrt(running_var + eps),   offset = beta − gain · running_mean

    BN(W x + b) = (gain · W) x + (gain · b + offset)          `conv_norm`: BatchNorm behind
    W BN(x) + b = (W · gain) x + (W · offset + b)             `norm_linear`: BatchNorm in front
    BN(x) = diag(gain) x + offset                             `norm_alone`: BatchNorm of a mean, as a 1×1 convolution
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

Weights = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
_Float64 = npt.NDArray[np.float64]


def conv_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Weights:
    """Weight `(O, I, kH, kW)` and bias `(O,)` of the convolution that does `conv`, then `norm`."""
    gain, offset = _gain_and_offset(norm)
    bias = offset if conv.bias is None else gain * _float64(conv.bias) + offset
    return _float32(_float64(conv.weight) * gain[:, None, None, None], bias)


def norm_linear(norm: nn.BatchNorm1d, linear: nn.Linear) -> Weights:
    """Weight `(O, I)` and bias `(O,)` of the affine map that does `norm`, then `linear`."""
    gain, offset = _gain_and_offset(norm)
    weight = _float64(linear.weight)
    return _float32(weight * gain, weight @ offset + _float64(linear.bias))


def norm_alone(norm: nn.BatchNorm2d) -> Weights:
    """Weight `(C, C, 1, 1)` and bias `(C,)` of the 1×1 convolution that does `norm`."""
    gain, offset = _gain_and_offset(norm)
    return _float32(np.diag(gain)[:, :, None, None], offset)


def _gain_and_offset(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[_Float64, _Float64]:
    assert norm.running_mean is not None and norm.running_var is not None
    gain = _float64(norm.weight) / np.sqrt(_float64(norm.running_var) + norm.eps)
    return gain, _float64(norm.bias) - gain * _float64(norm.running_mean)


def _float64(tensor: Tensor) -> _Float64:
    return tensor.detach().cpu().double().numpy()


def _float32(weight: _Float64, bias: _Float64) -> Weights:
    return weight.astype(np.float32), bias.astype(np.float32)
