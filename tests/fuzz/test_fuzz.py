"""Mutated files of every format through the commands: a few here, with the seed that never changes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fuzz import cases
from tests.fuzz.child import ROOT

FILES = 64


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch over files is Linux' inotify")


def test_formats_take_turns():
    formats = [cases.format_of(number) for number in range(64)]
    assert {name: formats.count(name) for name in cases.FORMATS} == cases.SHARES
    assert all(len(set(formats[start : start + 16])) >= 5 for start in range(0, 64, 16))


def test_whatever_is_wrong_with_a_file_ends_in_a_refusal(tmp_path):
    """In a process of its own, which has one thread and forks a child for each file."""
    output = tmp_path / "fuzz.json"
    command = [sys.executable, "-m", "tests.fuzz", f"--files={FILES}", f"--work={tmp_path}", f"--output={output}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(output.read_text())
    assert result["files"] == FILES and sum(result[end] for end in ("accepted", "refused", "checks_unmet")) == FILES
    assert result["accepted"] > FILES // 20, "hardly a mutation gets past the first check"
    assert [row["format"] for row in result["rows"] if row["files"]] == list(cases.FORMATS)
