"""The time step of a graph: which rule fires, which are in doubt, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.graph.time_step import UndecidedStep
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic import graphs
from tests.neuromorphic.foreign_graphs import between, cuba, full, integrator, lif, linear

BETA = np.float32([0.8, 0.93])


# Each as its framework writes it, with a time step of its own.
@pytest.mark.parametrize(
    ("nodes", "dt", "rule"),
    [
        ((integrator(2, 1.0),), 1.0, "r = 1/dt"),
        ((integrator(2, 1e4),), 1e-4, "r = 1/dt"),
        ((integrator(2, 1 / 2.5e-3),), 2.5e-3, "r = 1/dt"),
        ((lif(2, np.float32(1e-3) / (1 - np.float32(0.9)), 10.0000005),), 1e-3, "r = tau/dt"),
        ((lif(2, np.float32(1 / 300) / (1 - BETA), 1 / (1 - BETA)),), 1 / 300, "r = tau/dt"),
        ((lif(2, 0.02, 20 * np.exp(-1 / 20)),), 1e-3, "exp"),
        ((lif(2, 0.01, 4 * np.exp(-1 / 4)),), 2.5e-3, "exp"),
        ((cuba(2, 5e-4, 1e-3, 10, 5),), 1e-4, "w_in"),
        ((cuba(2, 5e-4, 1e-3, 1, 5),), 1e-4, "w_in"),
        ((lif(2, 20.06),), 1.0, "count steps"),
        ((integrator(2, 1.0), lif(2, 20.06)), 1.0, "count steps"),
        ((lif(2, 1e-4), lif(2, 1e-3, 10)), 1e-4, "r = tau/dt"),
        ((lif(2, 2e-4),), 1e-4, "customary"),
        ((lif(2, 1e-5),), 1e-6, "Norse"),
        ((integrator(2, 0.5),), 1.0, "no time constant"),
        ((graphs.lif((2,), tau=np.float32(1e-4)),), 1e-4, "customary"),
    ],
)
def test_the_time_step_follows_from_the_parameters(nodes, dt, rule):
    source = from_graph(between(linear(), *nodes))
    assert source.dt == pytest.approx(dt, rel=1e-6) and rule in source.dt_reason
    assert from_graph(between(linear(), *nodes), 3e-5).dt == 3e-5
    assert bool(source.notes) == ("guessed" in source.dt_reason or "exp" in source.dt_reason)
    exact = from_graph(between(linear(), *nodes), integration="exponential", gain="one")
    assert exact.dt == source.dt and not any("ask for integration exponential" in note for note in exact.notes)


@pytest.mark.parametrize(
    ("nodes", "steps"),
    [
        ((integrator(2, 1.0), lif(2, 1e-3, 10)), {1.0, 1e-4}),
        ((integrator(2, 1.0), lif(2, 2e-4)), {1.0, 1e-4}),
        ((lif(2, 20, 200),), {0.1, 1.0}),
        ((lif(2, 1e-3, 10), lif(2, 1e-3, 4)), {1e-4, 2.5e-4}),
    ],
)
def test_rules_that_disagree_are_listed_and_nothing_is_chosen(nodes, steps):
    with pytest.raises(UndecidedStep) as undecided:
        from_graph(between(linear(), *nodes))
    assert steps <= {candidate.dt for candidate in undecided.value.candidates}
    (line,) = undecided.value.lines
    assert "disagree" in line and all(f"{dt:g} if " in line for dt in steps)


def test_a_guess_that_would_silence_the_network_is_none():
    slow = between(linear(), lif(2, 0.02))
    with pytest.raises(UndecidedStep, match=r"with 0.0001 node 'n2' could not fire.*0.001 if .*0.01 if"):
        from_graph(slow)
    assert from_graph(slow, 0.01).dt == 0.01
    with pytest.raises(UndecidedStep, match="a time constant is 1e-07; give dt: 5e-08 if"):
        from_graph(between(linear(), lif(2, 1e-7)))


def test_a_network_that_no_step_could_wake_takes_the_likely_one_and_says_so():
    source = from_graph(between(linear(gain=1e-3), lif(2, np.float32(1e-4))))
    assert source.dt == 1e-4
    assert any("with none of the likely steps could node 'n2' fire" in note for note in source.notes)


def test_the_shortest_time_constant_that_norse_can_write():
    assert from_graph(between(linear(), lif(2, 1e-3 / 900))).dt == 1e-6


def test_metadata_that_contradict_the_parameters_are_followed_and_said():
    source = from_graph(between(linear(), integrator(2, 1e4), dt=1e-3))
    assert source.dt == 1e-3 and "means 0.0001" in source.notes[0]
    for wrong in (0.0, -1.0, float("nan"), "1ms", [1, 2]):
        with pytest.raises(UserError, match="metadata dt is"):
            from_graph(between(linear(), lif(2, 2), dt=wrong))
        assert from_graph(between(linear(), lif(2, 2), dt=wrong), 1.0).dt == 1.0


def test_an_integrating_network_counts_steps_as_its_framework_does():
    graph = between(linear(1, 1.0), integrator(1, 1.0), size=1)
    net = compile(graph, calibration=full((1, 20, 1), 0.0625))
    spikes = simulate(net, full((1, 20, 1), 0.0625)).spikes["n2"][0, :, 0]
    assert np.flatnonzero(spikes).tolist() == [16]  # the 17th step is the first at which 1/16 a step exceed 1
