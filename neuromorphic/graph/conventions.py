"""What NIR leaves open and every equation needs: the time step, what a spike does, how many of them a step has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, get_args

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.ir import Reset, Spikes

# nir 1.0.5 gave neurons a v_reset; until then a spike meant v − threshold (the NIR paper).
_RESET_SINCE = (1, 0, 5)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")


@dataclass(frozen=True)
class Conventions:
    """How a graph is to be read.

    dt: time step in the unit of the graph's time constants. reset, spikes: as in `FloatPopulation`; `hard` puts the
    membrane to v_reset.
    """

    dt: float
    reset: Reset = "hard"
    spikes: Spikes = "one"


def choose_reset(wanted: Reset | None, version: str, resets: bool) -> tuple[Reset, str]:
    """What a spike does to the membrane, and where that comes from.

    Args:
        wanted: what the user asks for; None leaves the choice to the file.
        version: nir's, of the file; empty where it is not known.
        resets: whether neurons say what they reset to.
    """
    if wanted is not None:
        return _one_of("reset", wanted, get_args(Reset)), "given"
    found = _VERSION.match(version)
    if resets:
        return "hard", "neurons have a v_reset"
    if found is None:
        return "hard", "assumed, as the file names neither its version nor a v_reset"
    if tuple(map(int, found.groups())) < _RESET_SINCE:
        return "soft", f"written by nir {found[0]}, without v_reset: before 1.0.5 a spike meant v − threshold"
    return "hard", f"as nir {found[0]} means it, v_reset is 0"


def choose_spikes(wanted: Spikes | None) -> Spikes:
    """How many spikes a step has; one unless the user asks for more, for no file says so."""
    return "one" if wanted is None else _one_of("spikes", wanted, get_args(Spikes))


def _one_of(what: str, wanted: str, choices: tuple[str, ...]) -> Any:
    if wanted not in choices:
        raise UserError(f"{what} {wanted!r}: must be one of {', '.join(choices)}")
    return wanted
