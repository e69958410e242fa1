"""PyTorch → NIR → float lowering: the same spikes in every population."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from snnergy.export.parity import parity
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.ir import Conv2d, FloatNet, FloatPopulation, Operator
from snnergy.neuromorphic.passes.discretise_time import DiscretiseTime
from snnergy.neuromorphic.passes.fuse import Fuse
from snnergy.neuromorphic.taps import synapse_count
from snnergy.training.config.experiment import ModelConfig
from snnergy.training.model.network import SNNergy
from tests.export.networks import SMALL, network, pixels

SAMPLES = 52
NETWORKS: list[dict[str, Any]] = [
    {"fusion": "open_gate"},
    {"fusion": "gated_sum"},
    {"fusion": "fixed_gate", "gain_space": 9.7},
    {"variant": "spatial"},
    {"variant": "temporal"},
    {"depths": (2, 1, 2), "seed": 1},
    {"tau": 1.7, "time_steps": 6},
]


@pytest.mark.parametrize("changes", NETWORKS, ids=str)
def test_every_population_spikes_as_in_pytorch(changes: dict[str, Any]) -> None:
    model = network(**changes)
    source = from_graph(to_nir(model, {}))
    inputs = pixels(SAMPLES, model)
    found = parity(model, source, inputs)
    assert found.mismatches == 0
    assert found.samples == SAMPLES
    assert found.total.ties <= 1e-6 * found.total.values
    assert found.prediction_agreement == 1.0
    # A tie is let through by each run on its own spikes, and may then grow.
    assert found.end_to_end_agreement >= (1.0 if found.total.ties == 0 else 0.95)
    # Not an empty agreement: everything fires somewhere, and nothing everywhere.
    rates = interpret(source, inputs, keep=frozenset(model.populations())).values
    assert all(0 < spikes.mean() < 1 for spikes in rates.values())


def _apply(operator: Operator, x: torch.Tensor) -> torch.Tensor:
    """The operator on `(N, T, …)` in float64, flat: `(N, T, outputs)`."""
    weight = torch.from_numpy(np.asarray(operator.weight)).double()
    if not isinstance(operator, Conv2d):
        return x.flatten(2) @ weight.T
    maps = x.reshape(-1, *operator.input_shape)
    out = F.conv2d(maps, weight, None, operator.stride, operator.padding, operator.dilation, operator.groups)
    return out.reshape(*x.shape[:2], -1)


def _membrane(net: FloatNet, population: FloatPopulation, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """The population's equation as `FloatPopulation` states it, before reset, on given source values."""
    incoming = [synapse for synapse in net.synapses if synapse.target == population.name]
    assert all(synapse.delay == 0 for synapse in incoming)
    current = sum(_apply(synapse.operator, values[synapse.source].double()) for synapse in incoming)
    bias = torch.from_numpy(np.broadcast_to(population.bias, population.shape).copy()).double().flatten()
    u, v = torch.zeros_like(current[:, 0]), torch.zeros_like(current[:, 0])
    membrane = torch.empty_like(current)
    for t in range(current.shape[1]):
        u = torch.from_numpy(1 - population.decay_u) * u + current[:, t]
        v = torch.from_numpy(1 - population.decay_v) * v + u + bias
        membrane[:, t] = v
        if population.threshold is not None:
            v = torch.where(v > population.threshold, 0.0, v)
    return membrane.reshape(*current.shape[:2], *population.shape)


@pytest.mark.parametrize("changes", NETWORKS[:4], ids=str)
def test_the_lowered_float_network_has_the_membranes_of_the_graph(changes: dict[str, Any]) -> None:
    """`Fuse` and `DiscretiseTime` keep every membrane, each population on the spikes of the graph."""
    model = network(**changes)
    source = from_graph(to_nir(model, {}))
    net = DiscretiseTime()(Fuse()(source))
    assert [population.name for population in net.populations if population.threshold is None] == ["head"]
    assert {population.name for population in net.populations} == {*model.populations(), "head"}
    inputs = pixels(6, model)
    trace = interpret(source, inputs)
    values = trace.values | {name: torch.from_numpy(x) for name, x in inputs.items()}
    for population in net.populations:
        membrane = _membrane(net, population, values)
        expected = (trace.membrane | {"head": trace.values["head"]})[population.name]
        # Compared up to the first step in which a tie at the threshold makes the two part.
        spikes = membrane > (np.inf if population.threshold is None else population.threshold)
        parted = (spikes != (values[population.name] > 0)) if population.threshold is not None else spikes
        assert parted.float().mean() < 1e-5, population.name
        same = parted.cumsum(dim=1) == 0
        torch.testing.assert_close(
            membrane[same], expected.double()[same], rtol=1e-5, atol=1e-5, msg=lambda m, n=population.name: f"{n}: {m}"
        )


def test_lowering_keeps_labels_and_tells_wiring_from_weights() -> None:
    model = network()
    net = DiscretiseTime()(Fuse()(from_graph(to_nir(model, {}))))
    for population in net.populations:
        if population.name != "head":
            assert population.labels == model.labels()[population.name]
    wiring = {synapse.target.rpartition(".")[2] for synapse in net.synapses if not synapse.learned}
    assert wiring == {"pool0", "pool1", "mask", "attn", "gate"}
    masks = [s.operator for s in net.synapses if s.target.endswith(".mask")]
    assert all(isinstance(operator, Conv2d) and operator.groups == 2 for operator in masks)


@pytest.mark.parametrize(("fusion", "synapses"), [("gated_sum", 3), ("open_gate", 3), ("fixed_gate", 4)])
def test_the_fusion_takes_a_fixed_number_of_synapses_a_channel_and_token(fusion: str, synapses: int) -> None:
    """Whatever the number of tokens: here 64 and 256 in the first stage."""
    for side in (32, 64):
        model = SNNergy(ModelConfig(**{**SMALL, "image_size": side}, fusion=fusion)).eval()
        net = DiscretiseTime()(Fuse()(from_graph(to_nir(model, {}))))
        found = sum(synapse_count(synapse.operator) for synapse in net.synapses if ".fusion." in synapse.target)
        entries = sum(population.size for population in net.populations if population.name.endswith("fusion.gate"))
        assert found == synapses * entries
        neurons = sum(population.size for population in net.populations if ".fusion." in population.name)
        channels = 2 * (8 + 16 + 32)
        assert neurons == (synapses - 2) * entries + channels
