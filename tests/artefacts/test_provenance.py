"""The revision in an artefact is that of our own checkout, and of no other repository around it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASK = "from snnergy.artefacts.files import git_revision; print(git_revision())"


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{role}_{field}": "someone" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    # No configuration but what is said here.
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | who | alone, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def committed(folder: Path) -> str:
    """Make `folder` a repository of all that it holds, and return its revision."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return git(folder, "rev-parse", "--short=12", "HEAD")


def copied(folder: Path) -> Path:
    """As much of the checkout as git_revision needs, its links kept, in a new folder."""
    shutil.copytree(ROOT / "artefacts", folder / "artefacts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / ".gitignore").write_text("__pycache__/\n")
    (folder / "snnergy").mkdir()
    (folder / "snnergy" / "__init__.py").touch()
    (folder / "snnergy" / "artefacts").symlink_to("../artefacts")
    return folder


def reported(path: Path, **environment: str) -> str:
    """What the package found on `path` says its revision is."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=path.parent,
        env=os.environ | {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def theirs(tmp_path):
    """A repository of somebody else's, with one file."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "thesis.tex").touch()
    committed(folder)
    return folder


def test_our_checkout_reports_its_revision_and_whether_it_is_changed(tmp_path):
    checkout = copied(tmp_path / "checkout")
    revision = committed(checkout)
    assert reported(checkout) == revision
    with (checkout / "artefacts" / "files.py").open("a") as file:
        file.write("# changed\n")
    assert reported(checkout) == f"{revision}-dirty"


def test_another_repository_around_an_installed_package_is_not_ours(theirs):
    packages = theirs / ".venv" / "lib" / "site-packages"
    shutil.copytree(ROOT / "artefacts", packages / "snnergy" / "artefacts")
    (packages / "snnergy" / "__init__.py").touch()
    assert reported(packages) == "unknown"
    git(theirs, "add", "-A", "-f")
    git(theirs, "commit", "-q", "-m", "even where they commit it")
    assert reported(packages) == "unknown"


def test_another_repository_around_a_copy_of_our_checkout_is_not_ours(theirs):
    vendored = copied(theirs / "vendored")
    assert reported(vendored) == "unknown"
    git(theirs, "add", "-A")
    git(theirs, "commit", "-q", "-m", "vendored")
    assert reported(vendored) == "unknown"


def test_a_repository_that_does_not_know_the_file_is_not_ours(tmp_path):
    checkout = copied(tmp_path / "checkout")
    (checkout / ".gitignore").write_text("artefacts\n")
    committed(checkout)
    assert reported(checkout) == "unknown"


def test_a_hook_of_another_repository_changes_nothing(tmp_path, theirs):
    checkout = copied(tmp_path / "checkout")
    revision = committed(checkout)
    assert reported(checkout, GIT_DIR=str(theirs / ".git"), GIT_WORK_TREE=str(theirs)) == revision


def test_no_repository_has_no_revision(tmp_path):
    assert reported(copied(tmp_path / "loose"), GIT_CEILING_DIRECTORIES=str(tmp_path)) == "unknown"
