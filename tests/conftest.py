"""What the whole suite has in common: the conditions of every pass are checked, whichever test compiles."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from joblib import cpu_count

os.environ["SNNERGY_DEBUG"] = "1"


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, because tests of Lava and of commands wait for processes of their own."""
    return int(cpu_count()) + 1


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixth of the handwritten digits, where a network is trained and how well it learns does not matter."""
    from snnergy.training.data import digits

    whole = digits.load_digits()
    few = SimpleNamespace(target=whole.target[:300], images=whole.images[:300])
    monkeypatch.setattr(digits, "load_digits", lambda: few)
