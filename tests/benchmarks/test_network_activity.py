"""Rates and operations of a network, against counts made one event at a time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.network_activity import measure_activity
from snnergy.training.model.layers import Projection
from snnergy.training.model.network import SNNergy
from tests.training.helpers import TINY, randomise

SAMPLES, BATCH = 3, 2


def network(**options) -> SNNergy:
    torch.manual_seed(0)
    return randomise(SNNergy(replace(TINY, image_size=32, base_dim=8, **options)))


def samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(1, 256, (SAMPLES, 3, 1, 32, 32), dtype=np.uint8) for name in ("video", "audio")}


def record(net: SNNergy) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Output of every module by path, and input of every projection: of all that is `(T, B, C, H, W)`.

    In the batches in which it is measured, because the order of a sum may decide a spike.
    """
    outputs, inputs = defaultdict(list), defaultdict(list)

    def keep(path: str):
        def hook(_module, given, out) -> None:
            outputs[path].append(out)
            inputs[path].append(given[0])

        return hook

    hooks = [module.register_forward_hook(keep(path)) for path, module in net.named_modules()]
    images = [torch.from_numpy(x).transpose(0, 1).float() / 255 for x in samples().values()]
    with torch.no_grad():
        for first in range(0, SAMPLES, BATCH):
            net(*(image[:, first : first + BATCH] for image in images))
    for hook in hooks:
        hook.remove()
    projections = {path for path, module in net.named_modules() if isinstance(module, Projection)}
    return (
        {path: torch.cat(out, dim=1) for path, out in outputs.items() if getattr(out[0], "ndim", 0) == 5},
        {path: torch.cat(inputs[path], dim=1) for path in projections},
    )


def fan_out(projection: Projection, events: torch.Tensor) -> int:
    """Synapses met, by a walk over events and kernel positions; `events` counts those of each entry."""
    (kernel, _), (stride, _), (padding, _) = (
        getattr(projection.conv, name) for name in ("kernel_size", "stride", "padding")
    )
    side = events.shape[-1]
    reach = (side + 2 * padding - kernel) // stride + 1
    total = 0
    for t, b, c, i, j in events.nonzero().tolist():
        rows, columns = (
            sum(0 <= (at + padding - d) // stride < reach and (at + padding - d) % stride == 0 for d in range(kernel))
            for at in (i, j)
        )
        steps = min(getattr(projection, "steps", 1), len(events) - t)  # those that still see the event
        total += int(events[t, b, c, i, j]) * steps * rows * columns * projection.conv.out_channels
    return total


def test_rates_are_pooled_by_stage_and_role():
    net = network()
    outputs, _ = record(net)
    rates = measure_activity(net, samples(), batch_size=BATCH).rates
    q = [outputs[f"stage1.block0.{m}.{path}.q"] for m in ("video", "audio") for path in ("spatial", "temporal")]
    assert rates[1, "q"] == pytest.approx(torch.stack(q).mean().item(), rel=1e-5)
    assert set(rates) >= {(stage, role) for stage in (1, 2, 3) for role in ("q", "k", "attn", "mlp1", "mlp2")}


@pytest.mark.parametrize(
    "options", [{"stage3": "cmqka"}, {"stage3": "ssa"}, {"temporal_kernel": 2}, {"temporal_kernel": 3}], ids=str
)
def test_each_population_of_a_binary_stream_is_counted(options):
    net = network(ssa_scale=1.3, **options)
    outputs, inputs = record(net)
    accumulates = multiplies = 0
    for path, x in inputs.items():
        projection, owner = net.get_submodule(path), path.rpartition(".")[0]
        if path in {f"stage1.{m}.spds.{name}" for m in ("video", "audio") for name in ("conv0", "shortcut")}:
            multiplies += fan_out(projection, torch.ones_like(x))
            continue
        events = x
        if path.endswith("hidden_proj"):  # the stage's spikes and F
            direction = owner.removesuffix(".mlp")
            stage, _, modality = direction.split(".")
            own = ("ssa.out",) if f"{direction}.ssa.out" in outputs else ("spatial.attn", "fusion.gate")
            events = outputs[f"{stage}.{modality}.spds.out"] + sum(outputs[f"{direction}.{name}"] for name in own)
        elif owner.endswith("spds") and path.endswith(("conv0", "shortcut")):  # all that the stage before made
            stage, modality, _ = owner.split(".")
            before = f"stage{int(stage[-1]) - 1}"
            parts = ("spatial.attn", "fusion.gate", "mlp.out")
            names = [f"{before}.{modality}.spds.out", *(f"{before}.block0.{modality}.{part}" for part in parts)]
            events = sum(outputs[name] for name in names)
        accumulates += fan_out(projection, events)
    found = measure_activity(net, samples(), batch_size=BATCH)
    assert found.accumulates * SAMPLES == pytest.approx(accumulates, rel=1e-9)
    assert found.multiply_accumulates * SAMPLES == multiplies


def test_a_real_stream_costs_multiplications():
    net = network(profile="paper", stage3="ssa")
    outputs, inputs = record(net)
    real = ("mlp.hidden_proj", "spds.conv0", "spds.shortcut")
    accumulates = multiplies = 0
    for path, x in inputs.items():
        image = path.startswith("stage1") and "spds" in path and path.endswith(("conv0", "shortcut"))
        met = fan_out(net.get_submodule(path), torch.ones_like(x) if image else (x != 0).int())
        if path.endswith(real) and not path.startswith("stage3.block"):
            multiplies += met
        else:
            accumulates += met
    hidden = [path for path in inputs if path.startswith("stage3.block0") and path.endswith("hidden_proj")]
    streams = [
        outputs[f"stage3.{p.split('.')[2]}.spds.out"] + outputs[f"{p.rpartition('.mlp')[0]}.ssa.out"] for p in hidden
    ]
    for path, events in zip(hidden, streams, strict=True):  # two binary populations, before and after alpha
        accumulates += fan_out(net.get_submodule(path), events) - fan_out(
            net.get_submodule(path), (inputs[path] != 0).int()
        )
    products = sum(outputs[f"stage{s}.block0.{m}.fusion"].numel() for s in (1, 2) for m in ("video", "audio"))
    found = measure_activity(net, samples(), batch_size=BATCH)
    assert found.multiply_accumulates * SAMPLES == multiplies + products
    assert found.accumulates * SAMPLES == pytest.approx(accumulates, rel=1e-9)
