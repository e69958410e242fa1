"""When each value of a streamed run is where: from Lava's time steps to logical time and back.

With N samples of T steps, input step t of sample n leaves its source at Lava step 1 + n·T + t, and each synapse
takes one step, so that a population at depth d handles it at

    Lava step  1 + n·T + t + d .

Samples follow one another without a gap: populations clear their state when their first step of a sample arrives,
and a delay drops what would arrive after its sample has ended (`SpikeDelay`).
"""

from __future__ import annotations

from dataclasses import dataclass

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import IntArray
from snnergy.neuromorphic.ir import QuantNet


@dataclass(frozen=True)
class Schedule:
    """samples, steps: N and T. depth: of the deepest population. reset: whether state is cleared between samples."""

    samples: int
    steps: int
    depth: int
    reset: bool

    @property
    def lava_steps(self) -> int:
        """Steps until the deepest population has handled the last step of the last sample."""
        return self.samples * self.steps + self.depth

    @property
    def reset_interval(self) -> int:
        """Of LIFReset. Without reset it spans the run: warm-up is cleared once, before the first input arrives."""
        return self.steps if self.reset else self.lava_steps + 1

    def reset_offset(self, depth: int) -> int:
        """Of LIFReset for a population at `depth`."""
        return (1 + depth) % self.reset_interval


def schedule_of(net: QuantNet, inputs: dict[str, IntArray]) -> Schedule:
    """The schedule of a run.

    Raises:
        UserError: inputs of different length, or branches that do not arrive together.
    """
    depths = {port.name: 0 for port in net.inputs} | {p.name: p.depth for p in net.populations}
    violations = [
        f"{s.source} → {s.target}: starts at depth {depths[s.source]}, takes 1 + {s.balance} steps and should "
        f"arrive at depth {depths[s.target]}; balance the network's delays first"
        for s in net.synapses
        if depths[s.source] + 1 + s.balance != depths[s.target]
    ]
    lengths = {name: array.shape[:2] for name, array in inputs.items()}
    samples, steps = next(iter(lengths.values()))
    if len(set(lengths.values())) > 1:
        violations.append(f"inputs differ in samples or steps: {lengths}; give all the same")
    if samples < 1 or steps < 1:
        violations.append(f"inputs hold {samples} samples of {steps} steps; give at least one of each")
    assert net.reset or samples == 1, "a network that keeps its state is run on one stream"
    if violations:
        raise UserError(violations)
    return Schedule(samples, steps, max(depths.values()), net.reset)
