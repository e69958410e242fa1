"""Finds the rounding of a population that comes nearest to the float model, driven by the float model's own sources.

Every candidate is tried on a few samples, then whichever has been least off so far on a few more. Errors only grow, so
that a candidate which is further off on some of the samples than another on all of them has lost: the outcome is that
of trying each on all. Candidates whose weights are the same but for a shift of all sums share the sums.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from snnergy.neuromorphic.emulator.trial import Apart, Form, Trial
from snnergy.neuromorphic.emulator.trials import trials
from snnergy.neuromorphic.ir import QuantSynapse
from snnergy.neuromorphic.passes.calibration import Calibration
from snnergy.neuromorphic.passes.rounding import Quantized, Setting, Task, rounded

# Neurons times steps that are tried at once, if a sample has no more.
_PIECE = 1 << 18


@dataclass(eq=False)
class _Runner:
    """A candidate. place: among those of its race. done: pieces that it has been tried on, and how it did."""

    quantized: Quantized
    form: Form
    lane: _Lane
    place: int
    done: int = 0
    so_far: Apart = field(default_factory=Apart)

    @property
    def rank(self) -> tuple[float, int, int]:
        """What the best has least of, if none is mute."""
        return self.so_far.differing, self.so_far.distance, self.place


@dataclass(eq=False)
class _Lane:
    """One set of weights, with all that run behind it."""

    synapses: tuple[QuantSynapse, ...]
    trial: Trial
    runners: list[_Runner] = field(default_factory=list)


@dataclass(eq=False)
class _Race:
    """Candidates of which one is the best. waiting: settings that none of them is of yet."""

    waiting: deque[Setting]
    runners: list[_Runner] = field(default_factory=list)
    winner: Quantized | None = None
    best: tuple[float, int, int] = (math.inf, 0, 0)

    @property
    def exact(self) -> bool:
        """Whether nothing can be better than what was found."""
        return self.winner is not None and self.winner.error == 0.0


class Contest:
    """One race, or two of which the second matters only where the first has no candidate without an error."""

    def __init__(self, task: Task, calibration: Calibration, races: Sequence[Sequence[Setting]]) -> None:
        """Bring what the float model does into place."""
        population, expected = task.population, calibration.first(task.population.name)
        sources = task.sent([calibration.first(s.source) for s in task.synapses])
        if population.threshold is not None and population.spikes == "many":
            expected = expected.to(torch.int32)
        self._task, self._races = task, [_Race(deque(settings)) for settings in races]
        self._trials = trials(task.synapses, sources, expected)
        self._lanes: list[_Lane] = []
        self._size, self._fires = expected.numel(), bool(expected.any())
        if population.threshold is None:
            self._norm = max(float(expected.square().mean().sqrt()), 1e-12)
        samples, steps, neurons = expected.shape
        together = max(1, _PIECE // (steps * neurons))
        self._pieces = [slice(first, first + together) for first in range(0, samples, together)]

    def winners(self) -> list[Quantized]:
        """The best of each race, the first of equals; none of the second where nothing of that is as near."""
        own, *other = self._races
        while (runner := self._next()) is not None:
            self._advance(runner)
            if other and not own.waiting and all(r.so_far.differing for r in own.runners):
                while other[0].waiting:  # their sums are at hand now
                    self._open(other[0])
        return [race.winner for race in self._races if race.winner is not None]

    def _next(self) -> _Runner | None:
        """Who is to be tried further; None where everything is decided."""
        for race in self._races:
            while True:
                running = [runner for runner in race.runners if self._may_win(runner, race)]
                nearest = min(running, key=lambda runner: runner.rank, default=None)
                if (nearest is not None and nearest.so_far.differing == 0) or not race.waiting or race.exact:
                    break
                self._open(race)
            if nearest is not None or race.exact:
                return nearest
        return None

    def _may_win(self, runner: _Runner, race: _Race) -> bool:
        """Whether the runner is still on its way, and nobody that fires is known to be better."""
        own = self._races[0]
        behind = race is not own and self._fires_at_all(own) and runner.so_far.differing > own.best[0]
        return (
            runner.done < len(self._pieces)
            and not behind
            and not (self._fires_at_all(race) and runner.rank > race.best)
        )

    @staticmethod
    def _fires_at_all(race: _Race) -> bool:
        return race.winner is not None and not race.winner.mute

    def _open(self, race: _Race) -> None:
        """Let the candidates of the next setting run."""
        for quantized in rounded(self._task, race.waiting.popleft()):
            lane, form = self._lane(quantized)
            runner = _Runner(quantized, form, lane, len(race.runners))
            lane.runners.append(runner)
            race.runners.append(runner)

    def _lane(self, quantized: Quantized) -> tuple[_Lane, Form]:
        for lane in self._lanes:
            shift = _shift(lane.synapses, quantized.synapses)
            if shift is not None:
                return lane, Form(quantized.population, shift)
        self._lanes.append(_Lane(quantized.synapses, self._trials.begin(quantized.synapses)))
        return self._lanes[-1], Form(quantized.population)

    def _advance(self, leader: _Runner) -> None:
        """Try the runner, and all that are as far in its lane, on the next piece."""
        together = [
            (runner, race)
            for race in self._races
            for runner in race.runners
            if runner.lane is leader.lane and runner.done == leader.done and self._may_win(runner, race)
        ]
        found = leader.lane.trial.of([runner.form for runner, _ in together], self._pieces[leader.done])
        for (runner, race), apart in zip(together, found, strict=True):
            runner.done += 1
            runner.so_far += apart
            if runner.done == len(self._pieces):
                self._finish(runner, race)

    def _finish(self, runner: _Runner, race: _Race) -> None:
        found = self._judged(runner)
        if race.winner is None or (found.mute, runner.rank) < (race.winner.mute, race.best):
            race.winner, race.best = found, runner.rank

    def _judged(self, runner: _Runner) -> Quantized:
        apart, quantized = runner.so_far, runner.quantized
        if not quantized.population.spiking:
            return replace(quantized, error=math.sqrt(apart.differing / self._size) / self._norm)
        mute = self._fires and not apart.fired
        return replace(quantized, error=apart.differing / self._size, drift=apart.distance / self._size, mute=mute)


def _shift(base: Sequence[QuantSynapse], other: Sequence[QuantSynapse]) -> int | None:
    """By how many bits the sums of `other` are those of `base` moved up; None where they are others."""
    shift = other[0].exponent - base[0].exponent
    # Sums of several exponents, or of one below 0, lose bits on their way.
    alike = len({s.exponent for s in base}) == 1 and base[0].exponent >= 0 <= shift
    alike = alike or shift == 0
    for one, two in zip(base, other, strict=True):
        alike = alike and two.exponent - one.exponent == shift
        if not alike or not np.array_equal(one.operator.weight, two.operator.weight):
            return None
    return shift
