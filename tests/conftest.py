"""What the whole suite has in common: the conditions of every pass are checked, whichever test compiles."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

os.environ["SNNERGY_DEBUG"] = "1"


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixth of the handwritten digits, where a network is trained and how well it learns does not matter."""
    from snnergy.training.data import digits

    whole = digits.load_digits()
    few = SimpleNamespace(target=whole.target[:300], images=whole.images[:300])
    monkeypatch.setattr(digits, "load_digits", lambda: few)
