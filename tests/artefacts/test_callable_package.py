"""A package that is a function too imports it at the first call, and is a package still."""

import importlib
import sys

import pytest


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "doubling"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from snnergy.artefacts.callable_package import make_callable\n"
        "make_callable(__name__, 'doubling.double:double')\n"
    )
    (folder / "double.py").write_text("def double(x, *, more=0):\n    return 2 * x + more\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("doubling")
    for name in ("doubling", "doubling.double"):
        sys.modules.pop(name, None)


def test_the_function_is_imported_at_the_first_call(package):
    assert "doubling.double" not in sys.modules
    assert package(3, more=1) == 7
    assert importlib.import_module("doubling.double").double(4) == 8


def test_a_missing_name_is_missing_still(package):
    with pytest.raises(AttributeError, match="has no attribute 'triple'"):
        _ = package.triple
