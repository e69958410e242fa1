"""Accuracy in float, rounded and fine-tuned for the rounding, from the rows of `benchmarks.finetune`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from benchmarks.tables_page.cells import Figure, Row, cell, markdown

_FLOAT, _ROUNDED, _TUNED = "accuracy_float", "accuracy_rounded", "accuracy_finetuned"


def _accuracy(of: str) -> Figure:
    return lambda row: 100 * float(row[of])


def _lost(of: str) -> Figure:
    return lambda row: 100 * float(row[_FLOAT] - row[of])


def section(rows: Sequence[Row]) -> list[str]:
    """A row for each experiment, modality and width."""
    kinds: dict[tuple[str, str, int], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["experiment"], row["modality"], -row["bits"])):
        kinds.setdefault((row["experiment"], row["modality"], row["bits"]), []).append(row)
    figures = [*map(_accuracy, (_FLOAT, _ROUNDED, _TUNED)), *map(_lost, (_ROUNDED, _TUNED))]
    body = [
        [experiment, modality, str(bits), *(cell(of, figure, 1) for figure in figures)]
        for (experiment, modality, bits), of in kinds.items()
    ]
    head = ["", "sees", "bits", "float", "rounded", "fine-tuned", "lost by rounding", "lost after fine-tuning"]
    return [
        "## Fine-tuning for fewer bits",
        "Test accuracy in percent of trained networks in float, and in the emulator's integers with weights of as many "
        "bits: rounded as they are, and fine-tuned for the rounding (`benchmarks/finetune.py`). Points lost are those "
        "of float, seed by seed.",
        markdown(head, body),
        "\n".join(_sentences(kinds)),
    ]


def _sentences(kinds: dict[tuple[str, str, int], list[Row]]) -> Iterator[str]:
    """What rounding costs before and after fine-tuning, by width: the mean of the rows of the table."""
    for bits in sorted({bits for _, _, bits in kinds}, reverse=True):
        of = [rows for (_, _, width), rows in kinds.items() if width == bits]
        rounded, tuned = (fmean(fmean(map(_lost(figure), rows)) for rows in of) for figure in (_ROUNDED, _TUNED))
        yield f"- {bits} bits: rounding costs {rounded:.1f} points on average, {tuned:.1f} after fine-tuning."
