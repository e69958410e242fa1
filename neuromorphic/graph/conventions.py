"""What NIR leaves open and every equation needs: time step, how it is taken, what spikes do, how many there are."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from snnergy.artefacts.display import listed
from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.ir import RESETS, SPIKES, Reset, Spikes

Integration = Literal["euler", "exponential"]  # of NIR's equations over a step: to first order, or exactly
Gain = Literal["file", "one"]  # of what enters a neuron: as r and w_in say, or 1 whatever they say
# What a user can choose, for all nodes or by the name of one.
CHOICES: dict[str, tuple[Any, ...]] = {
    "reset": RESETS,
    "spikes": SPIKES,
    "integration": get_args(Integration),
    "gain": get_args(Gain),
}
Resets = Reset | Mapping[str, Reset]
SpikesBy = Spikes | Mapping[str, Spikes]
Integrations = Integration | Mapping[str, Integration]
Gains = Gain | Mapping[str, Gain]

# nir 1.0.5 gave neurons a v_reset; until then a spike meant v − threshold (the NIR paper).
_RESET_SINCE = (1, 0, 5)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")


@dataclass(frozen=True)
class Conventions:
    """How a graph is to be read.

    dt: time step in the unit of the graph's time constants. reset, spikes: as in `FloatPopulation`; `hard` puts the
    membrane to v_reset. integration, gain: as in `nodes.membrane`. own: what single nodes have otherwise, by name.
    """

    dt: float
    reset: Reset = "hard"
    spikes: Spikes = "one"
    integration: Integration = "euler"
    gain: Gain = "file"
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, node: str) -> Conventions:
        """Those of one node."""
        return replace(self, own={}, **self.own[node]) if node in self.own else self

    def __str__(self) -> str:
        """In words."""
        words = [
            f"reset {self.reset}",
            f"{self.spikes} spike{'s' * (self.spikes == 'many')} a step",
            f"integration {self.integration}",
            f"gain {self.gain}",
        ]
        words += [f"{what} {value} of {node!r}" for node, own in self.own.items() for what, value in own.items()]
        return ", ".join(words)


def choose(
    wanted: Mapping[str, Any], nodes: Collection[str], dt: float, version: str, resets: bool
) -> tuple[Conventions, str]:
    """The conventions that a user asks for, where those leave it open the file's, and where what a spike does is from.

    Args:
        wanted: of each of `CHOICES`, what all nodes have, or what single ones have by name; None leaves it open.
        nodes: names of the neurons and readouts.
        version: nir's, of the file; empty where it is not known.
        resets: whether neurons say what they reset to.

    Raises:
        UserError: with each value and each node that there is not.
    """
    reset, reason = _reset_of_file(version, resets)
    chosen: dict[str, Any] = {"reset": reset}
    own: dict[str, dict[str, Any]] = {}
    found: list[str] = []
    for what, asked in wanted.items():
        if asked is not None and not isinstance(asked, Mapping):
            chosen[what] = asked
            reason = "given" if what == "reset" else reason
        for node, value in asked.items() if isinstance(asked, Mapping) else ():
            own.setdefault(node, {})[what] = value
            if node not in nodes:
                known = f"there are {listed(list(nodes))}" if nodes else "there is none"
                found.append(f"{what} of {node!r}: there is no such neuron or readout; {known}")
    for given in (chosen, *own.values()):
        for what, value in given.items():
            if value not in CHOICES[what]:
                found.append(f"{what} {value!r}: must be one of {', '.join(CHOICES[what])}")
    if found:
        raise UserError(found)
    return Conventions(dt, own=own, **chosen), reason


def _reset_of_file(version: str, resets: bool) -> tuple[Reset, str]:
    """What a spike does to the membrane, and where that comes from."""
    found = _VERSION.match(version)
    if resets:
        return "hard", "neurons have a v_reset"
    if found is None:
        return "hard", "assumed, as the file names neither its version nor a v_reset"
    if tuple(map(int, found.groups())) < _RESET_SINCE:
        return "soft", f"written by nir {found[0]}, without v_reset: before 1.0.5 a spike meant v − threshold"
    return "hard", f"as nir {found[0]} means it, v_reset is 0"
