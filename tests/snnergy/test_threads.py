"""Threads give their core away while they wait, unless the user has other wishes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("entry_point", ["main", "export_nir_main"])
def test_the_programs_set_it(entry_point):
    program = f"import os; from snnergy import cli; cli.{entry_point}(); print(os.environ['GOMP_SPINCOUNT'])"
    unset = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    command = [sys.executable, "-c", program, "--help"]
    said = subprocess.run(command, env=unset, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "10000"


def test_torch_which_reads_it_once_is_not_there_yet():
    program = "import snnergy.cli, sys; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found == "False\n"
