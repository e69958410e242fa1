"""Holds a network that a file describes against what a network is: names, edges, kernels, then the chip's registers.

A file can be damaged or made by anyone, so that nothing of what lowering guarantees may be taken for granted.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from snnergy.artefacts.budget import refuse_excess, refuse_work
from snnergy.artefacts.display import listed
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.hdf5 import name_problem
from snnergy.neuromorphic.cost import products
from snnergy.neuromorphic.ir import Dense, Operator, QuantNet, QuantSynapse
from snnergy.neuromorphic.passes.check import Check

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
    weight = operator.weight
    rank, axes = (2, "(out, in)") if isinstance(operator, Dense) else (4, "(out, in / groups, kH, kW)")
    if weight.ndim != rank or 0 in weight.shape:
        yield f"weight has shape {weight.shape}, expected {axes}"
    elif isinstance(operator, Dense):
        if operator.delays is not None and operator.delays.shape != weight.shape:
            yield f"delays have shape {operator.delays.shape}, the weights {weight.shape}; give one a weight"
        elif operator.delays is not None and operator.delays.min() < 0:
            yield f"delays go down to {operator.delays.min()}; a spike cannot arrive before it is sent"
    elif min(*operator.stride, *operator.dilation, operator.groups) < 1 or min(operator.padding) < 0:
        yield (
            f"stride {operator.stride}, dilation {operator.dilation} and groups {operator.groups} must be positive, "
            f"padding {operator.padding} not negative"
        )
    elif weight.shape[1] * operator.groups != operator.input_shape[0] or weight.shape[0] % operator.groups:
        yield f"weight {weight.shape} in {operator.groups} groups does not fit {operator.input_shape[0]} input channels"
    elif min(operator.output_shape) < 1:
        yield f"a kernel of {weight.shape[2:]} does not fit into the input {operator.input_shape}"


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
    known = {port.name for port in net.inputs}
    incoming: dict[str, list[QuantSynapse]] = defaultdict(list)
    for synapse in net.synapses:
        incoming[synapse.target].append(synapse)
    for population in net.populations:
        for synapse in incoming[population.name]:
            if synapse.source not in known:
                yield (
                    f"{synapse.source} → {synapse.target}: no input or earlier population {synapse.source!r}; "
                    f"the file has {known_names}"
                )
        known.add(population.name)
    populations = {population.name for population in net.populations}
    silent = {population.name for population in net.populations if not population.spiking}
    for synapse in net.synapses:
        label = f"{synapse.source} → {synapse.target}"
        if synapse.source in silent:
            yield f"{label}: the source is a readout, which sends nothing; compile the network again"
        yield from (f"{label}: {problem}" for problem in geometry_problems(synapse.operator))
        if synapse.target not in populations:
            yield f"{label}: no population {synapse.target!r}; the file has {known_names}"
        if synapse.delay < 0 or synapse.balance < 0:
            yield f"{label}: delay {synapse.delay} and balance {synapse.balance} must not be negative"
