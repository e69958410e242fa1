"""The report for machines: energy.json, energy.csv and firing_rates.csv.

Numbers are written in full (a float reads back to the same float); an unknown is null or an empty field, never 0.

Names are the activity file's and may be anything. In the CSV files a text that a spreadsheet would take for a formula
(it begins, after blanks, with = + - @, or with a tab or a carriage return), or that begins with an apostrophe, has an
apostrophe before it: whoever reads a text field drops the first character if that is an apostrophe. NUL, which
readers of CSV refuse, and halves of surrogate pairs stand as their escapes, `\\x00` and `\\udc80`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from snnergy.artefacts.files import git_revision, versions
from snnergy.energy.counterparts import Counterpart
from snnergy.energy.ledger import Place
from snnergy.energy.operations import KIND
from snnergy.energy.rates import column
from snnergy.energy.summary import ESTIMATES_ONLY, Part, Summary

FORMAT = "snnergy-energy"
VERSION = 1

_Key = TypeVar("_Key", bound=Hashable)

_FORMULA = tuple("=+-@＝＋－＠")  # the wide forms are taken for the narrow ones
_PLACE_COLUMNS = ("kind", "index", "name", "source", "target", "role", "stage", "block", "modality", "value_class")


def write_json(report: Summary, path: Path) -> None:
    """Write the whole report but the single entries of the ledger, which are in the CSV."""
    # Half a surrogate pair, which UTF-8 cannot hold, is written as the escape that JSON has for it.
    path.write_text(
        json.dumps(_document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8", "backslashreplace"
    )


def write_energy_csv(report: Summary, path: Path) -> None:
    """Write a row for each operation at each place. Counts are over all samples; energy is of the mean sample."""
    _write_csv(path, _energy_rows(report))


def write_rates_csv(report: Summary, path: Path) -> None:
    """Write a row for each node that sends values."""
    _write_csv(path, _rate_rows(report))


def headline(report: Summary) -> dict[str, Any]:
    """The figures to quote, picojoules of one inference; None where a price is not published."""
    return {
        "energy_snn_pj": report.energy_snn_pj,
        "energy_ann_pj": report.energy_ann_pj,
        "energy_quantized_ann_pj": report.energy_quantized_ann_pj,
        "ratio_ann": report.ratio_ann,
        "ratio_quantized_ann": report.ratio_quantized_ann,
        "spike_rate": report.spike_rate,
        "unpriced": report.unpriced,
    }


def _document(report: Summary) -> dict[str, Any]:
    run, total = report.activity, report.total
    return {
        "format": FORMAT,
        "version": VERSION,
        "disclaimer": ESTIMATES_ONLY,
        "unit": "pJ for one inference, the mean over samples, unless a name says otherwise",
        "activity": {
            "file": run.file_name,
            "model": run.model,
            "backend": run.backend,
            "samples": run.samples,
            "time_steps": run.time_steps,
            "static_input": report.ledger.static_input,
            "accuracy": report.accuracy,
        },
        "headline": headline(report),
        "snn": {
            **_part(total),
            "synaptic_pj": _if_priced(total, total.group_pj("synapse")),
            "neuron_pj": _if_priced(total, total.group_pj("neuron")),
            "zero_weights_skipped": _part(report.total_nonzero),
            "encoder_pj": report.encoder_pj,
            "encoder_one_step_pj": report.encoder_once_pj,
            "multiplying_edges": [place.name for place in report.multiplying_edges],
            "per_sample_pj": None if report.per_sample_pj is None else report.per_sample_pj.tolist(),
        },
        "ann": _counterpart(report.ann),
        "quantized_ann": _counterpart(report.quantized_ann),
        "break_even": [asdict(row) for row in report.break_even],
        "paper_formula": {
            **asdict(report.paper),
            "error_percent": report.paper.error_percent,
            "accumulates_error_percent": report.paper.accumulates_error_percent,
        },
        "by_node": _parts(report, lambda place: place.target, "node"),
        "by_stage": _parts(report, lambda place: place.stage, "stage"),
        "by_role": _parts(report, lambda place: place.role, "role"),
        "by_modality": _parts(report, lambda place: place.modality, "modality"),
        "firing_rates": list(_rate_rows(report)),
        "technology": {
            "name": report.technology.name,
            "title": report.technology.title,
            "prices": [asdict(price) for price in report.technology.prices],
            "charges": dict(report.technology.charges),
            "omitted": dict(report.technology.omitted),
        },
        "by_technology": {name: _part(part) for name, part in report.by_technology.items()},
        "warnings": report.warnings,
        "notes": report.notes,
        "provenance": {"recorded": run.provenance, "revision": git_revision(), "versions": versions()},
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "counts": dict(part.counts),
        "energy_pj": None if part.energy_pj is None else asdict(part.energy_pj),
        "by_operation_pj": dict(part.by_operation_pj),
        "unpriced": part.unpriced,
    }


def _parts(report: Summary, key: Callable[[Place], _Key], label: str) -> list[dict[str, Any]]:
    return [{label: value, **_part(part)} for value, part in report.parts(key).items()]


def _if_priced(part: Part, pj: float) -> float | None:
    return None if part.unpriced else pj


def _counterpart(network: Counterpart) -> dict[str, Any]:
    return {
        "title": network.title,
        "bits": network.bits,
        "macs_per_pass": network.macs_per_pass,
        "biases_per_pass": network.biases_per_pass,
        "activations_per_pass": network.activations_per_pass,
        "passes": network.passes,
        "prices": network.technology.name,
        "one_pass_pj": network.one_pass_pj,
        "energy_pj": network.energy_pj,
    }


def _energy_rows(report: Summary) -> Iterable[dict[str, Any]]:
    samples = report.ledger.samples
    for entry in report.ledger.entries:
        price = report.technology.price(entry.operation)
        total, nonzero = int(entry.all.sum()), int(entry.nonzero.sum())
        pj = None if price is None else price.pj
        yield {name: getattr(entry.place, name) for name in _PLACE_COLUMNS} | {
            "operation": entry.operation,
            "group": KIND[entry.operation].group,
            "count": total,
            "count_zero_weights_skipped": nonzero,
            "samples": samples,
            "charged_to": "" if price is None else price.term,
            "price_pj": pj,
            "energy_pj": None if pj is None else total / samples * pj,
        }


def _rate_rows(report: Summary) -> Iterable[dict[str, Any]]:
    for row in report.rates:
        low, high = row.rate.ci95 or (None, None)
        node, labels = row.node, row.node.labels
        yield {
            "name": node.name,
            "kind": node.kind,
            "role": labels.role,
            "stage": labels.stage,
            "block": labels.block,
            "modality": labels.modality,
            "value_class": node.value_class,
            "place": column(node).title,
            "neurons": node.size,
            "rate": row.rate.mean,
            "rate_std": row.rate.std,
            "rate_ci95_low": low,
            "rate_ci95_high": high,
        }


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    listed = list(rows)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(listed[0]) if listed else [])
        writer.writeheader()
        writer.writerows({key: _inert(value) for key, value in row.items()} for row in listed)


def _inert(value: object) -> object:
    """A field that a spreadsheet shows and does not run; numbers stay as they are."""
    if not isinstance(value, str):
        return value
    runs = value.startswith(("'", "\t", "\r")) or value.lstrip().startswith(_FORMULA)
    return ("'" if runs else "") + value.replace("\0", "\\x00")
