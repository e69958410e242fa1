"""Holds a network that a file describes against what a network is: names, edges, kernels, then the chip's registers.

A file can be damaged or made by anyone, so that nothing of what lowering guarantees may be taken for granted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from snnergy.artefacts.budget import refuse_excess, refuse_work
from snnergy.artefacts.display import listed
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import name_problem
from snnergy.neuromorphic.cost import products
from snnergy.neuromorphic.ir import Conv2d, Dense, Operator, QuantNet, Sparse, soonest
from snnergy.neuromorphic.passes.check import Check

_AXES: dict[type, tuple[int, str]] = {
    Dense: (2, "(out, in)"),
    Conv2d: (4, "(out, in / groups, kH, kW)"),
    Sparse: (1, "(synapses,)"),
}
_BYTES_A_NEURON = 64  # float64 drive, current and membrane of a step, with the copies that shift and clip them


def require_sound(net: QuantNet, where: str) -> QuantNet:
    """Return `net` unchanged.

    Args:
        where: the file's name, for messages.

    Raises:
        UserError: every breach of the graph's structure, or where that is sound, of the registers.
    """
    violations: tuple[str, ...] = tuple(_structure(net))
    if not violations:
        refuse_oversize(net, where)
        try:
            return Check()(net)
        except UserError as error:
            violations = error.violations
    raise UserError([f"{where}: {violation}" for violation in violations])


def refuse_oversize(net: QuantNet, where: str) -> None:
    """Raise `UserError` where one time step of one sample takes more memory or work than the budget has."""
    shapes = [port.shape for port in net.inputs] + [population.shape for population in net.populations]
    values = sum(map(math.prod, shapes))
    refuse_excess(f"{where}: {values:,} neurons", values * _BYTES_A_NEURON)
    refuse_work(where, products(net))


def geometry_problems(operator: Operator) -> Iterator[str]:
    """Why `operator` has no output, empty where it has one."""
    weight, delays = operator.weight, operator.delays
    rank, axes = _AXES[type(operator)]
    if weight.ndim != rank or (0 in weight.shape and not isinstance(operator, Sparse)):
        yield f"weight has shape {weight.shape}, expected {axes}"
        return
    if delays is not None and delays.shape != weight.shape:
        yield f"delays have shape {delays.shape}, the weights {weight.shape}; give one a weight"
    elif delays is not None and delays.min() < 0:
        yield f"delays go down to {delays.min()}; a spike cannot arrive before it is sent"
    if isinstance(operator, Sparse):
        yield from _sparse_problems(operator)
    if isinstance(operator, Conv2d):
        yield from _convolution_problems(operator)


def _convolution_problems(operator: Conv2d) -> Iterator[str]:
    weight = operator.weight
    if min(*operator.stride, *operator.dilation, operator.groups) < 1 or min(operator.padding) < 0:
        yield (
            f"stride {operator.stride}, dilation {operator.dilation} and groups {operator.groups} must be positive, "
            f"padding {operator.padding} not negative"
        )
    elif weight.shape[1] * operator.groups != operator.input_shape[0] or weight.shape[0] % operator.groups:
        yield f"weight {weight.shape} in {operator.groups} groups does not fit {operator.input_shape[0]} input channels"
    elif min(operator.output_shape) < 1:
        yield f"a kernel of {weight.shape[2:]} does not fit into the input {operator.input_shape}"


def _sparse_problems(operator: Sparse) -> Iterator[str]:
    columns, starts, synapses = operator.columns, operator.row_starts, operator.weight.size
    targets, sources = math.prod(operator.output_shape), math.prod(operator.input_shape)
    if columns.shape != operator.weight.shape:
        yield f"columns have shape {columns.shape}, the weights {operator.weight.shape}; give one a weight"
    elif columns.size and (columns.min() < 0 or columns.max() >= sources):
        yield f"columns {columns.min()}..{columns.max()} exceed the {sources} sources of {operator.input_shape}"
    elif starts.shape != (targets + 1,) or starts[0] != 0 or starts[-1] != synapses or (np.diff(starts) < 0).any():
        yield f"row_starts must rise from 0 to {synapses}, the number of weights, in {targets + 1} steps, one a target"
    else:
        first = np.zeros(synapses, bool)
        first[starts[:-1][np.diff(starts) > 0]] = True
        if not (first[1:] | (np.diff(columns) > 0)).all():
            yield "columns must rise within each target; join synapses of one pair to one"


def _structure(net: QuantNet) -> Iterator[str]:
    names = Counter([port.name for port in net.inputs] + [population.name for population in net.populations])
    for name, times in names.items():
        if times > 1:
            yield f"{times} inputs or populations are called {name!r}; give each its own name"
        if problem := name_problem(name):
            yield f"the name {name!r} {problem}; give another"
    if not net.inputs or not net.outputs:
        yield f"{len(net.inputs)} inputs and {len(net.outputs)} outputs; a network has one of each at least"
    known_names = listed(sorted(names))
    place = {name: index for index, name in enumerate(names)}
    first = len(net.inputs)  # place of the first population
    silent = {population.name for population in net.populations if not population.spiking}
    for synapse in net.synapses:
        label = f"{synapse.source} → {synapse.target}"
        problems = [f"{label}: {problem}" for problem in geometry_problems(synapse.operator)]
        yield from problems
        if synapse.source not in place:
            yield f"{label}: no input or population {synapse.source!r}; the file has {known_names}"
        if synapse.source in silent:
            yield f"{label}: the source is a readout, which sends nothing; compile the network again"
        if place.get(synapse.target, -1) < first:
            yield f"{label}: no population {synapse.target!r}; the file has {known_names}"
        if problems:
            continue
        late = soonest(synapse)
        if place.get(synapse.source, -1) >= place.get(synapse.target, first) and late < 1:
            yield f"{label}: closes a loop without a step of delay; {synapse.source!r} must stand before its target"
        if synapse.delay < 0 or late + synapse.balance < 0:
            yield f"{label}: delay {synapse.delay} and balance {synapse.balance} must not be negative together"
