"""Packages of an extra that are missing are named together, with the command that installs them."""

import sys

import pytest

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.extras import require


def test_missing_packages_are_named_with_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)  # as if it were not installed
    with pytest.raises(UserError) as caught:
        require("training", "train", "json", "yaml", "no_such_package")
    assert caught.value.violations == (
        "training needs yaml, no_such_package of the extra 'train', not installed here: pip install 'snnergy[train]'",
    )


def test_a_package_is_looked_for_and_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    require("training", "train", "this")
    assert "this" not in sys.modules
