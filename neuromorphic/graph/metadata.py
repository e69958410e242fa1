"""What this toolchain reads of a graph's metadata, each value of one type and within one range.

    graph    dt, held_bits
    Input    value_class, scale, bits, signed
    any      role, modality, stage, block, learned
    neuron   held_scale, held_threshold, held_exponents

Everything else that a framework leaves there is for others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnergy.artefacts import held_scales
from snnergy.artefacts.held_scales import WEIGHT_BITS, HeldScale, HeldScales
from snnergy.artefacts.types import VALUE_CLASSES
from snnergy.neuromorphic.graph.nodes import rule_of
from snnergy.neuromorphic.limits import (
    GRADED_BITS_MAX,
    THRESHOLD_MAX,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
)

_TEXT_MAX = 300  # characters of a role or a modality, which stand in tables and plots
_LABEL_MAX = 1 << 20
_EXPONENTS_MAX = 2000  # of the synapses of one population
SMALLEST, LARGEST = 1e-15, 1e15  # of a time step or a scale, so that products with parameters stay finite


@dataclass(frozen=True)
class Metadata:
    """What is used of a graph's metadata, every value of it sound.

    graph, nodes: values by key, of each node by its name; whatever is of no use here stays in as it is. violations:
    lines on values that numbers of the network follow from, and that are not what their name says. notes: lines on
    what is ignored for that reason: labels, whose names are common words that mean other things to others, and what an
    input declares whose kind is given.
    """

    graph: dict[str, Any]
    nodes: dict[str, dict[str, Any]]
    violations: tuple[str, ...]
    notes: tuple[str, ...]


def read_metadata(
    nodes: Mapping[str, Any], graph: Mapping[str, Any], *, dt_given: bool = False, kinds_given: Container[str] = ()
) -> Metadata:
    """The metadata of a graph and of its nodes (of known types).

    Args:
        dt_given: the time step is known, whatever the graph's metadata say.
        kinds_given: inputs of which it is known what they send.
    """
    violations: list[str] = []
    notes: list[str] = []
    own, ignored = _sound(graph, {})
    notes += [f"metadata {line}; ignored" for line in ignored]
    own, wrong = _sound(own, {} if dt_given else {"dt": _positive})
    violations += [f"metadata {line}; or give dt" for line in wrong]
    own, wrong = _sound(own, {held_scales.BITS: _one_of(WEIGHT_BITS)})
    violations += [f"metadata {line}" for line in wrong]
    found: dict[str, dict[str, Any]] = {}
    for name, node in nodes.items():
        found[name], ignored = _sound(node.metadata, _LABELS)
        notes += [f"node {name!r}: metadata {line}; ignored" for line in ignored]
        if held_scales.BITS in own:
            found[name], wrong = _sound(found[name], _HELD)
            violations += [f"node {name!r}: metadata {line}" for line in wrong]
        if rule_of(node).kind == "input":
            found[name], wrong = _sound(found[name], _OF_INPUT)
            if name in kinds_given:
                notes += [f"node {name!r}: metadata {line}; ignored" for line in wrong]
            else:
                violations += [f"node {name!r}: metadata {line}; or give the kind of this input" for line in wrong]
    return Metadata(own, found, tuple(violations), tuple(notes))


def held_in(metadata: Metadata) -> HeldScales:
    """What the neurons of a fine-tuned network are rounded to; nothing of any other graph."""
    if held_scales.BITS not in metadata.graph:
        return HeldScales(8, {})
    populations = {
        name: HeldScale(
            float(own[held_scales.SCALE]),
            int(own[held_scales.THRESHOLD]),
            tuple(map(int, own[held_scales.EXPONENTS].split())),
        )
        for name, own in metadata.nodes.items()
        if own.keys() >= _HELD.keys()
    }
    return HeldScales(int(metadata.graph[held_scales.BITS]), populations)


def _sound(metadata: Any, checks: Mapping[str, Callable[[Any], str]]) -> tuple[dict[str, Any], list[str]]:
    """The metadata without what is not what its name says, and a line on each such value."""
    if not isinstance(metadata, Mapping):
        return {}, [f"is {_shown(metadata)}; must be values by name"]
    wrong = {key: wanted for key, check in checks.items() if key in metadata and (wanted := check(metadata[key]))}
    lines = [f"{key} is {_shown(metadata[key])}; must be {wanted}" for key, wanted in wrong.items()]
    return {key: value for key, value in metadata.items() if key not in wrong}, lines


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size != 1:
            return f"an array of shape {value.shape}"
        value = value.item()
    beginning = value[: _TEXT_MAX + 1] if isinstance(value, str | bytes) else value  # not all of a megabyte
    text = repr(beginning)
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}…"


def _number(value: Any) -> float | None:
    """A single real and finite number, stored as one; None for anything else."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "buif":
        return None
    number = float(array.item())
    return number if math.isfinite(number) else None


def _positive(value: Any) -> str:
    number = _number(value)
    fits = number is not None and SMALLEST <= number <= LARGEST
    return "" if fits else f"a number above 0, within {SMALLEST:g}..{LARGEST:g}"


def _whole(low: int, high: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        number = _number(value)
        fits = number is not None and number == round(number) and low <= number <= high
        return "" if fits else f"a whole number within {low}..{high}"

    return check


def _one_of(allowed: tuple[int, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        return "" if _number(value) in allowed else f"one of {', '.join(map(str, allowed))}"

    return check


def _exponents(value: Any) -> str:
    low, high = WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX
    words = value[: 4 * _EXPONENTS_MAX].split() if isinstance(value, str) else []
    known = {str(e) for e in range(low, high + 1)}
    fits = 0 < len(words) <= _EXPONENTS_MAX and len(value) <= 4 * _EXPONENTS_MAX and known.issuperset(words)
    return "" if fits else f"whole numbers within {low}..{high} with blanks between, {_EXPONENTS_MAX} at most"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and len(value) <= _TEXT_MAX else f"a text of at most {_TEXT_MAX} characters"


def _value_class(value: Any) -> str:
    return "" if isinstance(value, str) and value in VALUE_CLASSES else f"one of {', '.join(VALUE_CLASSES)}"


_LABELS: dict[str, Callable[[Any], str]] = {
    "role": _text,
    "modality": _text,
    "stage": _whole(0, _LABEL_MAX),
    "block": _whole(0, _LABEL_MAX),
    "learned": _whole(0, 1),
}
_HELD: dict[str, Callable[[Any], str]] = {
    held_scales.SCALE: _positive,
    held_scales.THRESHOLD: _whole(0, THRESHOLD_MAX),
    held_scales.EXPONENTS: _exponents,
}
_OF_INPUT: dict[str, Callable[[Any], str]] = {
    "value_class": _value_class,
    "scale": _positive,
    "bits": _whole(1, GRADED_BITS_MAX),
    "signed": _whole(0, 1),
}
