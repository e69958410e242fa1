"""The report as one HTML file: no script, no font, image or style from outside.

The template lays out; this module picks the rows. Plots are inlined with their colours turned into CSS variables,
so that they follow the reader's light or dark setting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from snnergy.artefacts.display import listed, printable
from snnergy.artefacts.files import git_revision, versions
from snnergy.energy.counterparts import Counterpart
from snnergy.energy.ledger import Place
from snnergy.energy.operations import KIND, KINDS, Kind
from snnergy.energy.prices import TECHNOLOGIES, Price
from snnergy.energy.rates import role_title, stage_title
from snnergy.energy.report import units
from snnergy.energy.report.plots import PALETTE
from snnergy.energy.summary import ESTIMATES_ONLY, BreakEven, Part, Summary

_Key = TypeVar("_Key", bound=Hashable)

# {} is what the plots show: energy, or operations where a price is missing; {1} what the network is divided by.
_CAPTIONS = {
    "energy_by_stage": ("{} by {}", "A {1} holds its populations and the synapses that drive them."),
    "energy_over_samples": ("{} over samples", "A spiking network costs more for inputs that make it fire more."),
    "firing_rates": ("Firing rate", "Whiskers are the deviation over samples."),
    "spikes_over_time": ("Spikes over time", "Before fan-out, summed over the populations of a {1}."),
}

# Rows (and columns) of a table: enough for any network that people read a table of, few enough for a browser.
_LIMITS = {"parts": 100, "columns": 24, "edges": 1000, "inputs": 4}
_VALUES = {"binary": "spikes", "integer": "whole numbers", "real": "analog"}  # of an input, by their class
_NAME = 100  # characters


@dataclass(frozen=True)
class Row:
    """A part of the network in a table. place: set where the part is a single edge."""

    title: str
    part: Part
    share: float | None
    place: Place | None = None

    @property
    def synaptic_count(self) -> float:
        """Synaptic operations of the mean sample; of two ways to count the same synapses, the one all edges have."""
        return sum(self.part.counts.get(operation, 0.0) for operation in ("ac", "ac_weighted", "mac_dense"))


@dataclass(frozen=True)
class OperationRow:
    """One operation over the whole network. omitted: why it is not charged, empty if it is."""

    kind: Kind
    count: float
    count_nonzero: float
    price: Price | None
    pj: float | None
    omitted: str


@dataclass(frozen=True)
class Contender:
    """One bar of the comparison."""

    title: str
    detail: str
    pj: float | None
    style: str


def page(report: Summary, drawn: Mapping[str, str]) -> str:
    """The HTML text of a report.

    Args:
        drawn: the plots by name, as `snnergy.energy.report.plots.plots` returns them.
    """
    environment = Environment(
        loader=PackageLoader("snnergy.energy.report"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "energy": units.energy,
        "number": units.number,
        "percent": units.percent,
        "signed_percent": units.signed_percent,
        "ratio": units.ratio,
        "break_even": units.break_even,
        "stage": stage_title,
        "role": lambda role: _name(role_title(role)),
        "name": _name,
        "listed": listed,
    }
    total = report.energy_snn_pj
    return environment.get_template("page.html").render(
        report=report,
        run=report.activity,
        networks=(report.ann, report.quantized_ann),
        contenders=_contenders(report),
        verdict=_verdict(report),
        inputs=[node for node in report.activity.nodes if node.kind == "input"],
        figures=[(*_caption(name, report), Markup(_inlined(svg))) for name, svg in drawn.items()],
        operations=tuple(_operations(report)),
        charged=[row for network in (report.ann, report.quantized_ann) for row in _charged(report, network)],
        regions=_rows(report.regions(), str, total),
        roles=_rows(_costliest_first(report.parts(lambda place: place.role)), _role_or_none, total),
        modalities=_rows(_costliest_first(report.parts(lambda place: place.modality)), _modality_or_none, total),
        edges=_edges(report),
        multiplying=tuple(dict.fromkeys(place.source for place in report.multiplying_edges)),
        limits=_LIMITS,
        kinds_of_values=_VALUES,
        technologies=TECHNOLOGIES,
        kinds=KIND,
        palette={name: color for name, color in PALETTE.items() if name.startswith("series")},
        disclaimer=ESTIMATES_ONLY,
        revision=git_revision(),
        versions=versions(),
    )


def _caption(name: str, report: Summary) -> tuple[str, str]:
    title, explanation = _CAPTIONS[name]
    names = "Operations" if report.unpriced else "Energy", report.division
    return title.format(*names), explanation.format(*names)


def _inlined(svg: str) -> str:
    """An SVG document as an element of an HTML page, in the page's colours and type."""
    return re.sub(r"<[^<>]*>", _inlined_tag, svg[svg.index("<svg") :])


def _inlined_tag(tag: re.Match[str]) -> str:
    """One tag; what stands between tags is text, of which none is changed."""
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", tag[0])
    if text.startswith("<svg"):
        text = re.sub(r'\s(width|height)="[^"]*"', "", text)
    for name, color in PALETTE.items():
        text = text.replace(color, f"var(--{name})")
    return text


def _shown(value: object) -> object:
    """What the template shows of a value: text from a file as one line, before it is escaped; markup is our own."""
    return value if isinstance(value, Markup | int | float) else printable(str(value))


def _name(text: str) -> str:
    """A name in a heading or a table."""
    return printable(text, _NAME)


def _contenders(report: Summary) -> tuple[Contender, ...]:
    ann, quantized = report.ann, report.quantized_ann
    snn_detail = f"{report.activity.time_steps} time steps, {report.technology.title}"
    return (
        Contender("This SNN", snn_detail, report.energy_snn_pj, "snn"),
        Contender(ann.title, _network_detail(ann), ann.energy_pj, "ann"),
        Contender(quantized.title, _network_detail(quantized), quantized.energy_pj, "quantized"),
    )


def _network_detail(network: Counterpart) -> str:
    passes = "1 pass" if network.passes == 1 else f"{network.passes} passes"
    return f"{passes}, {network.technology.title}"


def _verdict(report: Summary) -> str:
    """The comparison in a sentence."""
    if report.ratio_ann is None or report.ratio_quantized_ann is None:
        return "There is no total: a price that this run needs has not been published."
    quantized = report.quantized_ann
    ratios = units.significant(report.ratio_ann), units.significant(report.ratio_quantized_ann)
    sentence = (
        f"An fp32 network of the same shape takes {ratios[0]} times as much, "
        f"one with {quantized.bits}-bit activations {ratios[1]} times"
    )
    same = report.in_arithmetic_of(quantized)
    if not same or quantized.technology == report.technology:
        return sentence + "."
    fair = units.significant(quantized.energy_pj / same)
    return f"{sentence}, and {fair} times where this one has {quantized.technology.name} arithmetic too."


def _charged(report: Summary, network: Counterpart) -> Iterable[BreakEven]:
    """The break-even row for the passes that a counterpart is charged."""
    return (row for row in report.break_even if (row.against, row.passes) == (network.title, network.passes))


def _operations(report: Summary) -> Iterable[OperationRow]:
    for kind in KINDS:
        if kind.operation in report.total.counts:
            price = report.technology.price(kind.operation)
            yield OperationRow(
                kind=kind,
                count=report.total.counts[kind.operation],
                count_nonzero=report.total_nonzero.counts[kind.operation],
                price=price,
                pj=report.total.by_operation_pj.get(kind.operation),
                omitted=report.technology.omitted.get(kind.operation, ""),
            )


def _rows(parts: Mapping[_Key, Part], title: Callable[[_Key], str], total_pj: float | None) -> tuple[Row, ...]:
    return tuple(Row(title(key), part, _share(part, total_pj)) for key, part in parts.items())


def _costliest_first(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Parts by falling energy, those with an unpriced operation by what has a price."""
    return dict(sorted(parts.items(), key=lambda item: -sum(item[1].by_operation_pj.values())))


def _role_or_none(role: str) -> str:
    return role_title(role) or "no role"


def _modality_or_none(modality: str) -> str:
    return modality or "shared"


def _edges(report: Summary) -> tuple[Row, ...]:
    synaptic = report.ledger.where(lambda entry: entry.place.kind == "edge").split(lambda place: place)
    parts = report.parts(lambda place: place)
    ordered = sorted(synaptic, key=lambda place: place.index)
    return tuple(Row(place.name, parts[place], _share(parts[place], report.energy_snn_pj), place) for place in ordered)


def _share(part: Part, total_pj: float | None) -> float | None:
    if part.energy_pj is None or not total_pj:
        return None
    return part.energy_pj.mean / total_pj
