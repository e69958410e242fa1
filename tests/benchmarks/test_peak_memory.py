"""The memory that a computation needs at its height."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.peak_memory import peak_bytes


def test_it_is_what_is_held_at_once():
    mib = 1 << 20

    def run():
        first = torch.zeros(mib, dtype=torch.uint8)
        second = torch.zeros(2 * mib, dtype=torch.uint8)
        del first
        return second, torch.zeros(2 * mib, dtype=torch.uint8)

    assert peak_bytes(run) == pytest.approx(4 * mib, rel=0.01)
    assert peak_bytes(lambda: np.zeros(mib, np.uint8)) == pytest.approx(mib, rel=0.01)
    assert peak_bytes(lambda: nn.Identity()(torch.zeros(mib, dtype=torch.uint8))) == pytest.approx(mib, rel=0.01)
