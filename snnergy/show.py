"""Results in words, for a terminal: what a command and the demo both print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snnergy.artefacts.display import listed, percent
from snnergy.terminal import Terminal

if TYPE_CHECKING:
    from snnergy.neuromorphic.lowering.fidelity import FidelityReport, NodeFidelity
    from snnergy.neuromorphic.lowering.reference import ReferenceFidelity

_WORST_SHOWN = 5


def show_warnings(terminal: Terminal, lines: Sequence[str]) -> None:
    """Print what must be known of a result beside it."""
    for line in lines:
        terminal.say(f"warning: {line}")


def show_fidelity(terminal: Terminal, report: FidelityReport) -> None:
    """Print what quantization cost, and the nodes that lost most."""
    terminal.say(f"time step {report.dt:g} ({report.dt_reason}); {report.conventions}")
    if report.samples:
        _show_measured(terminal, report)
    else:
        terminal.say("fidelity not measured: pass --calibration with samples to choose scales on, and to measure")
    if report.stock_obstacles:
        terminal.say(f"stock netx cannot read the network: {listed(report.stock_obstacles, 2)}")
    show_warnings(terminal, report.warnings)


def _show_measured(terminal: Terminal, report: FidelityReport) -> None:
    if report.accuracy_float is not None and report.accuracy_quantized is not None:
        terminal.say(
            f"accuracy on {report.samples} calibration samples: {report.accuracy_float:.2%} in float, "
            f"{report.accuracy_quantized:.2%} in {report.bits} bits"
        )
    terminal.say(f"same prediction in float and in {report.bits} bits: {report.same_prediction:.2%} of samples")
    worst = sorted(report.nodes, key=_loss, reverse=True)[:_WORST_SHOWN]
    terminal.table(
        f"Nodes that quantization changed most, of {len(report.nodes)}",
        ("node", "verdict", "spikes, float → chip", "overlap", "distance", "own error"),
        [
            (
                n.node,
                n.verdict,
                "–" if n.spikes_float is None else f"{n.spikes_float} → {n.spikes_chip}",
                percent(n.overlap),
                "–" if n.distance is None else f"{n.distance:.3f}",
                percent(n.own_error),
            )
            for n in worst
        ],
    )
    if report.reference is not None:
        _show_reference(terminal, report.reference, report.bits)


def _loss(node: NodeFidelity) -> float:
    """How much of what a node sends is not the float model's, from 0 to 1; all of it where nothing was compared."""
    kept = node.agreement if node.spikes_float is None else node.overlap
    return 1.0 - (kept or 0.0)


def _show_reference(terminal: Terminal, reference: ReferenceFidelity, bits: int) -> None:
    accuracy = "" if reference.accuracy is None else f", accuracy {reference.accuracy:.2%} in the framework"
    counts = ""
    if reference.spikes_reference is not None:
        counts = (
            f"; spikes {reference.spikes_reference} in the framework, {reference.spikes_float} in float, "
            f"{reference.spikes_chip} in {bits} bits"
        )
    terminal.say(
        f"against the framework's own output {reference.output!r}: likeness {reference.likeness_float:.2%} in float, "
        f"{reference.likeness_chip:.2%} in {bits} bits; same prediction {reference.same_prediction_float:.2%} and "
        f"{reference.same_prediction_chip:.2%}{counts}{accuracy}"
    )
