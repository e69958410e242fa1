"""A file of results that grows row by row: what it was measured with, and the rows, always whole on disk."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joblib import cpu_count

from snnergy.artefacts.files import git_revision, versions, written_whole


def read_rows(path: Path, table: str = "rows") -> list[dict[str, Any]]:
    """The rows of an earlier run, or another list that it wrote; none where there was none."""
    return json.loads(path.read_text())[table] if path.is_file() else []


def write_rows(path: Path, module: str, rows: Sequence[dict[str, Any]], **more: Any) -> None:
    """Replace the file: command, machine, versions and revision of this run, `more`, then the rows."""
    machine = f"{platform.machine()}, {cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    result = {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "machine": machine,
        "versions": versions(),
        "git_revision": git_revision(),
        **more,
        "rows": list(rows),
    }
    with written_whole(path, force=True) as scratch:
        scratch.write_text(json.dumps(result, indent=1) + "\n")
