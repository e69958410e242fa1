"""A user's own modules are the user's, whatever they are called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys

import energy
import training

import snnergy
import snnergy.neuromorphic.lowering.lower
import snnergy.training.model.network
from snnergy.energy import TECHNOLOGIES

assert energy.MINE and training.MINE
assert "45nm-fp32" in TECHNOLOGIES
assert sys.modules.keys().isdisjoint({"artefacts", "export", "neuromorphic"})
print(energy.__file__, training.__file__, sep="\\n")
"""


def test_a_script_beside_modules_named_like_our_folders_gets_its_own(tmp_path):
    (tmp_path / "energy.py").write_text("MINE = True\n")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("MINE = True\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "energy.py"), str(tmp_path / "training" / "__init__.py")]
