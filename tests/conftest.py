"""What tests of several folders use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixth of the handwritten digits, where a network is trained and how well it learns does not matter."""
    from snnergy.training.data import digits

    whole = digits.load_digits()
    few = SimpleNamespace(target=whole.target[:300], images=whole.images[:300])
    monkeypatch.setattr(digits, "load_digits", lambda: few)
