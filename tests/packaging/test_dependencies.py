"""What each part of the package imports is what its extra, or the core, declares, and nothing more."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Where the modules stand that an extra is for; everything else is the core.
EXTRAS = {"train": ("training/", "export/", "finetuning/", "snnergy/commands/train.py"),
          "lava": ("neuromorphic/lava/",), "dask": ("neuromorphic/simulation/cluster.py",)}  # fmt: skip
# Declared, but reached otherwise than by an import statement of ours.
NOT_IMPORTED = {
    "train": {"tensorboard"},  # Lightning's logger imports it
    "lava": {"lava-dl"},  # stock netx, for a user who compares files with it
}
# Package → distribution, where several distributions hold parts of the package or not every environment has it.
# pydantic pins its core, and documents an error of it for validators.
DISTRIBUTIONS = {"lava": "lava-nc", "pydantic_core": "pydantic", "sklearn": "scikit-learn", "yaml": "pyyaml"}


def declared(extra: str | None) -> set[str]:
    """Distributions that the core (None) or an extra asks for, whatever the version of Python."""
    found = set()
    for requirement in distribution("snnergy").requires or []:
        match = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if (match and match[1]) == extra:
            found.add(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
    return found


def part_of(path: Path) -> str | None:
    name = path.relative_to(ROOT).as_posix()
    return next((extra for extra, folders in EXTRAS.items() if name.startswith(folders)), None)


def imported(extra: str | None) -> set[str]:
    """Distributions whose packages the modules of one part import, lazily or not."""
    names: set[str] = set()
    for folder in ("artefacts", "energy", "export", "finetuning", "neuromorphic", "training", "snnergy"):
        for path in (ROOT / folder).rglob("*.py"):
            if part_of(path) != extra:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add((node.module or "").partition(".")[0])
    installed = packages_distributions()
    foreign = names - set(sys.stdlib_module_names) - {"snnergy"}
    return {DISTRIBUTIONS.get(name, installed.get(name, [name])[0].lower()) for name in foreign}


@pytest.mark.parametrize("extra", [None, "train", "lava", "dask"])
def test_a_part_declares_what_it_imports(extra):
    # What turns a report into a data frame asks for pandas when it is called.
    available = declared(None) | declared(extra) | declared("notebook")
    assert imported(extra) - available == set()


@pytest.mark.parametrize("extra", [None, "train", "lava", "dask"])
def test_nothing_is_declared_that_no_module_imports(extra):
    assert declared(extra) - imported(extra) - NOT_IMPORTED.get(extra, set()) == set()


def test_all_is_every_extra():
    assert declared("notebook") == {"pandas"}
    assert declared("all") == declared("train") | declared("lava") | declared("notebook") | declared("dask")
