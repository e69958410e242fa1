"""The table of node types: every entry is complete, and its views of one node agree with each other."""

from __future__ import annotations

import ast
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic import operators
from snnergy.neuromorphic.graph.conventions import Conventions
from snnergy.neuromorphic.graph.nodes import RULES, rule_of
from snnergy.neuromorphic.graph.nodes.rule import LinearRule, PopulationRule
from snnergy.neuromorphic.graph.read_nir import from_graph
from tests.neuromorphic import graphs
from tests.neuromorphic.test_read_nir import chain, flat

RNG = np.random.default_rng(0)
FLAT, MAPS, LINE = (4,), (4, 6, 5), (4, 9)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def same(value: float) -> np.ndarray:
    return graphs.full(FLAT, value)


def various(low: float, high: float) -> np.ndarray:
    return RNG.uniform(low, high, FLAT).astype(np.float32)


# One node of every type, with the shape of its input. Membranes leak towards 0.1 and fire now and then.
NODES: list[tuple[nir.NIRNode, tuple[int, ...]]] = [
    (nir.Input({"input": np.array(FLAT)}), FLAT),
    (nir.Output({"output": np.array(FLAT)}), FLAT),
    (nir.LIF(same(3.0), various(0.5, 2), various(0, 0.2), same(0.8)), FLAT),
    (nir.IF(various(0.5, 2), same(0.8)), FLAT),
    (nir.CubaLIF(same(2.0), same(3.0), various(2, 4), various(0, 0.2), same(0.8), w_in=various(1, 3)), FLAT),
    (nir.Threshold(same(0.3)), FLAT),
    (nir.LI(same(3.0), various(0.5, 2), various(0, 0.2)), FLAT),
    (nir.I(various(0.5, 2)), FLAT),
    (nir.CubaLI(same(2.0), same(3.0), various(2, 4), various(0, 0.2), w_in=various(1, 3)), FLAT),
    (nir.Affine(numbers(3, 4), numbers(3)), FLAT),
    (nir.Linear(numbers(3, 4)), FLAT),
    (nir.Conv1d(9, numbers(6, 2, 3), 2, "same", 1, 2, numbers(6)), LINE),
    (nir.Conv2d((6, 5), numbers(6, 2, 3, 3), (2, 1), (1, 0), (1, 2), 2, numbers(6)), MAPS),
    (graphs.pool(nir.AvgPool2d, 2, 2), MAPS),
    (graphs.pool(nir.SumPool2d, 3, 2, 1), MAPS),
    (nir.Delay(same(2.0)), FLAT),
    (nir.Flatten({"input": np.array(MAPS)}, 0), MAPS),
    (nir.Scale(numbers(*MAPS)), MAPS),
]


def of_rule(kind: type) -> list[tuple[nir.NIRNode, tuple[int, ...]]]:
    return [(node, shape) for node, shape in NODES if isinstance(rule_of(node), kind)]


def name(value: object) -> str:
    return type(value).__name__ if isinstance(value, nir.NIRNode) else ""


def test_there_is_a_node_here_of_every_type_in_the_table() -> None:
    assert {type(node) for node, _ in NODES} == set(RULES)
    assert all(kind is rule.nir_type and type(rule).__name__ == kind.__name__ for kind, rule in RULES.items())


@pytest.mark.parametrize(("node", "shape"), NODES, ids=name)
def test_what_a_node_emits_has_the_shape_that_was_promised(node: nir.NIRNode, shape: tuple[int, ...]) -> None:
    rule = rule_of(node)
    value, membrane = rule.interpret(node, torch.from_numpy(numbers(2, 5, *shape)), Conventions(1.0))
    assert value.shape == (2, 5, *rule.output_shape(node, shape))
    assert (membrane is not None) == (rule.kind == "neuron")
    assert rule.__doc__


@pytest.mark.parametrize(("node", "shape"), NODES, ids=name)
def test_step_by_step_a_node_does_the_same(node: nir.NIRNode, shape: tuple[int, ...]) -> None:
    rule, x, conventions = rule_of(node), torch.from_numpy(numbers(2, 5, *shape)), Conventions(0.5)
    value, membrane = rule.interpret(node, x, conventions)
    step = rule.begin(node, conventions)
    for t in range(5):
        emitted, charged = step(x[:, t])
        torch.testing.assert_close(emitted, value[:, t])
        assert membrane is None or charged is not None
        if membrane is not None and charged is not None:
            torch.testing.assert_close(charged, membrane[:, t])


@pytest.mark.parametrize(("node", "shape"), of_rule(LinearRule), ids=name)
def test_operator_bias_and_delay_are_what_the_oracle_computes(node: nir.NIRNode, shape: tuple[int, ...]) -> None:
    rule, x = rule_of(node), numbers(1, 5, *shape)
    assert isinstance(rule, LinearRule)
    value, _ = rule.interpret(node, torch.from_numpy(x), Conventions(1.0))
    operator, bias = rule.operator(node, shape), rule.bias(node)
    steps = rule.delay_steps(node, 1.0)
    late = 0 if steps is None else int(steps[0])
    for t in range(5):
        sent = x[0, t - late].astype(float) if t >= late else np.zeros(shape)
        expected = sent if operator is None else operators.apply(operator, sent)
        expected = expected if bias is None else expected + bias
        np.testing.assert_allclose(value[0, t].numpy().reshape(-1), expected.reshape(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("node", "shape"), of_rule(PopulationRule), ids=name)
def test_the_equation_of_a_population_is_the_one_of_the_oracle(node: nir.NIRNode, shape: tuple[int, ...]) -> None:
    rule, x, conventions = rule_of(node), np.abs(numbers(1, 12, *shape)), Conventions(0.5)
    assert isinstance(rule, PopulationRule)
    value, charged = rule.interpret(node, torch.from_numpy(x), conventions)
    equation = rule.equation(node, conventions, shape)
    u, v = np.zeros(shape), np.zeros(shape)
    for t in range(12):
        u = (1 - equation.decay_u) * u + equation.gain * x[0, t]
        v = (1 - equation.decay_v) * v + u + equation.leak
        membrane = value if charged is None else charged
        np.testing.assert_allclose(membrane[0, t].numpy(), v, rtol=1e-4, atol=1e-5)
        if equation.threshold is not None:
            assert (value[0, t].numpy() == (v > equation.threshold)).all()
            v[v > equation.threshold] = 0.0
    assert (equation.threshold is not None) == (rule.kind == "neuron")
    assert charged is None or 0 < value.sum() < value.numel()


def test_only_weighted_layers_of_a_foreign_graph_count_as_learned() -> None:
    assert {kind for kind, rule in RULES.items() if rule.learned} == {nir.Affine, nir.Linear, nir.Conv1d, nir.Conv2d}


def test_a_type_outside_the_table_is_named_in_memory_too() -> None:
    class Hodgkin(nir.LIF):
        pass

    inp, out = flat(3)
    ones = graphs.full((3,), 1)
    with pytest.raises(UserError, match="'n1' has unknown type 'Hodgkin'; known are"):
        from_graph(chain(inp, Hodgkin(ones, ones, ones, ones), out))


def test_no_module_outside_the_table_asks_for_a_node_type() -> None:
    root = Path(operators.__file__).parent
    asking = set()
    for path in root.rglob("*.py"):
        used = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nir"
        }
        if used & {kind.__name__ for kind in RULES}:
            asking.add(path.relative_to(root).as_posix())
    assert asking and all(path.startswith("graph/nodes/") for path in asking)


@pytest.mark.parametrize("axes", [(), (1,), (1, 1, 1, 1)])
def test_a_parameter_of_one_number_is_for_all_whatever_its_axes(axes):
    one = graphs.full(axes, 3.0)
    node = nir.LI(one, one, 0 * one)
    source = from_graph(chain(nir.Input({"input": np.array(FLAT)}), node, nir.Output({"output": np.array(FLAT)})), dt=1)
    assert source.nodes["n1"].tau.tolist() == [3.0] * 4
