"""What each input sends, which NIR does not say: spikes, whole numbers as they are, or analog numbers.

It decides additions against multiplications and the width of what a chip receives. Users say it, or the graph's
metadata do; otherwise the samples show it, and what was taken is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from snnergy.artefacts.array_files import Array
from snnergy.artefacts.errors import UserError
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


def with_inputs(source: NirSource, samples: Samples | None) -> NirSource:
    """`source` with every input's kind and width settled by samples, where they are not declared.

    Raises:
        UserError: samples that are not what an input is declared to send.
    """
    ports: list[InputPort] = []
    notes: list[str] = []
    violations: list[str] = []
    for port in source.inputs:
        array = None if samples is None else samples.arrays[port.name]
        if port.name not in source.declared_inputs:
            port, note = _assumed(port, array)
            notes.append(note)
        if array is not None:
            port = _wide_enough(port, array, source.nodes[port.name].metadata)
            violations += [f"{source.name}: input {port.name!r}: {line}" for line in _unlike(port, array)]
        ports.append(port)
    if violations:
        raise UserError(violations)
    return replace(source, inputs=tuple(ports), notes=(*source.notes, *notes))


def _assumed(port: InputPort, array: Array | None) -> tuple[InputPort, str]:
    """What an input without a declaration sends, and how that is told."""
    spikes = InputPort(port.name, port.shape, "binary")
    remedy = "give the kind of this input if it sends something else"
    if array is None:
        return spikes, f"input {port.name!r} is taken for spikes, as nothing says what it sends; {remedy}"
    if _all(array, lambda part: (part == 0) | (part == 1)):
        return spikes, f"input {port.name!r} is taken for spikes, as all its calibration values are 0 or 1; {remedy}"
    whole = " and are whole; as event counts they would be graded" if _all(array, _whole) else ""
    low, high = float(array.min()), float(array.max())
    note = f"input {port.name!r} is taken for analog, as its calibration values are {low:g}..{high:g}{whole}; {remedy}"
    return port, note


def _wide_enough(port: InputPort, array: Array, metadata: Mapping[str, Any]) -> InputPort:
    """A graded port with room for its samples, unless its width is declared."""
    if port.value_class != "integer" or "bits" in metadata:
        return port
    low, high = float(array.min()), float(array.max())
    signed = port.signed or low < 0
    magnitude = int(min(max(high, -low), float(1 << GRADED_BITS_MAX)))
    bits = min(max(_DEFAULT_BITS, magnitude.bit_length() + signed), GRADED_BITS_MAX)
    return replace(port, bits=bits, signed=signed)


def _unlike(port: InputPort, array: Array) -> list[str]:
    """Why samples are not what a port of spikes or whole numbers sends; its range is looked at with all others."""
    if port.value_class == "binary" and not _all(array, lambda part: (part == 0) | (part == 1)):
        low, high = float(array.min()), float(array.max())
        return [f"declared to send spikes, but its calibration values are {low:g}..{high:g} and not all 0 or 1"]
    if port.value_class == "integer" and not _all(array, _whole):
        return ["declared to send whole numbers, but its calibration values are not; declare it analog"]
    return []


def _whole(part: Array) -> Any:
    return part == np.rint(part)


def _all(array: Array, holds: Any) -> bool:
    return all(bool(holds(sample).all()) for sample in array)  # sample by sample: no mask of all of them
