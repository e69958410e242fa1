"""Holds what a command did against the promise: one refusal of a few lines, in bounds, and nothing else touched.

internal_errors  the command ended with code 1, by a signal or a traceback: an error that nobody foresaw
code_run         code of the file ran, or a process was started
foreign_files    a file that was not given was read or written
over_budget      more than 2 GiB of memory or 15 s of CPU
leftovers        a refusal left something behind, a success something beside its output, or a file given was changed
unclear          messages of more than a dozen lines, of lines that are not ours, or with control characters
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import stat
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.canary import SECRET
from tests.fuzz.child import CPU_S, MEMORY, Place, Ran

CATEGORIES = ("internal_errors", "code_run", "foreign_files", "over_budget", "leftovers", "unclear")
_EXPECTED = (0, 2, 3)  # done, refused, a check did not hold
_LINES, _CHARACTERS = 12, 20_000
_HASHED = 64 << 20
_PROGRESS = re.compile(r"\w+ing .+: (\d+ of \d+, )?\d+ s")  # what a log gets of work that takes half a minute

Contents = Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """signature: by which faults of one cause are grouped."""

    category: str
    signature: str


def contents(place: Place) -> Contents:
    """Everything in the folders that a command may write in: relative path → what tells a change of it."""
    found = {}
    for root in (place.folder, place.scratch):
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                path = Path(folder, name)
                found[os.path.relpath(path, root.parent)] = _state(path)
    return found


def _state(path: Path) -> str:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return f"{status.st_mode:o}"
    if status.st_size > _HASHED:
        return f"{status.st_size}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def judge(
    ran: Ran, place: Place, before: Contents, outputs: Collection[str], touched: Collection[str], command: str
) -> list[Fault]:
    """Every fault of one run.

    Args:
        before: `contents` before it.
        outputs: paths in the folder that a success may write.
        touched: names of the canary's files that something happened to.
        command: by which faults without a traceback are grouped.
    """
    faults = [*_crashes(ran, command), *_budgets(ran, command), *_trespasses(ran, place, outputs, touched, command)]
    if ran.code == 2 or ran.code == 0:
        faults += _messages(ran, command)
    after = contents(place)
    allowed = [f"{place.folder.name}/{output}" for output in outputs] if ran.code == 0 else []
    new = [path for path in after.keys() - before.keys() if not _below(path, allowed)]
    changed = [path for path in before if after.get(path) != before[path] and not _below(path, allowed)]
    if new:
        faults.append(Fault("leftovers", f"{command} (exit {ran.code}) leaves {_general(min(new))}"))
    if changed:
        faults.append(Fault("leftovers", f"{command} (exit {ran.code}) changes {_general(min(changed))}"))
    return faults


def _below(path: str, roots: Collection[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _general(path: str) -> str:
    """A path without the random part of a hidden name."""
    return "/".join(part.rpartition(".")[0] + ".*" if part.startswith(".") else part for part in path.split("/"))


def _crashes(ran: Ran, command: str) -> list[Fault]:
    over_time = ran.signal in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL)
    if over_time or ran.error.startswith(("MemoryError", "_ArrayMemoryError")):
        return []
    if ran.signal:
        frame = next((line.strip() for line in ran.trace.splitlines() if "File" in line), "no Python frame")
        return [Fault("internal_errors", f"{command}: {signal.Signals(ran.signal).name} at {frame}")]
    if ran.error:
        return [Fault("internal_errors", f"{command}: {ran.error}")]
    if ran.code not in _EXPECTED or b"Traceback" in ran.err or b"internal error" in ran.err:
        last = ran.err.decode("utf-8", "replace").strip().splitlines()[-1:]
        return [Fault("internal_errors", f"{command}: exit {ran.code} {' '.join(last)[:80]}")]
    return []


def _budgets(ran: Ran, command: str) -> list[Fault]:
    if ran.error.startswith(("MemoryError", "_ArrayMemoryError")):
        return [Fault("over_budget", f"{command}: {ran.error}")]
    where = f"{command}: {_frame(ran.trace)}"
    if ran.seconds > CPU_S or ran.signal in (signal.SIGXCPU, signal.SIGKILL):
        return [Fault("over_budget", f"{where}: more than {CPU_S} s of CPU")]
    if ran.signal == signal.SIGALRM:
        return [Fault("over_budget", f"{where}: does not end")]
    if ran.memory > MEMORY:
        return [Fault("over_budget", f"{where}: more than 2 GiB")]
    return []


def _frame(trace: str) -> str:
    """Where a killed command was: the innermost frame of ours in what faulthandler wrote, innermost first."""
    for line in trace.splitlines():
        if line.strip().startswith("File") and "site-packages" not in line and "/lib/python" not in line:
            path, _, rest = line.strip().removeprefix('File "').partition('"')
            return f"{Path(path).name}{rest.rpartition(' in')[2]}"
    return "no Python frame"


def _trespasses(
    ran: Ran, place: Place, outputs: Collection[str], touched: Collection[str], command: str
) -> list[Fault]:
    faults = {
        Fault("code_run" if kind == "code" else "foreign_files", f"{command}: {objection[:100]}")
        for kind, _, objection in (objection.partition(": ") for objection in ran.objections)
    }
    if "code-ran" in touched:
        faults.add(Fault("code_run", f"{command}: a payload wrote its marker"))
    if foreign := sorted(set(touched) - {"code-ran"}):
        faults.add(Fault("foreign_files", f"{command}: touched the canary {', '.join(foreign)}"))
    written = [ran.out, ran.err]
    for output in outputs:
        path = place.folder / output
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and file.stat().st_size < _HASHED:
                written.append(file.read_bytes())
    if any(SECRET in text for text in written):
        faults.add(Fault("foreign_files", f"{command}: the canary's text is in what was written"))
    return sorted(faults, key=str)


def _messages(ran: Ran, command: str) -> list[Fault]:
    text = ran.err.decode("utf-8", "replace")
    lines = text.splitlines()
    faults = []
    if len(lines) > _LINES or len(text) > _CHARACTERS:
        faults.append(Fault("unclear", f"{command}: more than {_LINES} lines or {_CHARACTERS} characters"))
    strange = [line for line in lines if not line.startswith("snnergy") and not _PROGRESS.fullmatch(line)]
    if ran.code == 2 and strange:
        faults.append(Fault("unclear", f"{command}: a line that is not ours: {strange[0].strip()[:60]}"))
    if ran.code == 2 and not lines:
        faults.append(Fault("unclear", f"{command}: refused without a word"))
    shown = ran.out.decode("utf-8", "replace") + text
    if any(unicodedata.category(letter) == "Cc" and letter not in "\n\t" for letter in set(shown)):
        faults.append(Fault("unclear", f"{command}: control characters"))
    return faults
