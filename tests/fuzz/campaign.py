"""Runs cases one after the other, keeps those with faults, and adds up; a killed campaign goes on where it was,
unless the code has changed.

WORK/corpus/               sound files
     progress-SEED.jsonl   a line for each case: number, format, exit code, faults
     failures/SIGNATURE/   the first files of each kind of fault, each with its command and what it printed

Mutations are structural, and not guided by coverage: what decides is Python below h5py, zipfile and torch, whose own
lines a guide does not see, and tracing ours makes a case ten times as slow, while a structural mutation reaches a line
behind the format's checks every time.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tests.fuzz import cases
from tests.fuzz.bench import Bench, Verdict, start, warm
from tests.fuzz.judge import CATEGORIES, Fault

_KEPT = 3  # files of each kind of fault
_AHEAD = 32  # cases made at once

Row = dict[str, Any]


def run_cases(work: Path, seed: int, files: int, jobs: int, formats: tuple[str, ...]) -> None:
    """Run the cases of these formats that no line of the progress files is about, as so many processes."""
    corpus = warm(work, formats)
    done = {row["number"] for row in read_progress(work, seed)}
    left = [number for number in range(files) if number not in done and cases.format_of(number) in formats]
    waits = [start(partial(_share, work, corpus, seed, left[job::jobs], str(job))) for job in range(jobs)]
    for wait in waits:
        wait()


def _share(work: Path, corpus: Path, seed: int, numbers: Sequence[int], name: str) -> None:
    """Run these cases, as the worker of this name."""
    bench = Bench(work / f"bench-{name}", corpus)
    with (work / f"progress-{seed}-{name}.jsonl").open("a") as progress:
        for first in range(0, len(numbers), _AHEAD):
            batch = numbers[first : first + _AHEAD]
            bench.make(seed, batch)
            for number in filter(bench.is_made, batch):
                verdict = bench.run(number)
                progress.write(json.dumps(_row(number, verdict)) + "\n")
                progress.flush()
                for fault in verdict.faults:
                    _keep(work / "failures", bench.place.folder, seed, number, verdict, fault)
    shutil.rmtree(bench.folder)


def _row(number: int, verdict: Verdict) -> Row:
    return {
        "number": number,
        "format": verdict.case.format,
        "code": verdict.ran.code,
        "cpu_s": round(verdict.ran.seconds, 2),
        "memory_mib": verdict.ran.memory >> 20,
        "faults": [asdict(fault) for fault in verdict.faults],
    }


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
    unmet = sum(row["code"] == 3 for row in rows)
    return {"files": len(rows), "accepted": accepted, "refused": refused, "checks_unmet": unmet, **with_fault, **most}


def signatures(rows: Iterable[Row]) -> dict[tuple[str, str], list[int]]:
    """Every kind of fault, and the cases that have it, the commonest first."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        for fault in row["faults"]:
            found.setdefault((fault["category"], fault["signature"]), []).append(row["number"])
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
