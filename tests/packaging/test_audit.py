"""Advisories of dependencies that are known are named and explained, and those that are ignored are just these."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KNOWN = (ROOT / ".ci" / "audit-known.txt").read_text().split()


def test_what_the_audit_ignores_is_what_the_policy_explains():
    rows = re.findall(r"^\| (\S+-\d{4}-\S+) \|(.*)\|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert KNOWN and sorted(name for name, _ in rows) == sorted(KNOWN) == sorted(set(KNOWN))
    assert all(len([cell for cell in cells.split("|") if cell.strip()]) == 3 for _, cells in rows)


FAKE_UV = """#!/bin/sh
echo "$@" >> "$LOG"
case "$1" in tool) exit "$ANSWER" ;; esac
"""


@pytest.mark.parametrize(("answer", "code", "said"), [("0", 0, "audit: passed"), ("1", 1, "audit: failed: a package")])
def test_the_audit_asks_strictly_for_each_python_and_says_how_it_ended(tmp_path, answer, code, said):
    uv, log = tmp_path / "uv", tmp_path / "log"
    uv.write_text(FAKE_UV)
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "UV": str(uv), "LOG": str(log), "ANSWER": answer}
    done = subprocess.run([ROOT / ".ci" / "audit"], env=environment, capture_output=True, text=True)
    assert done.returncode == code and said in done.stdout + done.stderr
    export, *audits = log.read_text().splitlines()
    assert export.startswith("export --quiet --locked --all-groups --all-extras")
    assert len(audits) == 2 and "--python 3.10" in audits[0] and "--python 3.12" in audits[1]
    assert all("--strict" in line for line in audits)
    assert all(line.count("--ignore-vuln") == len(KNOWN) for line in audits)
