"""What holds the folders apart and the linter cannot say: who may import which library, and what a package exports."""

import ast
import importlib
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("training", "export", "finetuning", "neuromorphic", "energy", "artefacts", "snnergy")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_LINES = 400

# Library → the modules that may import it.
KEEPERS = {"spikingjelly": ("training/model/neurons.py",), "lava": ("neuromorphic/lava/",)}
# Package → libraries that must not enter it.
BANNED = {
    "energy/": ("torch", "lava", "nir", "spikingjelly", "lightning"),
    "neuromorphic/lava/": ("torch", "spikingjelly", "lightning"),
    "neuromorphic/": ("spikingjelly", "lightning", "librosa"),
    "export/": ("spikingjelly", "lightning", "librosa", "lava"),
}


@cache
def imported(path: Path) -> frozenset[str]:
    """Top-level names of everything that a module imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}:{node.lineno}: relative import"
            names.add(node.module.partition(".")[0])
    return frozenset(names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_modules_to_check():
    assert len(MODULES) > 40


@pytest.mark.parametrize("library", KEEPERS)
def test_only_its_keeper_imports_a_library(library):
    importers = [relative(path) for path in MODULES if library in imported(path)]
    assert importers, f"nothing imports {library}: the rule is out of date"
    assert [name for name in importers if not name.startswith(KEEPERS[library])] == []


@pytest.mark.parametrize("folder", BANNED)
def test_a_folder_stays_free_of_libraries(folder):
    found = {
        (relative(path), name)
        for path in MODULES
        if relative(path).startswith(folder)
        for name in imported(path)
        if name in BANNED[folder]
    }
    assert found == set()


def test_packages_export_a_sorted_list_of_what_they_hold():
    checked = 0
    for path in MODULES:
        if path.name != "__init__.py" or "__all__" not in path.read_text():
            continue
        name = f"snnergy.{relative(path.parent).removeprefix('snnergy')}".replace("/", ".").rstrip(".")
        package = importlib.import_module(name)
        assert sorted(package.__all__) == sorted(set(package.__all__)), f"{name}: __all__ repeats a name"
        # Constants, then classes, then functions, each in order: as ruff's RUF022 sorts.
        order = sorted(package.__all__, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
        assert package.__all__ == order, f"{name}: __all__ is not sorted"
        assert all(hasattr(package, exported) for exported in package.__all__)
        checked += 1
    assert checked >= 3


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_opens_with_a_purpose_and_stays_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    if text:
        assert ast.get_docstring(ast.parse(text)), "no module docstring"


def loaded_after(statement: str, *libraries: str) -> set[str]:
    """Which of `libraries` a fresh interpreter has loaded after `statement`."""
    code = f"{statement}; import sys; print(*({set(libraries)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    return set(done.stdout.split())


def test_help_imports_nothing_slow():
    assert loaded_after("import snnergy.cli", "torch", "h5py", "matplotlib", "nir", "numpy", "lightning") == set()


def test_what_a_lava_child_imports_brings_no_torch():
    if find_spec("lava") is None:
        pytest.skip("Lava is not installed; it runs on Python 3.10 only")
    modules = "import snnergy.neuromorphic.lava.child, snnergy.neuromorphic.lava.graph"
    assert loaded_after(modules, "torch", "lava") == {"lava"}
