"""From a user's input file to the integers that a network's ports receive.

An input file is `.npz` with one array for each port, or `.npy` for a network with one port; arrays are
`(samples, T, *shape)` in the model's own units, or `(T, *shape)` for a single sample. `label` in an `.npz` holds
the class of each sample.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.ir import InputPort, IntArray, QuantNet

LABEL = "label"


@dataclass(frozen=True)
class Samples:
    """arrays: real values of each port, `(N, T, *shape)`. labels: `(N,)` or None."""

    arrays: dict[str, npt.NDArray[Any]]
    labels: IntArray | None

    def __len__(self) -> int:
        return next(iter(self.arrays.values())).shape[0]

    def first(self, count: int | None) -> Samples:
        """The first `count` samples; all of them for None."""
        labels = None if self.labels is None else self.labels[:count]
        return Samples({name: array[:count] for name, array in self.arrays.items()}, labels)


def read_samples(path: Path, ports: tuple[InputPort, ...], *, time_last: bool = False) -> Samples:
    """Read an input file for `ports`.

    Args:
        time_last: arrays are `(*shape, T)`, one sample, as lava-dl stores its vectors.

    Raises:
        UserError: the file is missing or unreadable, or an array is missing, not finite or of another shape.
    """
    stored = _load(path, ports)
    arrays, violations = {}, []
    for port in ports:
        if port.name not in stored:
            violations.append(f"{path}: no array {port.name!r}, has {sorted(stored)}; name the arrays after the inputs")
            continue
        array = stored[port.name]
        if time_last:
            array = np.moveaxis(array, -1, 0)
        try:
            arrays[port.name] = _with_sample_axis(array, port)
        except ValueError as error:
            violations.append(f"{path}: {port.name}: {error}")
    shapes = {name: array.shape[:2] for name, array in arrays.items()}
    labels = stored.get(LABEL)
    if len(set(shapes.values())) > 1:
        violations.append(f"{path}: the inputs differ in samples or time steps: {shapes}; give all the same")
    elif labels is not None and shapes and labels.shape != next(iter(shapes.values()))[:1]:
        violations.append(f"{path}: label has shape {labels.shape}, the inputs hold {shapes}; give one label a sample")
    if violations:
        raise UserError(violations)
    return Samples(arrays, labels)


def _load(path: Path, ports: tuple[InputPort, ...]) -> dict[str, npt.NDArray[Any]]:
    if not path.is_file():
        raise UserError(f"{path}: no such input file; give an .npz with arrays {[p.name for p in ports]}")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if len(ports) != 1:
                raise UserError(
                    f"{path}: one array for {len(ports)} inputs; give an .npz with {[p.name for p in ports]}"
                )
            return {ports[0].name: loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: not a readable .npy or .npz file ({error}); write it again with numpy.savez"
        ) from error


def _with_sample_axis(array: npt.NDArray[Any], port: InputPort) -> npt.NDArray[Any]:
    # lava-dl's files pad shapes with ones, (1, 1, 64), its vectors do not, (64,).
    spare = tuple(extent for extent in port.shape if extent != 1)
    if array.shape[1:] in (port.shape, spare):
        array = array[None]
    if array.shape[2:] not in (port.shape, spare) or 0 in array.shape:
        raise ValueError(f"shape {array.shape}, the network takes (samples, T, {', '.join(map(str, port.shape))})")
    array = array.reshape(*array.shape[:2], *port.shape)
    if array.dtype.kind not in "buif":
        raise ValueError(f"type {array.dtype}; store numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("holds NaN or infinity; clean the data first")
    return array


def payload_range(port: InputPort) -> tuple[int, int]:
    """Smallest and largest integer that `port` can send."""
    if port.signed:
        return -(1 << (port.bits - 1)), (1 << (port.bits - 1)) - 1
    return 0, (1 << port.bits) - 1


def to_integers(samples: Samples, ports: tuple[InputPort, ...]) -> dict[str, IntArray]:
    """`round(x / scale)` of each port, int32.

    Raises:
        UserError: a value does not fit the port's payload.
    """
    integers: dict[str, IntArray] = {}
    violations = []
    for port in ports:
        real = samples.arrays[port.name].astype(np.float64)
        whole = np.rint(real / port.scale).astype(np.int64)
        low, high = payload_range(port)
        if whole.min() < low or whole.max() > high:
            violations.append(
                f"input {port.name}: values {real.min():g}..{real.max():g} exceed the port's range "
                f"{low * port.scale:g}..{high * port.scale:g}; scale the data or compile with wider calibration data"
            )
        integers[port.name] = whole.astype(np.int32)
    if violations:
        raise UserError(violations)
    return integers


def check_integers(net: QuantNet, inputs: dict[str, IntArray]) -> None:
    """Raise `UserError` unless `inputs` holds integers of the right shape and range for every port of `net`."""
    violations = []
    for port in net.inputs:
        array = inputs.get(port.name)
        if array is None:
            violations.append(f"input {port.name}: missing; the network has inputs {[p.name for p in net.inputs]}")
        elif array.ndim != len(port.shape) + 2 or array.shape[2:] != port.shape:
            violations.append(f"input {port.name}: shape {array.shape}, expected (samples, T, *{port.shape})")
        elif array.dtype.kind not in "bui":
            violations.append(f"input {port.name}: type {array.dtype}; the chip takes integers")
        else:
            low, high = payload_range(port)
            if array.size and (array.min() < low or array.max() > high):
                violations.append(f"input {port.name}: values {array.min()}..{array.max()} exceed {low}..{high}")
    if violations:
        raise UserError(violations)
