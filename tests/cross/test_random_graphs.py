"""Random graphs through the toolchain: a small part of `make conformance`, and that its comparisons see a fault."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import nir
import numpy as np
import pytest

from benchmarks.conformance import compare, naive_oracle
from benchmarks.conformance.naive_structure import back_edges
from benchmarks.conformance.random_graphs import FEATURES, random_case
from tests.neuromorphic.graphs import lif

GRAPHS = 24


@pytest.fixture(scope="module")
def built() -> list[compare.Built]:
    found = [compare.refusal(random_case(seed, frozenset({"extreme"})))[0] for seed in range(GRAPHS)]
    return [b for b in found if b is not None]


def test_both_float_oracles_agree_in_every_value(built: list[compare.Built]) -> None:
    count = compare.Count()
    for b in built:
        count.add(compare.compare_float(b))
    assert count.mismatches == {}
    assert count.graphs > GRAPHS // 2 and count.spikes > 2_000 and count.ties < count.spikes / 1000


def test_a_changed_weight_is_seen(built: list[compare.Built]) -> None:
    seen = 0
    for b in built:
        name, node = next((n, v) for n, v in b.case.graph.nodes.items() if isinstance(v, nir.Linear | nir.Affine))
        other = replace(node, weight=node.weight * np.float32(1.01))
        graph = nir.NIRGraph({**b.case.graph.nodes, name: other}, b.case.graph.edges, type_check=False)
        seen += bool(compare.compare_float(replace(b, case=replace(b.case, graph=graph))).mismatches)
    assert seen > 0.8 * len(built)  # nothing may reach it in some


@pytest.mark.skipif(find_spec("lava") is None, reason="Lava runs on Python 3.10 only")
def test_emulator_and_lava_agree_on_networks_side_by_side(built: list[compare.Built]) -> None:
    count, overflows = compare.compare_chip(built[:6])
    assert count.mismatches == {} and count.graphs == 6 and count.values > 10_000 and count.spikes > 500
    assert overflows["wrapped"] + overflows["clipped"] > 0


def test_the_same_seed_makes_the_same_graph_and_all_features_come() -> None:
    a, b = random_case(7), random_case(7)
    assert a.features == b.features and list(a.graph.nodes) == list(b.graph.nodes)
    assert all((a.inputs[name] == b.inputs[name]).all() for name in a.inputs)
    assert set().union(*(random_case(seed).features for seed in range(120))) == FEATURES


def test_the_oracle_delays_a_loop_by_a_step_and_resets_as_told() -> None:
    """One neuron that leaks nothing of the step before (tau = dt) and hears itself with weight −1."""
    one = np.ones((1, 1), np.float32)
    nodes = {
        "in": nir.Input({"input": np.array([1])}),
        "n": lif((1,), tau=1.0, threshold=0.5),
        "back": nir.Linear(-one),
        "out": nir.Output({"output": np.array([1])}),
    }
    edges = [("in", "n"), ("n", "back"), ("back", "n"), ("n", "out")]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    assert back_edges(nodes, edges, 1.0) == {("n", "back")}
    ones = {"in": np.ones((6, 1), np.float32)}
    hard = naive_oracle.simulate(graph, ones, dt=1.0).values["n"].ravel()
    assert hard.tolist() == [1, 0, 1, 0, 1, 0]
    graph = nir.NIRGraph({k: nodes[k] for k in ("in", "n", "out")}, [("in", "n"), ("n", "out")], type_check=False)
    nodes["n"].tau[:], threes = 2.0, {"in": np.full((4, 1), 3.0)}
    many = naive_oracle.simulate(graph, threes, dt=1.0, reset="soft", spikes="many").values["n"].ravel()
    assert many.tolist() == [3, 3, 3, 3]  # v reaches 1.5 and falls to 0
    soft = naive_oracle.simulate(graph, threes, dt=1.0, reset="soft").values["n"].ravel()
    assert soft.tolist() == [1, 1, 1, 1]
