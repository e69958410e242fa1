"""The framework's own output beside the float oracle and the integer network: what the exporter lost is seen here.

A NIR file says neither how a spike resets the membrane, nor how many spikes a step has, nor which time step was meant.
Where the oracle is not what the framework emitted, it is run again under other conventions, and the best fit is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.array_files import KINDS, WIDEST, read_arrays
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.kinds import SAMPLES, require
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.ir import Reset, Spikes
from snnergy.neuromorphic.lowering import measures

ReferenceSource = Mapping[str, Any] | Path | str | Any
_NAME = "out"  # of an array that is not called after the output
_TRIED = 16  # samples that other conventions are tried on
_SAME = 0.999  # likeness from which on the oracle is the framework, but for float32
_BETTER = 0.02  # by which another convention must be more alike to be named
_CHOICES: tuple[tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]], ...] = (
    (("dt",), ((1.0,), (1e-3,), (1e-4,), (1e-6,))),  # that frameworks write files for
    (("reset", "spikes"), tuple(product(get_args(Reset), get_args(Spikes)))),
)


@dataclass(frozen=True)
class ReferenceFidelity:
    """The framework's output, the float oracle's and the chip's on the calibration samples, from end to end.

    spikes_*: spikes of the output. likeness_*: overlap with the framework's spikes, as `lowering.measures` defines it;
    of a readout, 1 − relative RMS error of the membrane. distance_*: van Rossum's, of spikes only. same_prediction_*:
    fraction of samples. accuracy: the framework's, None without labels. lost: in words, what the exporter lost.
    """

    output: str
    spikes_reference: int | None
    spikes_float: int | None
    spikes_chip: int | None
    likeness_float: float
    likeness_chip: float
    distance_float: float | None
    distance_chip: float | None
    same_prediction_float: float
    same_prediction_chip: float
    accuracy: float | None
    lost: str


def as_reference(reference: ReferenceSource, source: NirSource, output: str, samples: Samples | None) -> Tensor:
    """What the framework emitted on `samples`, `(N, T, neurons)` float32.

    Args:
        reference: an array `(N, T, *shape)`, arrays by name, or the path of an `.npz` or `.npy`; the array is called
            after the population or the NIR node of the output, or `out`.

    Raises:
        UserError: it is missing, damaged, not finite, or has another shape, or there are no samples.
    """
    if samples is None:
        raise UserError("reference: is compared on the calibration samples; give these too")
    shape = (*next(iter(samples.arrays.values())).shape[:2], *source.shapes[output])
    names = (output, *(n for n in source.of_kind("output") if output in source.preds[n]), _NAME)
    where, found = "reference", reference
    if isinstance(reference, Path | str):
        where = str(reference)
        require((Path(reference), replace(SAMPLES, origin=f"give an .npz with an array {_NAME!r}")))
        found = read_arrays(Path(reference), set(names))
    if isinstance(found, Mapping):
        arrays = [found[name] for name in names if found.get(name) is not None]
        if not arrays:
            raise UserError(
                f"{where}: no array {' or '.join(map(repr, dict.fromkeys(names)))}; name what the framework emits so"
            )
        found = arrays[0]
    if hasattr(found, "detach"):
        found = found.detach().cpu()
    array = np.asarray(found)
    if array.dtype.kind not in KINDS or array.dtype.itemsize > WIDEST:
        raise UserError(f"{where}: type {array.dtype}; store numbers")
    if array.ndim < 3 or array.shape[:2] != shape[:2] or math.prod(array.shape[2:]) != math.prod(shape[2:]):
        raise UserError(
            f"{where}: shape {array.shape}, must be {shape}: (samples, T, classes) on the calibration samples"
        )
    with np.errstate(over="ignore"):
        values = torch.from_numpy(array.reshape(*shape[:2], -1).astype(np.float32))
    if not values.isfinite().all():
        raise UserError(f"{where}: holds NaN, infinity, or what leaves single precision; clean it first")
    return values


def compare(
    source: NirSource,
    samples: Samples,
    output: str,
    reference: Tensor,
    floating: Tensor,
    chip: Tensor,
    *,
    spiking: bool,
) -> ReferenceFidelity:
    """Compare three recordings of `output`, each `(N, T, neurons)` in model units.

    Raises:
        UserError: the output spikes, and the reference holds something else.
    """
    if spiking and not ((reference >= 0) & (reference == reference.round())).all():
        raise UserError(
            f"reference: output {output!r} spikes, but it holds numbers that count none; store the framework's spikes"
        )
    likeness = _likeness(floating, reference, spiking)
    classes = [_classes(value, spiking) for value in (reference, floating, chip)]
    counts = [int(v.sum(dtype=torch.float64)) if spiking else None for v in (reference, floating, chip)]
    return ReferenceFidelity(
        output=output,
        spikes_reference=counts[0],
        spikes_float=counts[1],
        spikes_chip=counts[2],
        likeness_float=likeness,
        likeness_chip=_likeness(chip, reference, spiking),
        distance_float=measures.distance(floating, reference) if spiking else None,
        distance_chip=measures.distance(chip, reference) if spiking else None,
        same_prediction_float=float((classes[1] == classes[0]).double().mean()),
        same_prediction_chip=float((classes[2] == classes[0]).double().mean()),
        accuracy=None if samples.labels is None else float((classes[0].numpy() == samples.labels).mean()),
        lost="" if likeness >= _SAME else _what_is_lost(source, samples, output, reference, likeness, spiking),
    )


def _likeness(found: Tensor, reference: Tensor, spiking: bool) -> float:
    if spiking:
        overlap = measures.overlap(found, reference)
        return 1.0 if overlap is None else overlap
    off = (found - reference).square().mean(dtype=torch.float64).sqrt()
    return 1.0 - float(off / reference.square().mean(dtype=torch.float64).sqrt().clamp_min(1e-12))


def _classes(value: Tensor, spiking: bool) -> Tensor:
    return (value.sum(1) if spiking else value[:, -1]).argmax(1)


def _what_is_lost(
    source: NirSource, samples: Samples, output: str, reference: Tensor, likeness: float, spiking: bool
) -> str:
    unit = "spike overlap" if spiking else "likeness of membranes"
    lost = f"the float network is not the reference: {unit} {likeness:.2f}"
    few = samples.first(_TRIED)
    inputs = {name: np.asarray(array, np.float32) for name, array in few.arrays.items()}
    now = fits = _likeness_under(source, inputs, output, reference, spiking)
    best = source.conventions
    for field, choices in _CHOICES:  # one after the other: dt decides most, then what a spike does
        tried = [replace(best, **dict(zip(field, values, strict=True))) for values in choices]
        for other in (conventions for conventions in tried if conventions != best):
            found = _likeness_under(replace(source, conventions=other), inputs, output, reference, spiking)
            if found > fits:
                best, fits = other, found
    if fits < now + _BETTER:
        return f"{lost}; the exporter lost something, or the samples are others, and no option of ours fits better"
    return f"{lost}; it fits better with {_options(best, source.conventions)}: {unit} {fits:.2f} against {now:.2f}"


def _likeness_under(source: NirSource, inputs: dict[str, Any], output: str, reference: Tensor, spiking: bool) -> float:
    found = interpret(source, inputs, keep=frozenset({output})).values[output].flatten(2)
    likeness = _likeness(found, reference[: len(found)], spiking)
    return likeness if likeness == likeness else float("-inf")  # an unstable step ends in NaN


def _options(chosen: Conventions, now: Conventions) -> str:
    """What to add to the command, as a user writes it."""
    pairs = [(name, value) for name, value in vars(chosen).items() if value != getattr(now, name)]
    return " ".join(f"--{name} {value:g}" if name == "dt" else f"--{name} {value}" for name, value in pairs)
