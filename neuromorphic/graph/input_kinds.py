"""What each input sends, which NIR does not say: spikes, whole numbers as they are, or analog numbers.

It decides additions against multiplications and the width of what a chip receives. Users say it, or the graph's
metadata do; otherwise the samples show it, and what was taken is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from snnergy.artefacts.array_files import Array
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.sample_file import SampleFile
from snnergy.artefacts.samples import Samples
from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import InputPort
from snnergy.neuromorphic.limits import GRADED_BITS_MAX

InputKind = Literal["spikes", "graded", "analog"]
INPUT_KINDS: tuple[InputKind, ...] = get_args(InputKind)
DECLARING = frozenset(("value_class", "scale", "bits"))  # metadata that say what an input sends
_DEFAULT_BITS = 8


def kinds_by_name(inputs: Iterable[str], wanted: InputKind | Mapping[str, InputKind] | None) -> dict[str, InputKind]:
    """The kind of each input that `wanted`, one for all or one for each name, speaks of.

    Raises:
        UserError: a kind or an input that there is not.
    """
    names = list(inputs)
    if wanted is None:
        return {}
    kinds = dict(wanted) if isinstance(wanted, Mapping) else dict.fromkeys(names, wanted)
    found = [f"input kind {name!r}: there is no such input; there are {names}" for name in kinds if name not in names]
    found += [
        f"input kind {kind!r} of {name!r}: must be one of {', '.join(INPUT_KINDS)}"
        for name, kind in kinds.items()
        if kind not in INPUT_KINDS
    ]
    if found:
        raise UserError(found)
    return kinds


def declared_port(name: str, shape: Shape, metadata: Mapping[str, Any], kind: InputKind | None) -> InputPort:
    """The port of an input: of the kind that is known, or as its metadata declare it, or analog.

    An analog one without a declared scale has scale 0, until it is calibrated.
    """
    value_class = str(metadata.get("value_class", "real"))
    kind = kind or {"binary": "spikes", "integer": "graded"}.get(value_class, "analog")  # type: ignore[assignment]
    if kind == "spikes":
        return InputPort(name, shape, "binary")
    bits, signed = int(metadata.get("bits", _DEFAULT_BITS)), bool(metadata.get("signed", False))
    if kind == "graded":
        return InputPort(name, shape, "integer", 1.0, bits, signed)
    return InputPort(name, shape, "real", float(metadata.get("scale", 0.0)), bits, signed)


def with_inputs(source: NirSource, samples: Samples | SampleFile | None) -> NirSource:
    """`source` with every input's kind and width settled by samples, where they are not declared.

    Raises:
        UserError: samples that are not what an input is declared to send.
    """
    ports: list[InputPort] = []
    notes: list[str] = []
    violations: list[str] = []
    seen = {} if samples is None else _values(samples)
    for port in source.inputs:
        values = seen.get(port.name)
        if port.name not in source.declared_inputs:
            port, note = _assumed(port, values)
            notes.append(note)
        if values is not None:
            port = _wide_enough(port, values, source.nodes[port.name].metadata)
            violations += [f"{source.name}: input {port.name!r}: {line}" for line in _unlike(port, values)]
        ports.append(port)
    if violations:
        raise UserError(violations)
    return replace(source, inputs=tuple(ports), notes=(*source.notes, *notes))


@dataclass(frozen=True)
class _Values:
    """What an input has been seen to send. binary: nothing but 0 and 1. whole: whole numbers only."""

    low: float
    high: float
    binary: bool
    whole: bool

    @classmethod
    def of(cls, sample: Array) -> _Values:
        binary = bool(((sample == 0) | (sample == 1)).all())
        return cls(float(sample.min()), float(sample.max()), binary, binary or bool((sample == np.rint(sample)).all()))

    def __or__(self, other: _Values) -> _Values:
        low, high = min(self.low, other.low), max(self.high, other.high)
        return _Values(low, high, self.binary and other.binary, self.whole and other.whole)


def _values(samples: Samples | SampleFile) -> dict[str, _Values]:
    found: dict[str, _Values] = {}
    for batch in samples.batches():
        for name, array in batch.arrays.items():
            for sample in array:  # one by one: no mask of all of them
                values = _Values.of(sample)
                found[name] = found.get(name, values) | values
    return found


def _assumed(port: InputPort, values: _Values | None) -> tuple[InputPort, str]:
    """What an input without a declaration sends, and how that is told."""
    spikes = InputPort(port.name, port.shape, "binary")
    remedy = "give the kind of this input if it sends something else"
    if values is None:
        return spikes, f"input {port.name!r} is taken for spikes, as nothing says what it sends; {remedy}"
    if values.binary:
        return spikes, f"input {port.name!r} is taken for spikes, as all its calibration values are 0 or 1; {remedy}"
    whole = " and are whole; as event counts they would be graded" if values.whole else ""
    extent = f"{values.low:g}..{values.high:g}"
    return port, f"input {port.name!r} is taken for analog, as its calibration values are {extent}{whole}; {remedy}"


def _wide_enough(port: InputPort, values: _Values, metadata: Mapping[str, Any]) -> InputPort:
    """A graded port with room for its samples, unless its width is declared."""
    if port.value_class != "integer" or "bits" in metadata:
        return port
    signed = port.signed or values.low < 0
    magnitude = int(min(max(values.high, -values.low), float(1 << GRADED_BITS_MAX)))
    bits = min(max(_DEFAULT_BITS, magnitude.bit_length() + signed), GRADED_BITS_MAX)
    return replace(port, bits=bits, signed=signed)


def _unlike(port: InputPort, values: _Values) -> list[str]:
    """Why samples are not what a port of spikes or whole numbers sends; its range is looked at with all others."""
    if port.value_class == "binary" and not values.binary:
        extent = f"{values.low:g}..{values.high:g}"
        return [f"declared to send spikes, but its calibration values are {extent} and not all 0 or 1"]
    if port.value_class == "integer" and not values.whole:
        return ["declared to send whole numbers, but its calibration values are not; declare it analog"]
    return []
