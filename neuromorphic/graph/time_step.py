"""The time step of a graph, which NIR does not store: given, declared, or inferred from the parameters by a named rule.

Frameworks that step in whole steps fold dt into what they write, each in its own way, so that the parameters tell it.
Every node is asked by every rule of `_RULES`; what they find must be one and the same step, or nothing is chosen.
Where no node tells, a guess is taken only if the network is alive with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.metadata import LARGEST, SMALLEST
from snnergy.neuromorphic.graph.nodes import rule_of

# Published reference graphs that store no dt were written with this step (NIR paper, Pedersen et al. 2024), and it is
# what snnTorch and SpikingJelly export with unless told otherwise.
_CUSTOMARY_DT = 1e-4
# Norse writes dt/tau_inv for a time constant of 1/tau_inv; with its dt of 1e-3 s a unit of the file is 1e-3 s.
_NORSE_DT = 1e-6
_NORSE_TAU = (1e-6, 1e-3)  # 1 ms, below which its Euler step is unstable, to 1 s in that unit
_SAME = 1e-6  # relative: parameters are float32, and a ratio of two of them is off by a few of its ulps
_DIGITS = 3  # of a step that somebody chose; one in 500 other numbers is as close to so round a one
_NAMED = 3


@dataclass(frozen=True)
class Candidate:
    """A time step, and what speaks for it."""

    dt: float
    reason: str


@dataclass(frozen=True)
class TimeStep:
    """The time step in the unit of the graph's time constants. reason: the rule that it comes from, as users read it.

    others: what else the parameters could mean. notes: what a reader of results should know of the choice.
    """

    dt: float
    reason: str
    others: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()


class UndecidedStep(UserError):
    """The parameters speak for several time steps, or for none with which the network is alive."""

    def __init__(self, problem: str, candidates: tuple[Candidate, ...]) -> None:
        listed = "; ".join(f"{candidate.dt:g} if {candidate.reason}" for candidate in candidates)
        super().__init__(f"{problem}; give dt: {listed or 'the step that the time constants were written for'}")
        self.candidates = candidates


def choose_dt(
    name: str,
    nodes: Mapping[str, Any],
    declared: Any,
    dt: float | None,
    silent: Callable[[float], list[str]],
) -> TimeStep:
    """The time step of the graph `name`.

    Args:
        nodes: of types that are in the table, with sound parameters.
        declared: what the file's metadata say, within its range; None if nothing.
        dt: what the user asks for; None leaves the choice to the graph.
        silent: names of the neurons that cannot fire with a time step, whatever reaches them.

    Raises:
        UserError: `dt` is not within its range above 0.
        UndecidedStep: no step is given, and none can be inferred.
    """
    if dt is not None:
        if not SMALLEST <= dt <= LARGEST:
            raise UserError(
                f"dt {dt}: must be above 0, within {SMALLEST:g}..{LARGEST:g}; give the step the time constants were "
                "written for"
            )
        likely = _told(nodes) or _guesses(nodes, _shortest(nodes))[1]
        return TimeStep(dt, "given", tuple(candidate for candidate in likely if not _same(candidate.dt, dt)))
    found = _told(nodes)
    if declared is not None:
        chosen = float(np.asarray(declared).item())
        others = tuple(candidate for candidate in found if not _same(candidate.dt, chosen))
        notes = tuple(
            f"time step {chosen:g} from the file's metadata, though {candidate.reason}, which means {candidate.dt:g}"
            for candidate in others
        )
        return TimeStep(chosen, "from the file's metadata", others, notes)
    shortest = _shortest(nodes)
    if not found:
        return _guess(name, nodes, shortest, silent)
    if len(found) == 1 and not _shorter(shortest, found[0].dt):
        return TimeStep(found[0].dt, f"inferred: {found[0].reason}")
    candidates = (*found, *_guesses(nodes, shortest)[1]) if len(found) == 1 else found
    short = f", but a time constant is {shortest:g}" if len(found) == 1 else ""
    raise UndecidedStep(f"{name}: the parameters disagree on the time step{short}", candidates)


def hints(nodes: Mapping[str, Any]) -> tuple[str, ...]:
    """What the parameters tell of how a step is taken, for whoever chose nothing of that."""
    names = [name for name, node in nodes.items() if _decayed_gain(node) is not None]
    if not names:
        return ()
    rule = f"r = tau/dt · exp(−dt/tau) in {_listed(names)}"
    return (
        f"{rule} is written where a step decays by exp(−dt/tau) and adds its input whole; if this one did, ask for "
        "integration exponential and gain one",
    )


def _guess(name: str, nodes: Mapping[str, Any], shortest: float, silent: Callable[[float], list[str]]) -> TimeStep:
    likely, candidates = _guesses(nodes, shortest)
    if not likely:
        raise UndecidedStep(f"{name}: nothing tells the time step, and a time constant is {shortest:g}", candidates)
    best = candidates[0]
    note = f"time step {best.dt:g} is a guess ({best.reason}); give dt if the framework stepped otherwise"
    if dead := silent(best.dt):
        if not all(silent(other.dt) for other in candidates[1:]):
            problem = f"nothing tells the time step, and with {best.dt:g} node {dead[0]!r} could not fire"
            raise UndecidedStep(f"{name}: {problem}, whatever reaches it", candidates)
        note += f"; with none of the likely steps could node {dead[0]!r} fire"
    return TimeStep(best.dt, f"guessed: {best.reason}", candidates[1:], (note,))


def _guesses(nodes: Mapping[str, Any], shortest: float) -> tuple[bool, tuple[Candidate, ...]]:
    """Steps that frameworks use where the parameters do not tell, none above a time constant; whether the first of them
    is likely enough to be taken.
    """
    if shortest == math.inf:
        return True, (Candidate(1.0, "there is no time constant, so that a step is the unit of time"),)
    longest = max(float(taus.max()) for taus in _time_constants(nodes))
    found = [Candidate(_CUSTOMARY_DT, "it is the customary step, as in SpikingJelly and snnTorch")]
    if _NORSE_TAU[0] <= shortest and longest <= _NORSE_TAU[1]:
        found.append(Candidate(_NORSE_DT, "time constants are dt/tau_inv, as Norse writes them with its dt of 1e-3"))
    likely = not _shorter(shortest, found[-1].dt)
    found.append(Candidate(1e-3, "time constants are seconds, in steps of a millisecond"))
    found.append(Candidate(shortest / 2, "the shortest time constant is 2 steps, SpikingJelly's default"))
    fitting = [candidate for candidate in found if not _shorter(shortest, candidate.dt)]
    return likely, tuple(c for i, c in enumerate(fitting) if not any(_same(c.dt, b.dt) for b in fitting[:i]))


def _told(nodes: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """What the rules find in all nodes: each time step once, with the rules and nodes that speak for it."""
    votes: list[tuple[float, str, list[str]]] = []
    for name, node in nodes.items():
        for dt, rule in _votes(node):
            known = next((vote for vote in votes if _same(vote[0], dt) and vote[1] == rule), None)
            if known is None:
                votes.append((dt, rule, [name]))
            else:
                known[2].append(name)
    found: list[Candidate] = []
    for dt, rule, names in votes:
        reason = f"{rule} in {_listed(names)}"
        at = next((i for i, candidate in enumerate(found) if _same(candidate.dt, dt)), None)
        if at is None:
            found.append(Candidate(dt, reason))
        else:
            found[at] = Candidate(found[at].dt, f"{found[at].reason}, {reason}")
    return tuple(found)


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _votes(node: Any) -> Iterator[tuple[float, str]]:
    """What each rule finds in one node, with the rule's name."""
    for rule in _RULES:
        dt = rule.step(node)
        if dt is not None:
            yield dt, rule.name


@dataclass(frozen=True)
class _Rule:
    """name: as users read it. step: the time step that a node's parameters follow from; None where they tell none."""

    name: str
    step: Callable[[Any], float | None]


def _integrating(node: Any) -> float | None:
    """IF: r = 1 (sinabs, a step adds the whole input) or r = 1/dt (SpikingJelly)."""
    if rule_of(node).kind != "neuron" or not hasattr(node, "r") or any(True for _ in _own_time_constants(node)):
        return None
    return _step(1.0 / _values(node, "r"), varied=False) if _all_positive(node, "r") else None


def _gain(node: Any) -> float | None:
    """r = tau/dt, so that a step adds the whole input (snnTorch; SpikingJelly's CubaLIF)."""
    return _ratio(node, "r", rule_of(node).time_constant)


def _current_gain(node: Any) -> float | None:
    """w_in = tau_syn/dt, likewise for the current."""
    return _ratio(node, "w_in", "tau_syn")


def _decayed_gain(node: Any) -> float | None:
    """r = tau/dt · exp(−dt/tau), so that a step adds the input and then decays it (Rockpool)."""
    tau_name = rule_of(node).time_constant
    if not tau_name or _gain(node) is not None or not _all_positive(node, "r") or _is_one(node, "r"):
        return None
    r, tau = _values(node, "r"), _values(node, tau_name)
    steps = r + 1.0  # tau/dt: x·exp(−1/x) = r, by Newton; x − r lies within 0..1 for all but the smallest
    for _ in range(30):
        e = np.exp(-1.0 / steps)
        steps = np.maximum(steps - (steps * e - r) / (e * (1.0 + 1.0 / steps)), 0.1)
    return _step(tau / steps, varied=_varies(tau))


def _in_steps(node: Any) -> float | None:
    """Time constants from 1 on count steps (sinabs)."""
    taus = [float(tau.min()) for tau in _own_time_constants(node)]
    return 1.0 if taus and min(taus) >= 1.0 else None


_RULES = (
    _Rule("r = 1/dt", _integrating),
    _Rule("r = tau/dt", _gain),
    _Rule("r = tau/dt · exp(−dt/tau)", _decayed_gain),
    _Rule("w_in = tau_syn/dt", _current_gain),
    _Rule("time constants count steps", _in_steps),
)


def _ratio(node: Any, gain: str, tau: str) -> float | None:
    """The step of a gain that is tau/dt; a gain of 1 tells nothing."""
    if not tau or not hasattr(node, gain) or not hasattr(node, tau):
        return None
    if not _all_positive(node, gain) or _is_one(node, gain):
        return None
    taus = _values(node, tau)
    return _step(taus / _values(node, gain), varied=_varies(taus))


def _step(found: npt.NDArray[np.float64], *, varied: bool) -> float | None:
    """The one time step in `found`, rounded as it was chosen; None if it is no one, or nobody would choose it.

    varied: the parameters behind it differ between neurons, so that their agreement is no coincidence.
    """
    middle = float(np.median(found))
    if not SMALLEST <= middle <= LARGEST or not np.allclose(found, middle, rtol=_SAME, atol=0):
        return None
    rounded = float(f"{middle:.{_DIGITS - 1}e}")
    if _same(rounded, middle) and (varied or rounded <= 1.0):
        return rounded
    return middle if varied else None


def _values(node: Any, field: str) -> npt.NDArray[np.float64]:
    """A parameter, as one number where it is the same for all neurons."""
    values = np.asarray(getattr(node, field)).reshape(-1)
    return (values[:1] if values.min() == values.max() else values).astype(np.float64)


def _all_positive(node: Any, field: str) -> bool:
    return bool((_values(node, field) > 0).all())


def _is_one(node: Any, field: str) -> bool:
    return bool(np.allclose(_values(node, field), 1.0, rtol=_SAME, atol=0))


def _varies(values: npt.NDArray[np.float64]) -> bool:
    return not np.allclose(values, values.flat[0], rtol=10 * _SAME, atol=0)


def _own_time_constants(node: Any) -> Iterator[npt.NDArray[np.float64]]:
    for field in vars(node):
        if field in ("tau", "tau_mem", "tau_syn"):
            yield _values(node, field)


def _time_constants(nodes: Mapping[str, Any]) -> Iterator[npt.NDArray[np.float64]]:
    for node in nodes.values():
        yield from _own_time_constants(node)


def _shortest(nodes: Mapping[str, Any]) -> float:
    """The shortest time constant, infinite where there is none."""
    return min((float(taus.min()) for taus in _time_constants(nodes)), default=math.inf)


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=2 * _SAME)


def _shorter(tau: float, dt: float) -> bool:
    """Whether a time constant is below a step, which in float32 are equal up to a few ulps."""
    return tau < dt and not _same(tau, dt)
