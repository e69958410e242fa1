"""The forward pass of fine-tuning: the chip's network, with the gradient of the float one."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from snnergy.artefacts.held_scales import HeldScale, HeldScales
from snnergy.artefacts.samples import Samples
from snnergy.export.to_nir import to_nir
from snnergy.export.write import hold
from snnergy.finetuning.lowered import Lowered
from snnergy.finetuning.rounded import Rounded
from snnergy.neuromorphic.graph.read_nir import from_graph
from snnergy.neuromorphic.lowering.compile import compile
from snnergy.neuromorphic.lowering.compiled import Compiled
from snnergy.neuromorphic.lowering.lower import balanced_net
from snnergy.neuromorphic.passes.quantize import tasks_of
from snnergy.neuromorphic.passes.round_decays import RoundDecays
from snnergy.neuromorphic.passes.rounding import rounded, settings
from snnergy.neuromorphic.simulation.simulate import simulate
from snnergy.training.model.network import SNNergy
from tests.export.networks import network, pixels

# A membrane whose decay is rounded, and a path that looks back, so that synapses are late.
SMALL = {"image_size": 16, "base_dim": 4, "heads": 2, "time_steps": 3, "tau": 1.7, "temporal_kernel": 2}


def held_by(compiled: Compiled) -> HeldScales:
    """The scales that a compiled network has."""
    net = compiled.net
    populations = {
        p.name: HeldScale(p.scale, p.vth, tuple(s.exponent for s in net.incoming(p.name))) for p in net.populations
    }
    return HeldScales(compiled.fidelity.bits, populations)


@cache
def made(variant: str) -> SNNergy:
    return network(seed=1, variant=variant, **SMALL)


@cache
def scales_of(variant: str, bits: int) -> HeldScales:
    return held_by(compile(to_nir(made(variant), {}), bits=bits))


def prepared(bits: int = 8, variant: str = "spatiotemporal") -> tuple[SNNergy, Lowered, HeldScales]:
    model = deepcopy(made(variant))
    return model, Lowered(model, bits), scales_of(variant, bits)


def move(model: SNNergy, seed: int = 0) -> None:
    """What training does to every parameter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.02 * torch.randn(parameter.shape, generator=generator))


def images(model: SNNergy, count: int, seed: int = 3) -> tuple[dict[str, np.ndarray], list[torch.Tensor]]:
    found = pixels(count, model, seed)
    return found, [torch.from_numpy(found[name]).transpose(0, 1) for name in ("video", "audio")]


def test_it_emits_the_spikes_of_the_integers_that_compile_makes():
    model, lowered, scales = prepared()
    tuner = Rounded(model, lowered, scales)
    arrays, inputs = images(model, 4)
    model(*inputs)  # as it was, so that what was known then would show
    move(model)
    graph = to_nir(model, {})
    hold(graph, scales, "test")
    compiled = compile(graph)
    for name, mine in tuner.integers(model).items():
        incoming = compiled.net.incoming(name)
        population = compiled.net.population(name)
        assert replace(mine.population, depth=population.depth) == population
        balanced = [replace(s, balance=t.balance) for s, t in zip(mine.synapses, incoming, strict=True)]
        assert tuple(balanced) == incoming

    sent: dict[str, torch.Tensor] = {}
    for name, module in model.populations().items():
        module.register_forward_hook(lambda _, __, spikes, name=name: sent.update({name: spikes}))
    with torch.no_grad():
        logits = model(*inputs)
    run = simulate(compiled, Samples(arrays))
    differing = {
        name: int((spikes.transpose(0, 1).flatten(2).numpy() != run.spikes[name].reshape(4, 3, -1)).sum())
        for name, spikes in sent.items()
    }
    assert sum(spikes.sum() for spikes in sent.values()) > 5_000
    assert sum(differing.values()) <= 20, {name: count for name, count in differing.items() if count}
    agreeing = logits.argmax(1).numpy() == run.predictions
    assert agreeing.all()


def test_only_what_changed_is_lowered_again_and_comes_out_the_same():
    model, lowered, _ = prepared()
    move(model)
    found = lowered.tasks(model)
    expected = tasks_of(RoundDecays()(balanced_net(from_graph(to_nir(model, {})))))
    assert found.keys() == expected.keys()
    for name, task in found.items():
        whole = expected[name]
        assert replace(task.population, depth=whole.population.depth) == whole.population
        assert all(map(np.array_equal, task.weights, whole.weights)) and task.steps == whole.steps
        assert [s.source for s in task.synapses] == [s.source for s in whole.synapses]


def test_every_parameter_that_learns_in_float_learns_through_the_rounding():
    model, lowered, scales = prepared()
    _, inputs = images(model, 16)

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        model(*inputs).square().sum().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}

    floating = gradients()
    Rounded(model, lowered, scales)
    through = gradients()
    assert through.keys() == floating.keys()
    name = "head.linear.weight"
    assert torch.nn.functional.cosine_similarity(through[name].flatten(), floating[name].flatten(), 0) > 0.5


def test_the_gradient_by_the_spikes_that_a_synapse_reads_is_that_of_the_rounded_weights():
    model, lowered, scales = prepared(4, "spatial")
    tuner = Rounded(model, lowered, scales)
    source = "stage3.block0.video.mlp.out"  # which nothing but the readout reads
    read: list[torch.Tensor] = []
    model.populations()[source].register_forward_hook(lambda _, __, spikes: read.append(spikes))
    logits = model(*images(model, 2)[1])
    (gradient,) = torch.autograd.grad(logits[0, 0], read[0])
    head = tuner.integers(model)["head"]
    (synapse,) = (s for s in head.synapses if s.source == source)
    weight = synapse.operator.weight[0] * 2.0**synapse.exponent / head.population.scale
    for step in gradient[:, 0]:
        np.testing.assert_allclose(step.flatten().numpy(), weight, rtol=1e-5, atol=1e-7)


def test_the_scales_are_those_that_compile_chooses():
    model = made("spatial")
    calibration = pixels(2, model)
    expected = held_by(compile(to_nir(model, {}), calibration=calibration, bits=6))
    assert Lowered(model, 6).scales(model, calibration) == expected


def test_fewer_bits_round_further():
    net, off = RoundDecays()(balanced_net(from_graph(to_nir(made("spatial"), {})))), []
    for bits in (8, 6, 4):
        change = 0.0
        for task in tasks_of(net, bits).values():
            quantized = rounded(task, settings(task, np.inf, own_exponents=True, tried=False)[0])[0]
            for synapse, weight in zip(quantized.synapses, task.weights, strict=True):
                held = synapse.operator.weight * 2.0**synapse.exponent / quantized.population.scale
                change += float(np.square(held - weight).sum() / np.square(weight).sum())
        off.append(change)
    assert 0 < 8 * off[0] < off[1] < off[2] / 8  # squared, two bits are a factor of 16
