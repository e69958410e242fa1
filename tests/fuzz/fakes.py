"""`python -m tests.fuzz.fakes FOLDER`: commands by name, as JSON, to the categories of the faults found in each.

In a process of its own, because a child of a test's process would inherit its threads, streams and filters. A command
is the body of a function that returns an exit code, such as that of `no()`, a refusal; it may write the file `out`.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.fuzz.canary import Canary, Watch
from tests.fuzz.child import Place, execute
from tests.fuzz.judge import contents, judge


def refuse() -> int:
    """Say one line, as every refusal does."""
    print("snnergy: refused", file=sys.stderr)
    return 2


def categories(folder: Path, code: str) -> list[str]:
    """Of the faults of one command."""
    canary = Canary(folder / "canary")
    canary.lay()
    watch = Watch(canary.folder)
    place = Place(folder / "case", folder / "scratch")
    (place.folder / "given").write_text("given")
    names: dict[str, Any] = {"canary": canary, "os": os, "sys": sys, "no": refuse}
    exec(f"def body():\n{textwrap.indent(code, '    ')}", names)
    before = contents(place)
    ran = execute(names["body"], place, cpu_s=1)
    return sorted({fault.category for fault in judge(ran, place, before, ["out"], watch.events(), "fake")})


if __name__ == "__main__":
    commands = json.load(sys.stdin)
    work = Path(sys.argv[1])
    print(json.dumps({name: categories(work / str(index), commands[name]) for index, name in enumerate(commands)}))
