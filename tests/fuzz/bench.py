"""A place to run cases in, and a process that has imported what its commands import, so that children inherit it."""

from __future__ import annotations

import gc
import hashlib
import importlib
import io
import json
import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.fuzz import cases
from tests.fuzz.canary import Canary, Watch
from tests.fuzz.child import OURS, ROOT, Place, Ran, execute
from tests.fuzz.judge import Fault, contents, judge

# Sound files of the corpus through every command: what that imports, the process imports.
_SOUND = {
    "nir": ("compile", "nir/maps.nir", "--calibration", "nir/maps.npz", "-o", "out.net"),
    "net": ("simulate", "net/maps.net", "--input", "net/maps.npz", "-o", "out.h5"),
    "activity": ("energy", "activity/maps.h5", "-o", "report"),
    "checkpoint": ("export", "checkpoint/tiny.pt", "--samples", "1", "-o", "out.nir"),
    "config": ("samples", "config/tiny.yaml", "--count", "1", "-o", "out.npz"),
    "resume": ("train", "resume/tiny.yaml", "-o", "resume"),
}


# The slow ones once, before the children that import the rest for themselves.
_IMPORTS = {
    cases.EXPERIMENTS: (
        "snnergy.export.write", "snnergy.training.data.digits", "snnergy.training.loop.run", "tests.fuzz.corpus",
    ),
    cases.NETWORKS: ("snnergy.neuromorphic.lowering.compile", "snnergy.energy.report.plots"),
}  # fmt: skip
_MAKING_S = 60  # seconds that a case may be made for


@dataclass(frozen=True)
class Verdict:
    """One case, run and judged."""

    case: cases.Case
    ran: Ran
    faults: tuple[Fault, ...]


class Bench:
    """Runs cases below `folder`, which is replaced, with a canary beside them."""

    def __init__(self, folder: Path, corpus: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.corpus = folder.resolve(), corpus
        self.place = Place(self.folder / "case", self.folder / "scratch")
        self.canary = Canary(self.folder / "canary")
        self.canary.lay()
        self._watch = Watch(self.canary.folder)

    def make(self, seed: int, numbers: Sequence[int]) -> None:
        """Make cases to be run; in a child, so that what a mutation does to the libraries' state stays there.

        One that the libraries crash over or do not end is left out, and named on standard error.
        """
        with suppress(ChildProcessError):
            in_child(partial(self._make, seed, numbers))
            return
        for number in numbers:
            if not self.is_made(number):
                try:
                    in_child(partial(self._make, seed, [number]))
                except ChildProcessError:
                    print(f"case {number} of seed {seed} cannot be made", file=sys.stderr)

    def _make(self, seed: int, numbers: Sequence[int]) -> None:
        warnings.simplefilter("ignore")  # of numpy's and zipfile's writers, about what is done on purpose
        for number in numbers:
            signal.alarm(_MAKING_S)
            folder = self.folder / f"made-{number}"
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "case").mkdir(parents=True)
            case = cases.make(seed, number, self.corpus, folder / "case", self.canary)
            (folder / "case.json").write_text(json.dumps(asdict(case)))

    def is_made(self, number: int) -> bool:
        """Whether a case can be run."""
        return (self.folder / f"made-{number}/case.json").is_file()

    def run(self, number: int) -> Verdict:
        """Run and judge a case that has been made; its files lie in `place` until the next one."""
        from snnergy.cli import run

        made, place = self.folder / f"made-{number}", self.place
        for folder in (place.folder, place.scratch):
            shutil.rmtree(folder, ignore_errors=True)
        fields = json.loads((made / "case.json").read_text())
        case = cases.Case(**{key: _frozen(value) for key, value in fields.items()})
        (made / "case").rename(place.folder)
        place.scratch.mkdir()
        shutil.rmtree(made)
        before = contents(place)
        self._watch.events()
        ran = execute(partial(run, case.arguments), place)
        touched = self._watch.events()
        self.canary.marker.unlink(missing_ok=True)
        return Verdict(case, ran, tuple(judge(ran, place, before, case.outputs, touched, case.arguments[0])))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def warm(work: Path, formats: tuple[str, ...]) -> Path:
    """Import what the commands for files of these formats import, and let the caches fill; returns the corpus.

    The corpus is written if it is missing, or of other code; then everything found with that code goes as well.
    """
    from snnergy.artefacts.files import git_revision
    from snnergy.cli import program

    git_revision()
    program()
    for name in _IMPORTS[formats]:
        importlib.import_module(name)
    corpus, stamp, code = work / "corpus", work / "of", _digest()
    if not (stamp.is_file() and stamp.read_text() == code):
        shutil.rmtree(work, ignore_errors=True)
        in_child(partial(_write_corpus, corpus))
        stamp.write_text(code)
    if "resume" in formats:
        few_digits()
    folder = work / "warm"
    for name in formats:
        if name not in _SOUND:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(corpus, folder)
        modules = folder / "modules"
        in_child(partial(_note_modules, _SOUND[name], folder, modules))
        for module in modules.read_text().splitlines():
            if not module.startswith(("__", "tests.")):
                with suppress(Exception):
                    importlib.import_module(module)
    shutil.rmtree(folder)
    gc.freeze()
    return corpus


def _digest() -> str:
    """Of the code: what was found with other code is out of date."""
    digest = hashlib.sha256()
    paths = [path for source in (*OURS, "tests/fuzz") for path in (ROOT / source).rglob("*.py")]
    for path in sorted(path for path in paths if not path.name.startswith("test_")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _note_modules(arguments: Sequence[str], folder: Path, modules: Path) -> None:
    """Run a command in a folder, and list what it has imported."""
    from snnergy.cli import run

    os.chdir(folder)
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = run(arguments)
    if code:
        raise AssertionError(f"{' '.join(arguments)} on sound files ends with {code}: {said.getvalue()}")
    modules.write_text("\n".join(sys.modules))


def few_digits() -> None:
    """A sixth of the handwritten digits: what is learned does not matter here."""
    from types import SimpleNamespace

    from snnergy.training.data import digits

    whole = digits.load_digits()
    digits.load_digits = lambda: SimpleNamespace(target=whole.target[:300], images=whole.images[:300])


def _write_corpus(folder: Path) -> None:
    from tests.fuzz.corpus import write

    few_digits()
    write(folder)


def in_child(task: Callable[[], None]) -> None:
    """Do something in a forked child, and wait for it; what it imports or breaks stays there."""
    start(task)()


def start(task: Callable[[], None]) -> Callable[[], None]:
    """Begin something in a forked child; returns the function that waits for its end."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            task()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def wait() -> None:
        if os.waitpid(pid, 0)[1]:
            raise ChildProcessError("a child failed; what it printed is above")

    return wait
