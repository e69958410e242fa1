"""From samples in the model's own units to the integers that a network's ports receive."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from snnergy.artefacts.array_files import Array
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.samples import Samples
from snnergy.artefacts.types import IntArray, Shape
from snnergy.neuromorphic.ir import InputPort, QuantNet
from snnergy.neuromorphic.limits import GRADED_BITS_MAX


def shapes_of(ports: Sequence[InputPort]) -> dict[str, Shape]:
    """Shape of each input by name, as samples must have it."""
    return {port.name: port.shape for port in ports}


def payload_range(port: InputPort) -> tuple[int, int]:
    """Smallest and largest integer that `port` can send."""
    if port.signed:
        return -(1 << (port.bits - 1)), (1 << (port.bits - 1)) - 1
    return 0, (1 << port.bits) - 1


def check_range(samples: Samples, ports: Sequence[InputPort]) -> None:
    """Raise `UserError` where a value, as an integer, does not fit its port's payload."""
    violations = [line for port in ports for line in _outside(samples.arrays[port.name], port)]
    if violations:
        raise UserError(violations)


def _outside(array: Array, port: InputPort) -> list[str]:
    if not 1 <= port.bits <= GRADED_BITS_MAX or port.scale == 0 or not math.isfinite(port.scale):
        return [
            f"input {port.name}: {port.bits} bits in steps of {port.scale:g}, a port sends 1..{GRADED_BITS_MAX} bits "
            "in steps of a finite size; compile the network again"
        ]
    smallest, largest = float(array.min()), float(array.max())
    low, high = payload_range(port)
    ends = (smallest / port.scale, largest / port.scale)  # infinite where a step is much smaller than a value
    if not all(math.isfinite(end) and low <= round(end) <= high for end in ends):
        return [
            f"input {port.name}: values {smallest:g}..{largest:g} exceed the port's range "
            f"{low * port.scale:g}..{high * port.scale:g}; scale the data or compile with wider calibration data"
        ]
    # A stock file's ports round what they are given, and can invert it.
    if port.value_class == "binary" and port.scale == 1.0 and not all(((x == 0) | (x == 1)).all() for x in array):
        return [
            f"input {port.name}: takes spikes, 0 and 1, and not all values within {smallest:g}..{largest:g} are such; "
            "give spikes, or compile with another kind of input"
        ]
    return []


def to_integers(samples: Samples, ports: Sequence[InputPort]) -> dict[str, IntArray]:
    """`round(x / scale)` of each port, int32.

    Raises:
        UserError: a value does not fit the port's payload.
    """
    check_range(samples, ports)
    return {port.name: _rounded(samples.arrays[port.name], port.scale) for port in ports}


def _rounded(array: Array, scale: float) -> IntArray:
    whole = np.empty(array.shape, np.int32)
    for sample, out in zip(array, whole, strict=True):  # no float64 copy of them all
        out[...] = np.rint(sample.astype(np.float64) / scale)
    return whole


def check_integers(net: QuantNet, inputs: Mapping[str, IntArray]) -> None:
    """Raise `UserError` unless `inputs` holds integers of the right shape and range for every port of `net`."""
    violations = []
    for port in net.inputs:
        array = inputs.get(port.name)
        if array is None:
            violations.append(f"input {port.name}: missing; the network has inputs {[p.name for p in net.inputs]}")
        elif array.ndim != len(port.shape) + 2 or array.shape[2:] != port.shape:
            violations.append(f"input {port.name}: shape {array.shape}, expected (samples, T, *{port.shape})")
        elif 0 in array.shape[:2]:
            violations.append(f"input {port.name}: {array.shape[0]} samples of {array.shape[1]} steps; give some")
        elif array.dtype.kind not in "bui":
            violations.append(f"input {port.name}: type {array.dtype}; the chip takes integers")
        else:
            low, high = payload_range(port)
            if array.size and (array.min() < low or array.max() > high):
                violations.append(f"input {port.name}: values {array.min()}..{array.max()} exceed {low}..{high}")
    lengths = {port.name: inputs[port.name].shape[:2] for port in net.inputs if port.name in inputs}
    if len(set(lengths.values())) > 1:
        violations.append(f"the inputs differ in samples or time steps: {lengths}; give all the same")
    if violations:
        raise UserError(violations)
