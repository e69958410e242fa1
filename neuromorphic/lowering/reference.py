"""The framework's own output beside the float oracle and the integer network: what the exporter lost is seen here.

A NIR file says neither how a spike resets the membrane, nor how many spikes a step has, nor which time step was meant,
nor how it was taken.
Where the oracle is not what the framework emitted, it is run again under other conventions, and the best fit is named.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnergy.artefacts.array_files import KINDS, WIDEST, read_arrays
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.kinds import SAMPLES, require
from snnergy.artefacts.sample_file import SampleFile
from snnergy.artefacts.samples import Samples
from snnergy.artefacts.types import FloatArray, IntArray
from snnergy.neuromorphic.graph.conventions import CHOICES, Conventions
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.lowering import measures

ReferenceSource = Mapping[str, Any] | Path | str | Any
_NAME = "out"  # of an array that is not called after the output
_TRIED = 16  # samples that other conventions are tried on, or as many as take so much work, but one
_WORK = 1 << 28
SAME = 0.999  # likeness from which on the oracle is the framework, but for float32
_BETTER = 0.02  # by which other conventions must be more alike to be named
_SLIGHTLY = 0.002  # by which one must be more alike to be preferred to another that changes less
_NODES = 8  # up to so many neurons and readouts one of them is tried by itself
_LATEST = 3  # steps by which a framework can be later
_BY_CHANCE = 0.1  # by which shifted trains may be more alike without being later


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


def as_reference(
    reference: ReferenceSource, source: NirSource, output: str, samples: Samples | SampleFile | None
) -> Tensor:
    """What the framework emitted on `samples`, `(N, T, neurons)` float32.

    Args:
        reference: an array `(N, T, *shape)`, arrays by name, or the path of an `.npz` or `.npy`; the array is called
            after the population or the NIR node of the output, or `out`.

    Raises:
        UserError: it is missing, damaged, not finite, or has another shape, or there are no samples.
    """
    if samples is None:
        raise UserError("reference: is compared on the calibration samples; give these too")
    shape = (len(samples), samples.steps, *source.shapes[output])
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
    samples: Samples | SampleFile,
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
        lost="" if likeness >= SAME else _what_is_lost(source, samples, output, reference, likeness, spiking),
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
    source: NirSource, samples: Samples | SampleFile, output: str, reference: Tensor, likeness: float, spiking: bool
) -> str:
    unit = "spike overlap" if spiking else "likeness of membranes"
    lost = f"the float network is not the reference: {unit} {likeness:.2f}"
    few = telling(reference.numpy(), source)
    inputs = _chosen(samples, few)

    def under(other: NirSource) -> tuple[float, int]:
        found = interpret(other, inputs, keep=frozenset({output})).values[output].flatten(2)
        return _later(found, reference[few], spiking)

    (now, _), found = under(source), nearest(source, lambda other: under(other)[0])
    fits, later = under(replace(source, conventions=found))
    where = f", where the reference is taken {later} step{'s' * (later > 1)} earlier" if later else ""
    if fits < now + _BETTER:
        said = f"{unit} {fits:.2f}{where}" if later else "the exporter lost something, or the samples are others"
        return f"{lost}; {said}, and no option of ours fits better"
    return f"{lost}; it fits better with {options(source, found)}: {unit} {fits:.2f} against {now:.2f}{where}"


def _chosen(samples: Samples | SampleFile, few: IntArray) -> dict[str, FloatArray]:
    """The inputs of the samples whose numbers `few` are, in rising order, as single precision."""
    parts: dict[str, list[FloatArray]] = {}
    first = 0
    for batch in samples.batches():
        here = few[(few >= first) & (few < first + len(batch))] - first
        for name, array in batch.arrays.items():
            parts.setdefault(name, []).append(np.asarray(array[here], np.float32))
        first += len(batch)
    return {name: np.concatenate(found) for name, found in parts.items()}


def _later(found: Tensor, reference: Tensor, spiking: bool) -> tuple[float, int]:
    """The likeness, and by how many steps the reference comes later where taking it earlier makes it clearly greater.

    A framework whose neurons emit a step after they cross the threshold is that much later, once a layer.
    """
    steps = found.shape[1]
    laters = [later for later in range(min(_LATEST + 1, steps)) if not later or reference[:, later:].any()]
    tried = [_likeness(found[:, : steps - later], reference[:, later:], spiking) for later in laters]
    best = max(range(len(tried)), key=tried.__getitem__)
    return (tried[best], laters[best]) if tried[best] > tried[0] + _BY_CHANCE else (tried[0], 0)


def telling(reference: FloatArray, source: NirSource) -> IntArray:
    """Samples of an output `(N, T, …)` that conventions are tried on, a few: those in which most differs from 0."""
    filled = np.count_nonzero(reference.reshape(len(reference), -1), axis=1)
    affordable = _WORK // (reference.shape[1] * source.operations)
    return np.sort(np.argsort(-filled, kind="stable")[: max(1, min(_TRIED, affordable))])


def nearest(source: NirSource, likeness: Callable[[NirSource], float]) -> Conventions:
    """The conventions under which a graph is most like something, the graph's own where no others are clearly more so.

    Args:
        likeness: at most 1, to be as large as possible; NaN where nothing can be said.
    """
    best, fits = source.conventions, _number(likeness, source)
    for stage in (_time_steps, _choices, _of_single_nodes, _choices):
        for tried in stage(source, best):
            if fits >= SAME:
                return best
            found = _number(likeness, replace(source, conventions=tried))
            if found > fits + _SLIGHTLY:
                best, fits = tried, found
    return best


def _number(likeness: Callable[[NirSource], float], source: NirSource) -> float:
    try:
        found = likeness(source)
    except UserError:  # a delay that is no whole number of such steps
        return float("-inf")
    return found if found == found else float("-inf")  # an unstable step ends in NaN


def _time_steps(source: NirSource, best: Conventions) -> list[Conventions]:
    """Which decide most."""
    return [replace(best, dt=candidate.dt) for candidate in source.other_dts]


def _choices(source: NirSource, best: Conventions) -> list[Conventions]:
    """All combinations, those first that change least."""
    tried = [replace(best, **dict(zip(CHOICES, values, strict=True))) for values in product(*CHOICES.values())]
    return sorted(tried, key=lambda other: sum(getattr(other, what) != getattr(best, what) for what in CHOICES))[1:]


def _of_single_nodes(source: NirSource, best: Conventions) -> list[Conventions]:
    """One node otherwise than the rest, in what frameworks have of each kind of layer."""
    nodes = source.of_kind("neuron", "readout")
    if not 1 < len(nodes) <= _NODES:
        return []
    return [
        replace(best, own={**best.own, name: {**best.own.get(name, {}), what: value}})
        for name, what in product(nodes, ("reset", "gain"))
        for value in CHOICES[what]
        if value != getattr(best.of(name), what)
    ]


def options(source: NirSource, chosen: Conventions) -> str:
    """What to add to the command for `chosen`, as a user writes it."""
    now, nodes = source.conventions, source.of_kind("neuron", "readout")
    said = [f"--dt {chosen.dt:g}"] if chosen.dt != now.dt else []
    for what in CHOICES:
        values = {name: getattr(chosen.of(name), what) for name in nodes}
        changed = {name: value for name, value in values.items() if value != getattr(now.of(name), what)}
        if changed and len(set(values.values())) == 1:
            said.append(f"--{what} {next(iter(changed.values()))}")
        else:
            said += [f"--{what} {shlex.quote(f'{name}={value}')}" for name, value in changed.items()]
    return " ".join(said)
