"""What the pages claim: that files exist, that commands have the options shown, that the ten lines run."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from snnergy.cli import app

ROOT = Path(__file__).parents[2]
TEN_LINES = ROOT / "docs" / "tutorials" / "ten_lines.py"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def shown_commands(page: Path) -> list[str]:
    """Command lines of `snnergy` that a page shows, in code blocks or between backticks."""
    text = page.read_text()
    blocks = "\n".join(re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, flags=re.M | re.S))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    lines = re.findall(r"^!?(snnergy .*)$", blocks, flags=re.M) + re.findall(r"`(snnergy [^`]+)`", prose)
    return [line for line in lines if not re.search(r"[A-Z]{4}", line)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_have_the_options_that_pages_show(page):
    group = typer.main.get_group(app)
    wrong = []
    for line in shown_commands(page):
        words = shlex.split(line, comments=True)[1:]
        if words[0].startswith("-"):
            continue
        command = group.commands.get(words[0])
        if command is None:
            wrong.append(f"{line}: no such command")
            continue
        known = {"--help"} | {option for parameter in command.params for option in parameter.opts}
        wrong += [f"{line}: no option {word}" for word in words[1:] if word.startswith("-") and word not in known]
    assert wrong == []


def test_pages_show_commands():
    assert sum(len(shown_commands(page)) for page in PAGES) > 20


def test_the_readme_shows_the_script_of_ten_lines():
    docstring = ast.get_docstring(ast.parse(TEN_LINES.read_text()), clean=False)
    code = TEN_LINES.read_text().removeprefix(f'"""{docstring}"""\n\n')
    *_, body = code.partition("import snnergy as sn\n")
    assert len([line for line in body.splitlines() if line]) == 10
    assert f"```python\n{code}```\n" in (ROOT / "README.md").read_text()


def test_the_ten_lines_print_a_report(tmp_path):
    done = subprocess.run(
        [sys.executable, str(TEN_LINES)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "J" in done.stdout  # an energy, whatever its prefix
    assert list(tmp_path.iterdir()) == []


def test_every_decision_has_a_number_of_its_own():
    numbers = [page.name[:4] for page in sorted((ROOT / "docs" / "decisions").glob("0*.md"))]
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)]
