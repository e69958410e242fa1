"""What is counted: the toolchain's float oracle against the naive one, and the emulator against Lava, value by value.

A Lava run costs seconds before its first step, however small the network is. So many small networks are put side by
side into one: no synapse joins them, and each is also emulated on its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.conformance import naive_oracle
from benchmarks.conformance.naive_structure import flattened
from benchmarks.conformance.random_graphs import Case
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.records import Records
from snnergy.artefacts.samples import Samples
from snnergy.neuromorphic import emulator, lava
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.graph.source import NirSource
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.ir import QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.limits import BIAS_MANTISSA_MAX, WEIGHT_EXPONENT_MAX
from snnergy.neuromorphic.lowering.lower import lower

LAVA_TIMEOUT_S = 1800.0


@dataclass
class Count:
    """Of one comparison. mismatches: by graph and node. ties: spikes within the rounding of a threshold."""

    graphs: int = 0
    nodes: int = 0
    values: int = 0
    spikes: int = 0
    ties: int = 0
    mismatches: dict[str, int] = field(default_factory=dict)

    def add(self, other: Count) -> None:
        """Everything of `other`."""
        for name in ("graphs", "nodes", "values", "spikes", "ties"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.mismatches |= other.mismatches

    def differ(self, where: str, number: int) -> None:
        """Note `number` values that differ."""
        if number:
            self.mismatches[where] = self.mismatches.get(where, 0) + number


@dataclass
class Built:
    """A case as the toolchain has it."""

    case: Case
    source: NirSource
    net: QuantNet


def build(case: Case) -> Built:
    """Read and lower the graph.

    Raises:
        UserError: the toolchain refuses it, and says why.
    """
    source = from_graph(case.graph, case.dt, name=f"seed {case.seed}")
    conventions = Conventions(case.dt, case.reset, case.spikes, case.integration, case.gain)  # type: ignore[arg-type]
    source = replace(source, conventions=conventions)
    rng = np.random.default_rng((case.seed, 1))
    # Calibrated on the first sample alone, or not at all, so that the others may drive it beyond its ranges.
    calibration = {name: array[:1] for name, array in case.inputs.items()}
    net = lower(source, Samples(calibration) if rng.random() < 0.6 else None).net
    return Built(case, source, stressed(net, rng) if rng.random() < 0.3 else net)


def stressed(net: QuantNet, rng: np.random.Generator) -> QuantNet:
    """The network with louder synapses and larger biases, so that currents wrap around and membranes saturate."""
    spiking = {p.name for p in net.populations if p.spiking}

    def louder(s: QuantSynapse) -> QuantSynapse:
        if s.target not in spiking:
            return s
        return replace(s, exponent=min(s.exponent + int(rng.integers(1, 14)), WEIGHT_EXPONENT_MAX))

    def biased(p: QuantPopulation) -> QuantPopulation:
        if not p.spiking or rng.random() < 0.5:
            return p
        bias = rng.integers(-BIAS_MANTISSA_MAX, BIAS_MANTISSA_MAX + 1, p.bias.shape).astype(np.int32)
        return replace(p, bias=bias)

    return replace(net, populations=tuple(map(biased, net.populations)), synapses=tuple(map(louder, net.synapses)))


def compare_float(built: Built) -> Count:
    """Every node, sample and step of both oracles; the naive one goes on with the spikes of the other."""
    case, source = built.case, built.source
    found = interpret(source, dict(case.inputs), keep=frozenset(source.order)).values
    expected_nodes, _ = flattened(case.graph)
    count = Count(graphs=1, nodes=len(expected_nodes))
    spiking = set(source.of_kind("neuron"))
    for name in sorted(_important(expected_nodes) - set(found)):
        count.differ(f"{case.seed} {name} is missing", 1)
    for n in range(len(next(iter(case.inputs.values())))):
        values = {name: np.asarray(value[n].numpy(), np.float64) for name, value in found.items()}
        outcome = naive_oracle.simulate(
            case.graph,
            {name: array[n] for name, array in case.inputs.items()},
            dt=case.dt,
            reset=case.reset,
            spikes=case.spikes,
            integration=case.integration,
            gain=case.gain,
            follow={name: values[name] for name in spiking},
        )
        count.ties += outcome.ties
        for name, number in outcome.differing.items():
            count.differ(f"{case.seed} {name}", number)
        for name in set(outcome.values) & set(values):
            expected, value = outcome.values[name], values[name]
            count.values += value.size
            if name in spiking:
                count.spikes += int(value.sum())
                continue
            if expected.size != value.size:
                count.differ(f"{case.seed} {name}", value.size)
                continue
            off = np.abs(expected.reshape(value.shape) - value)
            allowed = naive_oracle.ROUNDING * outcome.sizes[name].reshape(value.shape)
            count.differ(f"{case.seed} {name}", int((off > allowed).sum()))
    return count


def _important(nodes: Mapping[str, Any]) -> set[str]:
    linear = ("Flatten", "Input", "Output", "Scale", "Delay", "Linear", "Affine")
    return {name for name, node in nodes.items() if type(node).__name__ not in linear and "Conv" not in str(type(node))}


def side_by_side(nets: Mapping[str, QuantNet]) -> QuantNet:
    """One network of several, the names of each behind its key and a dot."""
    ports, populations, synapses, outputs = [], [], [], []
    for key, net in nets.items():
        ports += [replace(p, name=f"{key}.{p.name}") for p in net.inputs]
        populations += [replace(p, name=f"{key}.{p.name}") for p in net.populations]
        synapses += [replace(s, source=f"{key}.{s.source}", target=f"{key}.{s.target}") for s in net.synapses]
        outputs += [f"{key}.{name}" for name in net.outputs]
    return QuantNet(tuple(ports), tuple(populations), tuple(synapses), tuple(outputs))


def compare_chip(builts: Sequence[Built]) -> tuple[Count, Counter[str]]:
    """Spikes, u and v of every population in every step, all samples streamed; and how many wrapped and clipped."""
    inputs = {b.case.seed: to_integers(Samples(b.case.inputs), b.net.inputs) for b in builts}
    merged = side_by_side({str(b.case.seed): b.net for b in builts})
    streams = {f"{seed}.{name}": array for seed, arrays in inputs.items() for name, array in arrays.items()}
    theirs = lava.run(merged, streams, record_state=True, timeout_s=LAVA_TIMEOUT_S)
    count, overflows = Count(graphs=len(builts)), Counter[str]()
    for b in builts:
        ours = emulator.run(b.net, inputs[b.case.seed], record_state=True)
        count.add(_equal(b, ours, theirs))
        overflows["wrapped"] += sum(wrapped for wrapped, _ in ours.overflows.values())
        overflows["clipped"] += sum(clipped for _, clipped in ours.overflows.values())
    return count, overflows


def _equal(b: Built, ours: Records, theirs: Records) -> Count:
    count = Count(nodes=len(b.net.populations))
    for p in b.net.populations:
        key = f"{b.case.seed}.{p.name}"
        pairs: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = [
            (ours.u[p.name], theirs.u[key]),
            (ours.v[p.name], theirs.v[key]),
        ]
        if p.spiking:
            pairs.append((ours.values[p.name], theirs.values[key]))
            count.spikes += int(ours.values[p.name].sum())
        for expected, found in pairs:
            count.values += expected.size
            count.differ(f"{b.case.seed} {p.name}", int(np.count_nonzero(expected != found)))
    return count


def refusal(case: Case) -> tuple[Built | None, str]:
    """The case built, or why it is refused."""
    try:
        return build(case), ""
    except UserError as error:
        return None, error.violations[0]
