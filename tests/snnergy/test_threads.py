"""Threads give their core away while they wait, unless the user has other wishes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from snnergy import cli
from snnergy.threads import wait_briefly


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"GOMP_SPINCOUNT": "10000"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_what_the_user_has_set_stays(before, after):
    wait_briefly(before)
    assert before == after


@pytest.mark.parametrize("entry_point", [cli.main, cli.export_nir_main])
def test_the_programs_set_it(monkeypatch, entry_point):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["snnergy", "--help"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    assert entry_point() == 0
    assert os.environ["GOMP_SPINCOUNT"] == "10000"


def test_torch_which_reads_it_once_is_not_there_yet():
    program = "import snnergy.cli, sys; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found == "False\n"
