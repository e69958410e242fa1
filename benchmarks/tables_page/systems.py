"""Table 1: every system of the comparison beside SNNergy, from the rows of `benchmarks.table1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product, takewhile
from statistics import fmean
from typing import Any

from benchmarks.tables_page import published, sizes
from benchmarks.tables_page.cells import ABSENT, Row, cell, listed, markdown, percent
from benchmarks.tables_page.margins import DEVIATIONS, Margin, margin, written
from snnergy.training.config.experiment import load_config, to_dict
from snnergy.training.config.packaged import packaged_experiments

TASKS = {
    "grid": "GRID -12 dB",
    "correspondence": "digits, correspondence",
    "binding": "digits, binding",
    "digits": "digits",
}
OURS = ("snnergy", "snnergy-ssa", "snnergy-paper")
PUBLISHED_AS = "snnergy-paper"  # the one whose equations are those of the publication
_FOLDER = "table1/"
_NOT_SPIKING = {"joint", "ogm_ge", "pmr"}
GROUPS = ("one modality", "spiking", "not spiking", "ours")
_COSTS: dict[str, tuple[str, float, int]] = {
    "parameters": ("parameters", 1, 0),
    "dense MACs, M": ("dense_macs", 1e6, 1),
    "driven AC, M": ("accumulates", 1e6, 2),
    "driven MAC, M": ("multiply_accumulates", 1e6, 2),
    "energy, µJ": ("energy_pj", 1e6, 2),
    "ms": ("milliseconds", 1, 1),
    "peak memory, MiB": ("peak_memory_bytes", 2**20, 1),
}


def group(model: Mapping[str, Any]) -> str:
    """Which part of the table a system stands in, by its section of an experiment."""
    if model.get("system", "snnergy") == "snnergy":
        return "ours"
    if "modality" in model:
        return "one modality"
    return "not spiking" if model["system"] in _NOT_SPIKING else "spiking"


@cache
def grouped() -> dict[str, list[str]]:
    """Group → its systems: all packaged experiments of the table, and ours."""
    found: dict[str, list[str]] = {name: [] for name in GROUPS}
    for name in packaged_experiments():
        if name.startswith(_FOLDER):
            found[group(to_dict(load_config(name))["model"])].append(name.removeprefix(_FOLDER))
    found["ours"] = [*OURS]
    return found


def of(rows: Sequence[Row], system: str, task: str) -> list[Row]:
    """The seeds of a system on a task."""
    return [row for row in rows if (row["system"], row["task"]) == (system, task)]


def section(rows: Sequence[Row], tuning: Sequence[Row]) -> list[str]:
    """The table, where ours stand in it, and sizes."""
    tasks = present(rows)
    epochs = {task: sorted({row["config"]["train"]["epochs"] for row in rows if row["task"] == task}) for task in tasks}
    return [
        "## Table 1: the systems of the comparison",
        "All systems see the same images, are trained by the same loop, keep the epoch that is best on validation and "
        "are tested once ([what was chosen where sources are silent](decisions/0021-comparison-systems.md)). "
        f"Epochs: {', '.join(f'{_list(epochs[task])} ({TASKS[task]})' for task in tasks)}. Costs are those on "
        f"{TASKS[tasks[0]]}, of one sample: operations of all products, `dense` ones, and `driven` ones by what is "
        "not 0, in the mean (`benchmarks/operations.py`); energy of the driven ones at 45 nm fp32 prices; time of a "
        "forward pass on one thread. Memory is the most that a training step of a batch holds: weights, gradients, "
        "moments and all that the backward pass needs. The publication's columns are its own table 1, at 128 × 128 "
        "pixels on other data.",
        table(rows),
        _tuning(rows, tuning),
        "### Where SNNergy stands",
        "\n".join(f"- {line}" for task in tasks for line in standing(rows, task)),
        "### What was shrunk",
        "Beside the publication's 100 epochs, as `configs/table1/` says at the top of each file, which is for GRID; on "
        "the other tasks, images and training are those of the task's file:",
        "\n".join(f"- {what}: {listed(names)}" for what, names in [*shrunk().items(), *_own_sizes(rows).items()]),
        *sizes.section(),
    ]


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def present(rows: Sequence[Row]) -> list[str]:
    """Tasks that anything was run on."""
    return [task for task in TASKS if any(row["task"] == task for row in rows)]


def table(rows: Sequence[Row]) -> str:
    """A row for every system, in groups."""
    tasks = present(rows)
    head = ["", *(f"{TASKS[task]}, %" for task in tasks), *_COSTS, "learning rate"]
    head += [f"paper, {data}" for data in published.DATA_SETS]
    body: list[list[str]] = []
    for name, systems in grouped().items():
        body.append([f"**{name}**", *[""] * (len(head) - 1)])
        for system in systems:
            accuracies = [cell(of(rows, system, task), percent, 1) for task in tasks]
            costs = [_cost(of(rows, system, tasks[0]), *how) for how in _COSTS.values()]
            stated = published.SYSTEMS.get(system, (None,) * 3)
            body.append(
                [f"`{system}`", *accuracies, *costs, _rates(rows, system, tasks)]
                + [ABSENT if each is None else f"{each:.2f}" for each in stated]
            )
    return markdown(head, body)


def _cost(rows: Sequence[Row], key: str, unit: float, digits: int) -> str:
    """Mean over the seeds that have it."""
    having = [row[key] / unit for row in rows if row[key] is not None]
    return f"{sum(having) / len(having):,.{digits}f}" if having else ABSENT


def _rates(rows: Sequence[Row], system: str, tasks: Sequence[str]) -> str:
    """That was chosen, task by task, or once where it is the same in all."""
    found = [
        _list([f"{rate:g}" for rate in sorted({row["learning_rate"] for row in of(rows, system, task)})]) or ABSENT
        for task in tasks
    ]
    return found[0] if len(set(found)) == 1 else " / ".join(found)


def _tuning(rows: Sequence[Row], tuning: Sequence[Row]) -> str:
    """What was tried, and for which systems the best rate is the smallest or largest of them."""
    tried = sorted({row["learning_rate"] for row in tuning})
    if not tried:
        return "Learning rates are those that the experiments state."
    edges = {tried[0], tried[-1]}
    chosen = {(row["system"], row["task"]): row["learning_rate"] for row in rows}
    edged = sum(rate in edges for rate in chosen.values())
    return (
        f"Learning rates tried for every system: {_list([f'{rate:g}' for rate in tried])}; chosen on validation, in "
        f"{edged} of {len(chosen)} cases the smallest or the largest of these."
    )


def standing(rows: Sequence[Row], task: str) -> Iterator[str]:
    """A sentence for each of ours: its place, the best of the others, and how many are apart from it."""
    against = others(rows, task)
    accuracy = {name: fmean(map(percent, theirs)) for name, theirs in against.items()}
    for name in OURS:
        own = of(rows, name, task)
        if own and against:
            apart = [margin(own, theirs) for theirs in against.values()]
            place = 1 + sum(each > fmean(map(percent, own)) for each in accuracy.values())
            best = max(accuracy, key=lambda other: accuracy[other])
            yield (
                f"{TASKS[task]}: `{name}` with {cell(own, percent, 1)} % has place {place} among itself and "
                f"{len(against)} others; over the best of these, `{best}` with {cell(against[best], percent, 1)} %, it "
                f"has {written(margin(own, against[best]))}. By more than {DEVIATIONS} deviations, {_beyond(apart, 1)} "
                f"are below it and {_beyond(apart, -1)} above."
            )


def others(rows: Sequence[Row], task: str) -> dict[str, list[Row]]:
    """The seeds of every system that is not ours and was run on the task."""
    names = dict.fromkeys(row["system"] for row in rows if row["task"] == task)
    return {name: of(rows, name, task) for name in names if name not in OURS}


def _beyond(apart: Sequence[Margin | None], sign: int) -> int:
    return sum(each is not None and sign * each.deviations > DEVIATIONS for each in apart)


def shrunk() -> dict[str, list[str]]:
    """What the comments at the top of the files say is smaller than published → the systems that it is said of."""
    found: dict[str, list[str]] = {}
    for name, path in packaged_experiments().items():
        if name.startswith(_FOLDER):
            comments = takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
            _, _, what = " ".join(line.lstrip("# ") for line in comments).partition("Shrunk: ")
            found.setdefault(what.rstrip("."), []).append(name.removeprefix(_FOLDER))
    return found


def _own_sizes(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Size of ours on each task, beside that of the publication → which of them."""
    found: dict[str, list[str]] = {}
    for task, name in product(present(rows), OURS):
        for row in of(rows, name, task)[:1]:
            model = row["config"]["model"]
            size = f"images 128 to {model['image_size']} pixels, base_dim 96 or 192 to {model['base_dim']}"
            found.setdefault(f"{TASKS[task]}, {size}", []).append(name)
    return found
