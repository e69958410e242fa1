"""What the archives hold: the folders under `snnergy/` as files, and nothing beside it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKED = ("artefacts", "configs", "energy", "export", "finetuning", "neuromorphic", "training")


def build(source: Path, target: str, folder: Path) -> Path:
    """Build one archive of the project in `source`, without an index."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120, check=True)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build(ROOT, "wheel", tmp_path_factory.mktemp("wheel")))


def files_of_the_package() -> set[str]:
    """Names of the files that the package reads as, those behind its links included."""
    folders = [ROOT / "snnergy", *(ROOT / "snnergy" / name for name in LINKED)]
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def test_a_wheel_holds_every_file_under_one_name(wheel):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == files_of_the_package()
    assert "snnergy/py.typed" in held
    assert {"snnergy/configs/digits.yaml", "snnergy/energy/report/templates/page.html"} <= held


def test_a_wheel_holds_files_where_the_checkout_has_links(wheel):
    held = wheel.read("snnergy/energy/__init__.py")
    assert held == (ROOT / "energy" / "__init__.py").read_bytes()
    symbolic_link = 0o120000
    assert [entry.filename for entry in wheel.infolist() if entry.external_attr >> 16 & 0o170000 == symbolic_link] == []


def test_a_source_archive_builds_the_same_wheel(wheel, tmp_path):
    with tarfile.open(build(ROOT, "sdist", tmp_path / "sdist")) as archive:
        assert [member.name for member in archive if member.issym() or member.islnk()] == []
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    again = zipfile.ZipFile(build(source, "wheel", tmp_path / "wheel"))
    assert again.namelist() == wheel.namelist()
    for name in wheel.namelist():
        if name.startswith("snnergy/"):
            assert again.read(name) == wheel.read(name), name


def test_a_source_archive_says_what_changed_and_how_to_cite(tmp_path):
    with tarfile.open(build(ROOT, "sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "training/"))]


def test_the_metadata_names_authors_licence_and_extras(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = wheel.read(name).decode()
    for line in (
        "Author: The SNNergy authors",
        "License-Expression: BSD-3-Clause",
        "Project-URL: Paper, https://arxiv.org/abs/2602.00701",
        "Provides-Extra: all",
        "Provides-Extra: lava",
        "Provides-Extra: notebook",
        "Provides-Extra: train",
    ):
        assert f"\n{line}\n" in metadata, line
