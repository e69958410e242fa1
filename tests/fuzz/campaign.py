"""Runs cases one after the other, keeps those with faults, and adds up; a killed campaign goes on where it was.

WORK/corpus/               sound files
     progress-SEED.jsonl   a line for each case: number, format, exit code, faults
     failures/SIGNATURE/   the first files of each kind of fault, each with its command and what it printed

Mutations are structural, and not guided by coverage: what decides is Python below h5py, zipfile and torch, whose own
lines a guide does not see, and tracing ours makes a case ten times as slow, while a structural mutation reaches a line
behind the format's checks every time.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.fuzz import cases
from tests.fuzz.canary import Canary, Watch
from tests.fuzz.child import Place, Ran, execute
from tests.fuzz.judge import CATEGORIES, Fault, contents, judge

_KEPT = 3  # files of each kind of fault

Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """One case, run and judged."""

    case: cases.Case
    ran: Ran
    faults: tuple[Fault, ...]


class Bench:
    """A place to run cases in, with a canary beside it; all below `folder`, which is replaced."""

    def __init__(self, folder: Path, corpus: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.corpus = folder.resolve(), corpus
        self.canary = Canary(self.folder / "canary")
        self.canary.lay()
        self._watch = Watch(self.canary.folder)

    def run(self, seed: int, number: int) -> Verdict:
        """Make a case, run its command, judge it; its files lie in `self.place` until the next one."""
        from snnergy.cli import run

        place = self.place
        for folder in (place.folder, place.scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        case = self._make(seed, number)
        before = contents(place)
        self._watch.events()
        ran = execute(lambda: run(case.arguments), place)
        touched = self._watch.events()
        self.canary.marker.unlink(missing_ok=True)
        faults = judge(ran, place, before, case.outputs, touched, " ".join(case.arguments[:1]))
        return Verdict(case, ran, tuple(faults))

    @property
    def place(self) -> Place:
        """Where the command runs."""
        return Place(self.folder / "case", self.folder / "scratch")

    def _make(self, seed: int, number: int) -> cases.Case:
        """In a child as well: what a mutation does to the libraries' state stays there."""
        note = self.folder / "case.json"
        pid = os.fork()
        if pid == 0:
            code = 1
            warnings.simplefilter("ignore")  # of numpy's and zipfile's writers, about what is done on purpose
            try:
                made = cases.make(seed, number, self.corpus, self.place.folder, self.canary)
                note.write_text(json.dumps(asdict(made)))
                code = 0
            finally:
                os._exit(code)
        if os.waitpid(pid, 0)[1]:
            raise AssertionError(f"case {number} of seed {seed} cannot be made")
        fields = json.loads(note.read_text())
        return cases.Case(**{key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()})


def warm(corpus: Path, folder: Path) -> None:
    """Import what the commands import, and let the caches fill, so that children inherit both."""
    from snnergy.artefacts.files import git_revision

    git_revision()
    for name, arguments in _SOUND.items():
        place = Place(folder / name, folder / "scratch")
        shutil.copytree(corpus, place.folder, dirs_exist_ok=True)
        modules = place.scratch / "modules"
        ran = execute(partial(_modules_of, arguments, modules), place)
        if ran.code:
            raise AssertionError(f"{' '.join(arguments)} on sound files: {ran.err.decode()} {ran.trace}")
        _import(modules.read_text().splitlines())
    shutil.rmtree(folder)
    gc.freeze()


_SOUND = {
    "compile": ("compile", "nir/maps.nir", "--calibration", "nir/maps.npz", "-o", "out.net"),
    "simulate": ("simulate", "net/maps.net", "--input", "net/maps.npz", "-o", "out.h5"),
    "energy": ("energy", "activity/maps.h5", "-o", "report"),
    "export": ("export", "checkpoint/tiny.pt", "--samples", "1", "-o", "out.nir"),
    "samples": ("samples", "config/tiny.yaml", "--count", "1", "-o", "out.npz"),
    "train": ("train", "resume/tiny.yaml", "-o", "resume"),
}


def _modules_of(arguments: Sequence[str], modules: Path) -> int:
    """Run a command, and list what it has imported."""
    from snnergy.cli import run

    code = run(arguments)
    modules.write_text("\n".join(sys.modules))
    return code


def _import(names: Iterable[str]) -> None:
    import importlib
    from contextlib import suppress

    for name in names:
        if not name.startswith(("__", "tests.")):
            with suppress(Exception):
                importlib.import_module(name)


def few_digits() -> None:
    """A sixth of the handwritten digits: what is learned does not matter here."""
    from types import SimpleNamespace

    from snnergy.training.data import digits

    whole = digits.load_digits()
    digits.load_digits = lambda: SimpleNamespace(target=whole.target[:300], images=whole.images[:300])


def work(folder: Path, corpus: Path, seed: int, numbers: Iterable[int], *, name: str = "0") -> None:
    """Run the cases that no earlier line of the progress file is about, and append theirs."""
    done = {row["number"] for row in read_progress(folder, seed)}
    bench = Bench(folder / f"bench-{name}", corpus)
    with (folder / f"progress-{seed}-{name}.jsonl").open("a") as progress:
        for number in numbers:
            if number in done:
                continue
            verdict = bench.run(seed, number)
            row = {
                "number": number, "format": verdict.case.format, "code": verdict.ran.code,
                "cpu_s": round(verdict.ran.seconds, 2),
                "memory_mib": verdict.ran.memory >> 20, "faults": [asdict(fault) for fault in verdict.faults],
            }  # fmt: skip
            for fault in verdict.faults:
                _keep(folder / "failures", bench.place.folder, seed, number, verdict, fault)
            progress.write(json.dumps(row) + "\n")
            progress.flush()
    shutil.rmtree(bench.folder)


def _keep(failures: Path, files: Path, seed: int, number: int, verdict: Verdict, fault: Fault) -> None:
    """Keep a case with a fault, unless there are enough of the kind."""
    label = re.sub(r"[^A-Za-z0-9]+", "-", fault.signature)[:60].strip("-")
    digest = hashlib.sha256(fault.signature.encode()).hexdigest()[:6]
    group = failures / f"{fault.category}-{label}-{digest}"
    if group.is_dir() and len(list(group.iterdir())) >= _KEPT:
        return
    target = group / f"{seed}-{number}"
    target.mkdir(parents=True, exist_ok=True)
    for file in files.iterdir():
        if file.is_file() and file.stat().st_size < 50 << 20:
            shutil.copy(file, target)
    (target / "outcome.txt").write_text(describe(seed, number, verdict), errors="backslashreplace")


def describe(seed: int, number: int, verdict: Verdict) -> str:
    """A case in words: how to run it again, what was done to its file, and what came of it."""
    case, ran = verdict.case, verdict.ran
    lines = [
        f"again:    python -m tests.fuzz --seed {seed} --case {number}",
        f"command:  snnergy {' '.join(case.arguments)}",
        f"mutated:  {case.file}: {', '.join(case.done)}", f"exit:     {ran.code}, signal {ran.signal}",
        f"took:     {ran.seconds:.2f} s of CPU, {ran.memory >> 20} MiB",
        *(f"FAULT:    {fault.category}: {fault.signature}" for fault in verdict.faults),
        *(f"note:     {objection}" for objection in ran.objections),
        "", ran.out.decode("utf-8", "replace")[:3000], ran.err.decode("utf-8", "replace")[:6000], ran.trace,
    ]  # fmt: skip
    return "\n".join(lines)


def read_progress(folder: Path, seed: int) -> list[Row]:
    """Every case of a seed that has been run; a line that a kill cut off is run again."""
    rows = {}
    for path in sorted(folder.glob(f"progress-{seed}-*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            rows[row["number"]] = row
    return [rows[number] for number in sorted(rows)]


def total(rows: Iterable[Row]) -> Row:
    """How many files, how many of them with a fault of each category, and how the commands ended."""
    rows = list(rows)
    with_fault = {
        category: sum(any(fault["category"] == category for fault in row["faults"]) for row in rows)
        for category in CATEGORIES
    }
    accepted = sum(row["code"] == 0 for row in rows)
    refused = sum(row["code"] == 2 for row in rows)
    most = {key: max((row[key] for row in rows), default=0) for key in ("cpu_s", "memory_mib")}
    return {"files": len(rows), "accepted": accepted, "refused": refused, **with_fault, **most}


def signatures(rows: Iterable[Row]) -> dict[tuple[str, str], list[int]]:
    """Every kind of fault, and the cases that have it, the commonest first."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        for fault in row["faults"]:
            found.setdefault((fault["category"], fault["signature"]), []).append(row["number"])
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
