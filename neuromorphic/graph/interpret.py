"""The float oracle: executes a NIR graph as NIR defines it, with dt and reset explicit.

Euler steps of the equations in nir's neuron docstrings, in float32 like the model that was trained:

    LIF      v ← v + dt/tau · ((v_leak − v) + r·I);  spike where v > v_threshold, then v ← v_reset
    CubaLIF  i ← i + dt/tau_syn · (−i + w_in·I) first, then LIF on i
    LI, I    the same without a spike; I and IF without the leak: v ← v + dt · r·I

State starts at zero for every sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from snnergy.artefacts.errors import UserError
from snnergy.artefacts.types import FloatArray
from snnergy.neuromorphic.graph.read_nir import NEURONS, READOUTS, NirSource
from snnergy.neuromorphic.graph.shapes import convolution


@dataclass(frozen=True)
class Trace:
    """values: what each node emits, `(N, T, *shape)` (a readout emits its membrane).
    membrane: of each spiking neuron node, the value that was compared with the threshold.
    """

    values: dict[str, Tensor]
    membrane: dict[str, Tensor]


def interpret(
    source: NirSource,
    inputs: dict[str, FloatArray],
    *,
    forced: dict[str, Tensor] | None = None,
    keep: frozenset[str] | None = None,
) -> Trace:
    """Run `source` on `inputs`, each `(N, T, *shape)`.

    Args:
        forced: values `(N, T, *shape)` that the successors of these nodes receive instead of what the node itself
            emitted, so that each node can be checked on its own.
        keep: names whose values and membranes are returned; None keeps those of all neurons, readouts and outputs.
    """
    missing = [name for name in source.of_type(nir.Input) if name not in inputs]
    if missing:
        raise UserError(f"{source.name}: no array for the inputs {missing}; the file must name them so")
    keep = frozenset(source.of_type(*NEURONS, *READOUTS, nir.Output)) if keep is None else keep
    emitted: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    membrane: dict[str, Tensor] = {}
    waiting = {name: sum(name in source.preds[node] for node in source.order) for name in source.order}
    for name in source.order:
        node = source.nodes[name]
        if isinstance(node, nir.Input):
            value = torch.from_numpy(np.asarray(inputs[name], dtype=np.float32))
        else:
            x = emitted[source.preds[name][0]]
            for pred in source.preds[name][1:]:
                x = x + emitted[pred]
            if isinstance(node, NEURONS):
                value, charged = _spikes(node, x, source.dt)
                if name in keep:
                    membrane[name] = charged
            else:
                value = _analog(node, x, source.dt)
        if name in keep:
            kept[name] = value
        emitted[name] = forced[name] if forced is not None and name in forced else value
        for pred in source.preds[name]:
            waiting[pred] -= 1
            if waiting[pred] == 0:
                del emitted[pred]
    return Trace(kept, membrane)


def _parameter(node: Any, field: str) -> Tensor:
    return torch.from_numpy(np.asarray(getattr(node, field), dtype=np.float32))


def _spikes(node: Any, x: Tensor, dt: float) -> tuple[Tensor, Tensor]:
    """Spikes and the membrane before reset, `(N, T, *shape)`."""
    if isinstance(node, nir.Threshold):
        return (x > _parameter(node, "threshold")).float(), x
    threshold, reset = _parameter(node, "v_threshold"), _parameter(node, "v_reset")
    charge = _Charge(node, dt, x.shape[2:], x.shape[0])
    spikes, membrane = torch.empty_like(x), torch.empty_like(x)
    for t in range(x.shape[1]):
        v = charge(x[:, t])
        fired = v > threshold
        spikes[:, t], membrane[:, t] = fired, v
        charge.v = torch.where(fired, reset, v)
    return spikes, membrane


class _Charge:
    """The sub-threshold equation of one neuron node; holds v and i between steps."""

    def __init__(self, node: Any, dt: float, shape: torch.Size, samples: int) -> None:
        self.v = torch.zeros(samples, *shape)
        self.i = torch.zeros(samples, *shape)
        self.r = _parameter(node, "r")
        self.dt = dt
        cuba = isinstance(node, nir.CubaLIF | nir.CubaLI)
        self.synapse = (dt / _parameter(node, "tau_syn"), _parameter(node, "w_in")) if cuba else None
        leaky = not isinstance(node, nir.IF | nir.I)
        tau = "tau_mem" if cuba else "tau"
        self.leak = (dt / _parameter(node, tau), _parameter(node, "v_leak")) if leaky else None

    def __call__(self, current: Tensor) -> Tensor:
        if self.synapse is not None:
            rate, w_in = self.synapse
            self.i = self.i + rate * (w_in * current - self.i)
            current = self.i
        if self.leak is None:
            return self.v + self.dt * (self.r * current)
        rate, v_leak = self.leak
        charged: Tensor = self.v + rate * ((v_leak - self.v) + self.r * current)
        return charged


def _analog(node: Any, x: Tensor, dt: float) -> Tensor:
    """Output of a node that does not spike; x and the result are `(N, T, …)`."""
    if isinstance(node, READOUTS):
        charge = _Charge(node, dt, x.shape[2:], x.shape[0])
        out = torch.empty_like(x)
        for t in range(x.shape[1]):
            charge.v = charge(x[:, t])
            out[:, t] = charge.v
        return out
    if isinstance(node, nir.Output):
        return x
    if isinstance(node, nir.Scale):
        return x * _parameter(node, "scale")
    if isinstance(node, nir.Flatten):
        start, end = (int(d) % (x.ndim - 2) + 2 for d in (node.start_dim, node.end_dim))
        return x.flatten(start, end)
    if isinstance(node, nir.Linear):
        return x @ _parameter(node, "weight").T
    if isinstance(node, nir.Affine):
        return x @ _parameter(node, "weight").T + _parameter(node, "bias")
    if isinstance(node, nir.Delay):
        return _delayed(x, delay_steps(node, dt))
    operator = convolution(node, tuple(x.shape[2:]))
    bias = _parameter(node, "bias") if hasattr(node, "bias") else None
    maps = x.reshape(-1, *operator.input_shape)
    weight = torch.from_numpy(operator.weight.astype(np.float32))
    out = F.conv2d(maps, weight, bias, operator.stride, operator.padding, operator.dilation, operator.groups)
    if isinstance(node, nir.Conv1d):
        out = out.squeeze(2)
    return out.reshape(*x.shape[:2], *out.shape[1:])


def delay_steps(node: nir.Delay, dt: float) -> int:
    """Whole steps of a Delay node.

    Raises:
        UserError: the delay differs between neurons or is not a multiple of dt.
    """
    steps = np.unique(np.asarray(node.delay, dtype=np.float64) / dt)
    if steps.size != 1 or abs(steps[0] - round(steps[0])) > 1e-6 or steps[0] < 0:
        raise UserError(
            f"Delay of {np.unique(node.delay)} at dt {dt:g}: must be one whole number of steps for the node"
        )
    return round(float(steps[0]))


def _delayed(x: Tensor, steps: int) -> Tensor:
    out = torch.zeros_like(x)
    if steps < x.shape[1]:
        out[:, steps:] = x[:, : x.shape[1] - steps]
    return out
