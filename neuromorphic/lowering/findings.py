"""What whoever reads any result of a compiled network must know of it, a line for each kind of finding.

The lines go into the fidelity report, and with the network into recorded activity and the energy report: what was lost
to registers, and what the calibration samples gave no evidence of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from snnergy.artefacts.display import listed
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.inputs import payload_range
from snnergy.neuromorphic.ir import FloatNet, QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.limits import ALIGN_SHIFT, DECAY_ONE, STATE_MAX
from snnergy.neuromorphic.lowering.measures import by_guessing
from snnergy.neuromorphic.passes.quantize import QuantizeResult
from snnergy.neuromorphic.passes.round_decays import changed_time_constants
from snnergy.neuromorphic.taps import largest_row_sum

if TYPE_CHECKING:
    from snnergy.neuromorphic.lowering.fidelity import FidelityReport

_VANISHED_SHARE = 0.5  # of a population's weights that may round to 0 without a word
_SIGNIFICANT = 0.01  # a guess would do as well as an accuracy with a larger probability than this: no evidence


def found(floating: FloatNet, result: QuantizeResult, report: FidelityReport) -> tuple[str, ...]:
    """Every finding on a network and its report."""
    lines = [*_lost_to_registers(floating, result), *_measured(report, result.net.population(report.readout).size)]
    if report.reference is not None and report.reference.lost:
        lines.append(report.reference.lost)
    return tuple(lines)


def _lost_to_registers(floating: FloatNet, result: QuantizeResult) -> Iterator[str]:
    """What integers could not hold, whatever the samples."""
    done = result.populations
    zero = [name for name, q in done.items() if q.weights and not any(s.operator.weight.any() for s in q.synapses)]
    yield from _line(zero, "every weight is 0 on the chip: {} get nothing of what drives them")
    vanished = [
        f"{name} ({q.vanished} of {q.weights})"
        for name, q in done.items()
        if name not in zero and q.vanished > _VANISHED_SHARE * q.weights
    ]
    yield from _line(
        vanished, "most weights round to 0: {}; they are far below the threshold, the bias or other weights"
    )
    unreached = [p.name for p in result.net.populations if p.name not in zero and not _reaches(result.net, p)]
    yield from _line(unreached, "no input can lift the membrane to the threshold: {} never fire on the chip")
    yield from rounded_decays(floating)


def rounded_decays(net: FloatNet) -> Iterator[str]:
    """What 12 bits change of the decays of a network whose decays are not rounded yet."""
    rounded = [text for population in net.populations if (text := changed_time_constants(population))]
    yield from _line(rounded, "rounding to 12 bits changes time constants: {}")


def _measured(report: FidelityReport, classes: int) -> Iterator[str]:
    """What the calibration samples show, and what they cannot show.

    Args:
        classes: how many the readout tells apart.
    """
    spiking = [node for node in report.nodes if node.spikes_float is not None]
    quiet = [n.node for n in spiking if n.spikes_float == n.spikes_chip == 0]
    yield from _line(
        quiet, "never fires on the calibration samples, in float or on the chip: {}; nothing of it is measured"
    )
    lost = [f"{n.node} ({n.spikes_float} spikes in float)" for n in spiking if n.spikes_float and not n.spikes_chip]
    yield from _line(lost, "never fires on the chip: {}")
    gained = [f"{n.node} ({n.spikes_chip} spikes)" for n in spiking if n.spikes_chip and not n.spikes_float]
    yield from _line(gained, "fires on the chip and never in float: {}")
    wrapped = [f"{n.node} ({n.wrapped} times)" for n in report.nodes if n.wrapped]
    yield from _line(wrapped, "u wraps around at 24 bits on the calibration samples, what follows is meaningless: {}")
    clipped = [f"{n.node} ({n.clipped} times)" for n in report.nodes if n.clipped]
    yield from _line(clipped, "v is clipped to 24 bits on the calibration samples: {}")
    for accuracy, where in ((report.accuracy_float, "in float"), (report.accuracy_quantized, f"in {report.bits} bits")):
        if accuracy is not None and (p := by_guessing(accuracy, report.samples, classes)) > _SIGNIFICANT:
            yield (
                f"accuracy {accuracy:.2%} {where} on {report.samples} samples is no evidence of more than guessing "
                f"among {classes} classes (binomial test, p = {p:.2g}); check time step, inputs and labels"
            )


def _line(names: list[str], text: str) -> Iterator[str]:
    if names:
        yield text.format(listed(names))


def _reaches(net: QuantNet, population: QuantPopulation) -> bool:
    """Whether the strongest drive that its synapses can carry, held for ever, lifts v above the threshold."""
    if not population.spiking:
        return True
    sent = {port.name: payload_range(port) for port in net.inputs}
    sent |= {p.name: (0, STATE_MAX if p.spikes == "many" else 1) for p in net.populations}
    drive = sum(_strongest(s, *sent[s.source]) for s in net.incoming(population.name))
    bias = float(population.bias.max(initial=0))
    u = _steady(drive, np.asarray(population.du))
    v = _steady(u + bias, np.asarray(population.dv))
    return v * (1 << ALIGN_SHIFT) > population.vth << ALIGN_SHIFT


def _steady(drive: float, decay: IntArray) -> float:
    """Where a state that loses `decay` of 4096 in each step settles; infinite where it loses nothing."""
    slowest = float(decay.min())
    return drive * DECAY_ONE / slowest if slowest else (float("inf") if drive > 0 else drive)


def _strongest(synapse: QuantSynapse, low: int, high: int) -> float:
    """The most that `synapse` can add in one step: each source sends what lifts its target most, from low to high."""
    weight = synapse.operator.weight.astype(np.float64)
    lifts = largest_row_sum(synapse.operator, np.maximum(weight * low, weight * high))
    return lifts * 2.0**synapse.exponent
