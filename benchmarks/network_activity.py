"""Firing rates and driven operations of a network in PyTorch, the same way for every profile.

    accumulate            of a weighted layer, for each spike that arrives and each synapse that it meets
    multiply-accumulate   for each value of a real-valued stream that is not 0; for every pixel of an image; for every
                          product of the real-valued fusion

A residual stream is a sum of populations. Where all of them are binary, each sends its own spikes, so the accumulates
add up over them; where a real value has entered, the stream is one real tensor and costs multiply-accumulates.
Only projections and the fusion's products are counted, not the readout and what is wired: it is the energy ledger that
counts everything, from the exported network, and the real-valued profile cannot be exported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from snnergy.artefacts.samples import MODALITIES
from snnergy.training.loop.evaluation import to_input
from snnergy.training.model.attention import Direction, GatedSum, MeanFusion
from snnergy.training.model.layers import Projection
from snnergy.training.model.system import System

# The population that a direction adds to its stream; of those that it has, the first. A gated sum adds two.
_FUSED = ("fusion.gate", "ssa.out", "spatial.attn", "temporal.attn")


@dataclass(frozen=True)
class NetworkActivity:
    """Of the mean sample.

    rates: (stage, role) → spikes a neuron and step, pooled over blocks, modalities and paths.
    accumulates, multiply_accumulates: counts of the whole network.
    """

    rates: dict[tuple[int, str], float]
    accumulates: float
    multiply_accumulates: float


@dataclass
class _Trace:
    """What one forward pass shows: projections and inputs, outputs of populations and fusions, ends of directions.

    It keeps every tensor alive, so that an `id` names one of them; images: of the network's inputs.
    """

    images: set[int] = field(default_factory=set)
    inputs: dict[str, tuple[Projection, Tensor]] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    directions: list[tuple[str, Direction, Tensor, Tensor]] = field(default_factory=list)


def measure_activity(network: System, samples: dict[str, npt.NDArray[Any]], batch_size: int = 16) -> NetworkActivity:
    """Run a network in evaluation mode and count.

    Args:
        network: on the CPU, in evaluation mode.
        samples: video and audio uint8 `(N, T, C, H, W)`.
        batch_size: samples at once; does not change the counts.
    """
    spikes: dict[tuple[int, str], float] = defaultdict(float)
    neurons: dict[tuple[int, str], int] = defaultdict(int)
    operations = np.zeros(2)
    count = len(samples["video"])
    for start in range(0, count, batch_size):
        video, audio = (to_input(torch.from_numpy(samples[name][start : start + batch_size])) for name in MODALITIES)
        with torch.inference_mode(), _traced(network) as trace:
            trace.images = {id(video), id(audio)}
            network(video, audio)
            operations += _operations(trace)
        for path, labels in network.labels().items():
            assert labels.stage is not None  # every population of the network is in one
            spikes[labels.stage, labels.role] += trace.outputs[path].sum().item()
            neurons[labels.stage, labels.role] += trace.outputs[path].numel()
    accumulates, multiply_accumulates = operations / count
    return NetworkActivity({key: spikes[key] / neurons[key] for key in spikes}, accumulates, multiply_accumulates)


@contextmanager
def _traced(network: System) -> Iterator[_Trace]:
    trace, handles = _Trace(), []
    populations = network.populations()

    def keep_input(path: str) -> Any:
        return lambda projection, given: trace.inputs.__setitem__(path, (projection, given[0]))

    def keep_output(path: str) -> Any:
        return lambda _, __, out: trace.outputs.__setitem__(path, out)

    def keep_direction(path: str) -> Any:
        return lambda direction, given, out: trace.directions.append((path, direction, given[0], out))

    for path, module in network.named_modules():
        if isinstance(module, Projection):
            handles.append(module.register_forward_pre_hook(keep_input(path)))
        elif path in populations or isinstance(module, MeanFusion):
            handles.append(module.register_forward_hook(keep_output(path)))
        elif isinstance(module, Direction):
            handles.append(module.register_forward_hook(keep_direction(path)))
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()


def _operations(trace: _Trace) -> npt.NDArray[np.float64]:
    """Accumulates and multiply-accumulates of all samples of the trace."""
    spikes, real = _streams(trace)
    total = np.array([0.0, sum(fused.numel() for path, fused in trace.outputs.items() if path.endswith(".fusion"))])
    for projection, x in trace.inputs.values():
        if id(x) in trace.images:
            total[1] += _synapses_met(projection, torch.ones_like(x))
        elif id(x) in real:
            total[1] += _synapses_met(projection, (x != 0).float())
        else:
            total[0] += _synapses_met(projection, spikes.get(id(x), x))
    return total


def _streams(trace: _Trace) -> tuple[dict[int, Tensor], set[int]]:
    """The residual streams by identity: spikes in each entry of the binary ones, and which ones are real."""
    spikes: dict[int, Tensor] = {}
    real: set[int] = set()
    for path, direction, asking, out in trace.directions:
        hidden = id(trace.inputs[f"{path}.mlp.hidden_proj"][1])
        if f"{path}.fusion" in trace.outputs or id(asking) in real:
            real |= {hidden, id(out)}
        else:
            fused = next(trace.outputs[name] for name in (f"{path}.{end}" for end in _FUSED) if name in trace.outputs)
            if isinstance(getattr(direction, "fusion", None), GatedSum):
                fused = fused + trace.outputs[f"{path}.spatial.attn"]
            spikes[hidden] = spikes.get(id(asking), asking) + fused
            spikes[id(out)] = spikes[hidden] + trace.outputs[f"{path}.mlp.out"]
    return spikes, real


def _synapses_met(projection: Projection, events: Tensor) -> float:
    """Events `(T, B, C, H, W)` times the synapses of each: steps and positions of the kernel times channels out."""
    conv = projection.conv
    kernel = torch.ones(1, conv.in_channels, *conv.kernel_size)
    met = functional.conv2d(
        projection.presynaptic(events).flatten(0, 1), kernel, stride=conv.stride, padding=conv.padding
    )
    return met.sum(dtype=torch.float64).item() * conv.out_channels
