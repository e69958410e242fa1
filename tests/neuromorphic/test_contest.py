"""The race of roundings against trying each of them on everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from snnergy.neuromorphic.emulator.trial import Form
from snnergy.neuromorphic.emulator.trials import trials
from snnergy.neuromorphic.ir import Dense, FloatPopulation, FloatSynapse, InputPort
from snnergy.neuromorphic.passes import contest
from snnergy.neuromorphic.passes.contest import Contest
from snnergy.neuromorphic.passes.rounding import Quantized, Setting, Task, rounded, settings

SAMPLES, STEPS, SOURCES, NEURONS = 7, 12, 30, 20


@dataclass(frozen=True)
class Given:
    """A `Calibration` of what is at hand."""

    values: dict[str, Tensor]

    @property
    def extents(self) -> Mapping[str, tuple[float, float]]:
        return {"x": (0.0, 1.0)}

    def batches(self) -> Iterator[dict[str, Tensor]]:
        yield self.values

    def first(self, name: str) -> Tensor:
        return self.values[name]


def problem(seed: int, *, threshold: float | None) -> tuple[Task, Given]:
    """Weights of which few are large, and the float model's own spikes, or membrane."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 0.3, (NEURONS, SOURCES)) * rng.choice([1, 1, 1, 4], (NEURONS, SOURCES))
    population = FloatPopulation("a", (NEURONS,), np.ones(1), np.full(1, 0.25), threshold, np.zeros(1))
    spikes = (rng.random((SAMPLES, STEPS, SOURCES)) < 0.2).astype(np.uint8)
    v, emitted = np.zeros((SAMPLES, NEURONS)), np.zeros((SAMPLES, STEPS, NEURONS))
    for t in range(STEPS):
        v = 0.75 * v + spikes[:, t] @ weight.T
        fired = v > (np.inf if threshold is None else threshold)
        emitted[:, t] = v if threshold is None else fired
        v = np.where(fired, 0, v)
    out = torch.from_numpy(emitted.astype(np.float32 if threshold is None else np.uint8))
    task = Task.of(population, (FloatSynapse("x", "a", Dense(weight)),), [InputPort("x", (SOURCES,), "binary")])
    return task, Given({"x": torch.from_numpy(spikes), "a": out})


def best_of_all(task: Task, given: Given, race: list[Setting]) -> tuple[Quantized, float]:
    """Every candidate on every sample: the first of those that are least off, and by how much it is."""
    tried = trials(task.synapses, task.sent([given.first("x")]), given.first("a"))
    results = []
    for candidate in (q for setting in race for q in rounded(task, setting)):
        (apart,) = tried.begin(candidate.synapses).of([Form(candidate.population)], slice(None))
        mute = candidate.population.spiking and not apart.fired and bool(given.first("a").any())
        results.append(((mute, apart.differing, apart.distance), candidate))
    rank, best = min(results, key=lambda result: result[0])
    return best, rank[1]


@pytest.mark.parametrize("threshold", [1.0, 6.0, None])
@pytest.mark.parametrize("seed", range(6))
def test_the_winner_is_that_of_trying_each_on_all(
    seed: int, threshold: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "_PIECE", STEPS * NEURONS)  # a sample at a time, so that candidates are given up
    task, given = problem(seed, threshold=threshold)
    races = [settings(task, 400.0, own_exponents=own, tried=True) for own in (False, True)]
    found = Contest(task, given, races).winners()
    (first, least), (second, other) = (best_of_all(task, given, race) for race in races)
    assert least > 0 or threshold == 6.0  # of rare spikes none need be lost
    assert (found[0].population, found[0].synapses) == (first.population, first.synapses)
    if len(found) == 2:
        assert (found[1].population, found[1].synapses) == (second.population, second.synapses)
    else:
        assert other > least or least == 0
