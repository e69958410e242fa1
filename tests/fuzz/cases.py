"""Case number N of a seed: which files, mutated how, and the command that they are handed to."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import hdf5, npz, raw_bytes, texts
from tests.fuzz.canary import Canary

# Of each 64 cases in a row, so many are of a format: what needs torch and Lightning takes a second, all else a tenth.
SHARES = {"nir": 16, "net": 15, "samples": 14, "activity": 13, "checkpoint": 3, "config": 2, "resume": 1}
_TURNS = tuple(name for name, share in SHARES.items() for _ in range(share))
FORMATS = tuple(SHARES)
# What a process has imported decides how long a fork of it takes: formats whose commands import training stand apart.
EXPERIMENTS, NETWORKS = ("checkpoint", "config", "resume"), ("nir", "net", "samples", "activity")
FAMILIES = (EXPERIMENTS, NETWORKS)


@dataclass(frozen=True)
class Case:
    """file: the mutated one, relative to the folder. outputs: paths in the folder that a success may write."""

    format: str
    file: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    done: tuple[str, ...]


def format_of(number: int) -> str:
    """The format of a case."""
    return _TURNS[number * 37 % len(_TURNS)]  # 37 is coprime to 64: formats alternate


def make(seed: int, number: int, corpus: Path, folder: Path, canary: Canary) -> Case:
    """Write the files of a case into `folder`, which is empty."""
    rng = random.Random(f"{seed}/{number}")
    name = format_of(number)
    return _MAKERS[name](rng, corpus, folder, canary)


def _choose(rng: random.Random, folder: Path, *patterns: str) -> Path:
    return rng.choice(sorted(path for pattern in patterns for path in folder.glob(pattern)))


def _times(rng: random.Random) -> int:
    return rng.choice((1, 1, 1, 1, 2, 2, 3, 6))


def _bytes(rng: random.Random, path: Path, other: Path, times: int) -> tuple[str, ...]:
    content, more = path.read_bytes(), other.read_bytes()
    for _ in range(times):
        content = raw_bytes.mutate(rng, content, more)
    path.write_bytes(content)
    return ("bytes",) * times


def _hdf5(rng: random.Random, base: Path, path: Path, canary: Canary) -> tuple[str, ...]:
    """A copy of `base` at `path`, mutated in structure, in bytes or in both."""
    shutil.copy(base, path)
    other = _choose(rng, base.parents[1], "nir/*.nir", "net/*.net", "activity/*.h5")
    done: tuple[str, ...] = ()
    kind = rng.random()
    if kind < 0.88:
        done = tuple(hdf5.mutate(rng, path, other, canary, _times(rng)))
    if kind > 0.8:
        done += _bytes(rng, path, other, _times(rng))
    return done


# How a graph may be read, each of two of them as often as not at all, and what may be put in place of what.
_READING = (
    [], [], [], [], ["--reset", "soft"], ["--reset", "hard"], ["--spikes", "many"], ["--input-kind", "graded"],
    ["--input-kind", "in=spikes"], ["--input-kind", "analog"], ["--dt", "2"], ["--dt", "1e-3"],
    ["--reset", "late-soft"], ["--reset", "late-hard"], ["--integration", "exponential"], ["--gain", "one"],
    ["--reset", "out=late-hard"], ["--gain", "lif=one"],
)  # fmt: skip
_CHIP = ([], [], [], ["--chip", "loihi1"], ["--chip", "loihi1", "--allow-approximate"], ["--readout", "out"])


def _nir(rng: random.Random, corpus: Path, folder: Path, canary: Canary) -> Case:
    base = _choose(rng, corpus / "nir", *(["*.nir"] if rng.random() < 0.1 else ["[!t]*.nir"]))
    done = _hdf5(rng, base, folder / "case.nir", canary)
    options = [*rng.choice(_READING), *rng.choice(_READING)]
    if rng.random() < 0.1:
        return Case("nir", "case.nir", ("inspect", "case.nir", *options, *rng.choice(([], ["--json"]))), (), done)
    arguments = ["compile", "case.nir", "-o", "out.net", *options, *rng.choice(_CHIP)]
    if rng.random() < 0.5:
        shutil.copy(base.with_suffix(".npz"), folder / "given.npz")
        arguments += ["--calibration", "given.npz"]
        reference = base.parent / f"reference/{base.stem}.npz"
        if reference.is_file() and rng.random() < 0.4:
            shutil.copy(reference, folder / "reference.npz")
            arguments += ["--reference", "reference.npz"]
    return Case("nir", "case.nir", tuple(arguments), ("out.net", "out.fidelity.json"), done)


def _net(rng: random.Random, corpus: Path, folder: Path, canary: Canary) -> Case:
    base = _choose(rng, corpus / "net", "*.net")
    done = _hdf5(rng, base, folder / "case.net", canary)
    shutil.copy(base.with_suffix(".npz"), folder / "given.npz")
    arguments = ["simulate", "case.net", "--input", "given.npz", "-o", "out.h5"]
    arguments += rng.choice(
        ([], [], ["--record", "counts"], ["--record-state"], ["--num-layers", "2"], ["--json"], ["--readout", "out"])
    )
    return Case("net", "case.net", tuple(arguments), ("out.h5",), done)


def _samples(rng: random.Random, corpus: Path, folder: Path, canary: Canary) -> Case:
    base = _choose(rng, corpus, "net/*.npz", "net/*.npy", "nir/[!t]*.npz", "nir/reference/*.npz")
    file = f"case{base.suffix}"
    path = folder / file
    shutil.copy(base, path)
    if rng.random() < 0.88:
        done = tuple(npz.mutate(rng, path, canary, _times(rng)))
    else:
        done = _bytes(rng, path, _choose(rng, corpus, "*/*.np*"), _times(rng))
    if base.parent.name == "reference":
        for given in (base.parents[1] / f"{base.stem}.npz", base.parents[1] / f"{base.stem}.nir"):
            shutil.copy(given, folder / f"given{given.suffix}")
        arguments = ["compile", "given.nir", "--calibration", "given.npz", "--reference", file, "-o", "out.net"]
        return Case("samples", file, tuple(arguments), ("out.net", "out.fidelity.json"), done)
    if base.parent.name == "nir":
        shutil.copy(base.with_suffix(".nir"), folder / "given.nir")
        arguments = ["compile", "given.nir", "--calibration", file, "-o", "out.net"]
        return Case("samples", file, tuple(arguments), ("out.net", "out.fidelity.json"), done)
    shutil.copy(base.with_suffix(".net"), folder / "given.net")
    arguments = ["simulate", "given.net", "--input", file, "-o", "out.h5"]
    arguments += rng.choice(([], [], ["--record", "counts"], ["--time-last"], ["--count", "1"]))
    return Case("samples", file, tuple(arguments), ("out.h5",), done)


def _activity(rng: random.Random, corpus: Path, folder: Path, canary: Canary) -> Case:
    done = _hdf5(rng, _choose(rng, corpus / "activity", "*.h5"), folder / "case.h5", canary)
    arguments = ["energy", "case.h5", "-o", "report", *rng.choice(([], ["--json"], ["--technology", "45nm-int8"]))]
    return Case("activity", "case.h5", tuple(arguments), ("report",), done)


def _checkpoint(rng: random.Random, corpus: Path, folder: Path, canary: Canary) -> Case:
    from tests.fuzz import checkpoints  # here, because it brings torch

    base = _choose(rng, corpus / "checkpoint", "*.pt")
    path = folder / "case.pt"
    shutil.copy(base, path)
    if rng.random() < 0.85:
        done = tuple(checkpoints.mutate(rng, path, canary, _times(rng)))
    else:
        done = _bytes(rng, path, base, _times(rng))
    if rng.random() < 0.7:
        return Case(
            "checkpoint", "case.pt", ("export", "case.pt", "-o", "out.nir", "--samples", "1"), ("out.nir",), done
        )
    return Case("checkpoint", "case.pt", ("samples", "case.pt", "--count", "2", "-o", "out.npz"), ("out.npz",), done)


def _config(rng: random.Random, corpus: Path, folder: Path, canary: Canary) -> Case:
    shutil.copy(_choose(rng, corpus / "config", "*.yaml"), folder / "case.yaml")
    if rng.random() < 0.92:
        done = tuple(texts.mutate(rng, folder / "case.yaml", canary, _times(rng)))
    else:
        done = _bytes(rng, folder / "case.yaml", corpus / "config/tiny.yaml", _times(rng))
    if rng.random() < 0.4:
        return Case(
            "config", "case.yaml", ("samples", "case.yaml", "--count", "2", "-o", "out.npz"), ("out.npz",), done
        )
    # What can be said before training is said before the output is looked at, which is refused.
    (folder / "file").write_text("in the way of a folder")
    changes = rng.choice(([], [], ["train.epochs=1"], ["model.blank=video"]))
    return Case("config", "case.yaml", ("train", "case.yaml", *changes, "-o", "file"), (), done)


def _resume(rng: random.Random, corpus: Path, folder: Path, canary: Canary) -> Case:
    from tests.fuzz import checkpoints  # here, because it brings torch

    shutil.copytree(corpus / "resume", folder, dirs_exist_ok=True)
    file = rng.choice(("tiny/resume/last.ckpt",) * 5 + ("tiny/resume/best.ckpt", "tiny/config.yaml"))
    path = folder / file
    if path.suffix == ".yaml":
        done = tuple(texts.mutate(rng, path, canary, 1))
    elif rng.random() < 0.85:
        done = tuple(checkpoints.mutate(rng, path, canary, _times(rng)))
    else:
        done = _bytes(rng, path, path, _times(rng))
    return Case("resume", file, ("train", "tiny.yaml", "-o", "."), ("tiny",), done)


_MAKERS: dict[str, Callable[[random.Random, Path, Path, Canary], Case]] = {
    "nir": _nir, "net": _net, "samples": _samples, "activity": _activity, "checkpoint": _checkpoint, "config": _config,
    "resume": _resume,
}  # fmt: skip
