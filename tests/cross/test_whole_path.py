"""A spiking transformer from PyTorch to Lava: each step held to the one before, each sample to itself alone."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snnergy.artefacts.samples import Samples
from snnergy.energy import count
from snnergy.export.to_nir import to_nir
from snnergy.neuromorphic import emulator, lava
from snnergy.neuromorphic.graph.interpret import interpret
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.inputs import to_integers
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.lowering.lower import lower
from snnergy.neuromorphic.netx.files import read_netx, write_netx
from snnergy.neuromorphic.simulation import decode
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.training.config.systems import CmciConfig, QKFormerConfig
from snnergy.training.model.system import System
from snnergy.training.systems.build import build
from tests.export.networks import active, network, pixels

TINY = {"time_steps": 3, "image_size": 16, "base_dim": 4, "heads": 2, "mlp_ratio": 1}
needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava runs on Python 3.10 only")


# One has the fusion that is the default, the other the fixed gate.
HYBRID = {"fusion": "fixed_gate", "stage3": "ssa", "ssa_scale": 1.3, "temporal_kernel": 2, "image_size": 32}

# Of the comparison systems, those that NIR can hold.
SMALL = {"time_steps": 3, "image_size": 32, "classes": 4, "base_dim": 8}
OTHERS = {
    "qkformer": QKFormerConfig(**SMALL, modality="audio", pool="spikes", stage3="query_key", heads=2, depths=(1, 1, 1)),
    "cmci": CmciConfig(**SMALL, patch=8),
}

Compiled = tuple[System, QuantNet, Samples]


@pytest.fixture(scope="module", params=[{}, HYBRID], ids=["cmqka", "hybrid"])
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The network, the network as its file holds it, and six samples."""
    return _through_a_file(network(**TINY | request.param), tmp_path_factory.mktemp("net"))


def _through_a_file(model: System, folder: Path) -> Compiled:
    samples = Samples(dict(pixels(6, model)), None)
    path = folder / "tiny.net"
    write_netx(lower(from_graph(to_nir(model, {})), samples).net, path)
    return model, read_netx(path), samples


# In a gated sum of so few neurons with random weights, 18 in a population, two in seven may differ.
@pytest.mark.parametrize("options", [{"fusion": "open_gate"}, HYBRID], ids=["cmqka", "hybrid"])
def test_the_eight_bit_network_spikes_nearly_as_the_float_one(options: dict[str, object], tmp_path: Path) -> None:
    model, net, samples = _through_a_file(network(**TINY | options), tmp_path)
    oracle = interpret(from_graph(to_nir(model, {})), dict(samples.arrays)).values
    records = emulator.run(net, to_integers(samples, net.inputs))
    agreement = {
        p.name: (records.values[p.name] == oracle[p.name].numpy()).mean() for p in net.populations if p.spiking
    }
    assert min(agreement.values()) > 0.75
    assert np.mean(list(agreement.values())) > 0.93


@needs_lava
def test_lava_streams_samples_as_the_emulator_runs_them_alone(compiled: Compiled) -> None:
    _, net, samples = compiled
    _assert_equal_in_lava(net, to_integers(samples.first(2), net.inputs), steps=3)


@needs_lava
@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
def test_lava_runs_a_comparison_system_as_the_emulator_does(
    config: QKFormerConfig | CmciConfig, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    _, net, samples = _through_a_file(active(build(config)), tmp_path)
    records = _assert_equal_in_lava(net, to_integers(samples.first(1), net.inputs), steps=3)
    assert all(records.values[p.name].any() for p in net.populations if p.spiking)


def _assert_equal_in_lava(net: QuantNet, inputs: dict[str, Any], steps: int) -> emulator.Records:
    """Hold all samples that Lava streams to each alone in the emulator; the last one's records."""
    streamed = lava.run(net, inputs, timeout_s=600.0)
    compared, samples = 0, len(next(iter(inputs.values())))
    for n in range(samples):
        alone = emulator.run(net, {name: array[n : n + 1] for name, array in inputs.items()}, record_state=True)
        for ours, theirs in ((alone.values, streamed.values), (alone.u, streamed.u), (alone.v, streamed.v)):
            for name, array in ours.items():
                np.testing.assert_array_equal(theirs[name][n : n + 1], array, err_msg=name)
                compared += array.size
    pixels_fed = sum(array[0, 0].size for array in inputs.values())
    sizes = [(3 if p.spiking else 2) * p.size for p in net.populations] + [pixels_fed]
    assert compared == samples * steps * sum(sizes)
    return alone


def test_a_sample_is_the_same_alone_and_in_any_batch(compiled: Compiled) -> None:
    model, net, samples = compiled
    inputs = to_integers(samples, net.inputs)
    together = decode.logits(net, emulator.run(net, inputs))
    backwards = decode.logits(net, emulator.run(net, {name: array[::-1] for name, array in inputs.items()}))[::-1]
    alone = [decode.logits(net, emulator.run(net, {k: x[n : n + 1] for k, x in inputs.items()}))[0] for n in range(6)]
    np.testing.assert_array_equal(together, np.stack(alone))
    np.testing.assert_array_equal(together, backwards)
    # In float64: in float32, the order in which a batch is added up may decide a spike.
    video, audio = (torch.from_numpy(samples.arrays[name]).double().transpose(0, 1) for name in ("video", "audio"))
    model = copy.deepcopy(model).double()
    with torch.no_grad():
        batch = model(video, audio)
        model(video[:, 3:], audio[:, 3:])  # others before
        single = torch.cat([model(video[:, n : n + 1], audio[:, n : n + 1]) for n in range(6)])
    assert torch.equal(batch.argmax(1), single.argmax(1))
    torch.testing.assert_close(batch, single, rtol=1e-9, atol=1e-9)


def test_the_ledger_counts_what_the_emulator_delivered(compiled: Compiled) -> None:
    _, net, samples = compiled
    inputs = to_integers(samples, net.inputs)
    for given in (inputs, {k: np.zeros_like(x) for k, x in inputs.items()}):
        records = emulator.run(net, given)
        real = {port.name: given[port.name] * port.scale for port in net.inputs}
        ledger = count(simulate(net, real).activity)  # raises LedgerMismatch where an edge differs
        for index, counted in enumerate(records.delivered):
            edges = [e for e in ledger.entries if e.place.kind == "edge" and e.place.index == index]
            events = [e for e in edges if e.operation in ("ac", "mac_effective")]
            assert len(events) == 1
            np.testing.assert_array_equal(events[0].all, counted)
    fed = [i for i, s in enumerate(net.synapses) if s.source in inputs]
    assert fed and all(records.delivered[i].sum() == 0 for i in fed)
