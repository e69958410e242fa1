"""BatchNorm folding against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snnergy.export import fold


def _randomised(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    nn.init.uniform_(norm.weight, -2, 2)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 1e-6, 3)
    return norm.eval()


@pytest.mark.parametrize("with_bias", [False, True])
def test_conv_then_norm(with_bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, padding=1, bias=with_bias)
    norm = _randomised(nn.BatchNorm2d(7))
    weight, bias = fold.conv_norm(conv, norm)
    assert weight.dtype == bias.dtype == np.float32
    x = torch.randn(3, 5, 6, 6, dtype=torch.float64)
    folded = nn.functional.conv2d(x, torch.from_numpy(weight).double(), torch.from_numpy(bias).double(), padding=1)
    torch.testing.assert_close(folded, norm.double()(conv.double()(x)), rtol=1e-5, atol=1e-5)


def test_norm_then_linear() -> None:
    torch.manual_seed(0)
    norm, linear = _randomised(nn.BatchNorm1d(6)), nn.Linear(6, 4)
    weight, bias = fold.norm_linear(norm, linear)
    assert weight.dtype == bias.dtype == np.float32
    x = torch.randn(9, 6, dtype=torch.float64)
    folded = x @ torch.from_numpy(weight).double().T + torch.from_numpy(bias).double()
    torch.testing.assert_close(folded, linear.double()(norm.double()(x)), rtol=1e-4, atol=1e-4)


def test_a_fold_is_rounded_once() -> None:
    """gain · mean far above the result: in float32 alone the offset would lose four digits."""
    norm = nn.BatchNorm2d(1).eval()
    norm.running_mean.fill_(1000.1)
    norm.running_var.fill_(0.01)
    norm.bias.data.fill_(10_000.5)
    _, bias = fold.conv_norm(nn.Conv2d(1, 1, 1, bias=False), norm)
    exact = norm.bias.double() - norm.running_mean.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    assert bias[0] == np.float32(exact.item())
