"""Results in words, for a terminal: what a command and the demo both print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnergy.terminal import Terminal

if TYPE_CHECKING:
    from snnergy.neuromorphic.lowering.fidelity import FidelityReport

_WORST_SHOWN = 5


def show_obstacles(terminal: Terminal, obstacles: tuple[str, ...]) -> None:
    """Print why stock netx would not reproduce a network, if so: the first reason, and how many more there are."""
    if obstacles:
        more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
        terminal.say(f"stock lava-dl netx cannot run this file, snnergy simulate can: {obstacles[0]}{more}")


def show_fidelity(terminal: Terminal, report: FidelityReport) -> None:
    """Print what quantization cost, and the nodes that lost most."""
    terminal.say(f"time step {report.dt:g} ({report.dt_reason})")
    if not report.samples:
        terminal.say("fidelity not measured: pass --calibration with samples to choose scales on, and to measure")
        return
    if report.accuracy_float is not None and report.accuracy_quantized is not None:
        terminal.say(
            f"accuracy on {report.samples} calibration samples: {report.accuracy_float:.2%} in float, "
            f"{report.accuracy_quantized:.2%} in 8 bits"
        )
    terminal.say(f"same prediction in float and in 8 bits: {report.same_prediction:.2%} of samples")
    worst = sorted(report.nodes, key=lambda node: node.own_error or 0.0, reverse=True)[:_WORST_SHOWN]
    terminal.table(
        f"Nodes that quantization changed most, of {len(report.nodes)}",
        ("node", "own error", "agreement end to end", "weights clipped"),
        [(n.node, f"{n.own_error or 0:.3%}", f"{n.agreement or 0:.3%}", str(n.saturated)) for n in worst],
    )
