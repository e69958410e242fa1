"""Layers of torch with another package's neurons: each layer's products for all steps and samples at once."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.simulators.serving import Array, Layer, Peer, Task

Fire = Callable[[torch.Tensor], torch.Tensor]  # all steps of a layer's sums to its spikes, from cleared state


def weighted(layer: Layer) -> torch.nn.Module:
    """The synapses of a layer."""
    outputs, inputs, *taps = layer.weight.shape
    if not taps:
        linear = torch.nn.Linear(inputs, outputs, bias=False)
        linear.weight.data = torch.from_numpy(layer.weight).float()
        return torch.nn.Sequential(torch.nn.Flatten(), linear)
    conv = torch.nn.Conv2d(inputs, outputs, (taps[0], taps[1]), padding=layer.padding, bias=False)
    conv.weight.data = torch.from_numpy(layer.weight).float()
    return conv


def layered(task: Task, neurons: Callable[[Layer], Fire], *, batch_first: bool = False) -> Peer:
    """The network on one thread.

    Args:
        neurons: makes those of a layer, which take and give `(T, N, …)`, or `(N, T, …)` for `batch_first`.
    """
    torch.set_num_threads(1)
    stages = [(weighted(layer), neurons(layer)) for layer in task.layers]
    given = torch.from_numpy(task.input).float()
    if not batch_first:
        given = given.transpose(0, 1).contiguous()

    def run() -> torch.Tensor:
        sent = given
        with torch.inference_mode():
            for weigh, fire in stages:
                sent = fire(weigh(sent.flatten(0, 1)).unflatten(0, given.shape[:2]))
        return sent

    def spikes(sent: torch.Tensor) -> Array:
        return (sent if batch_first else sent.transpose(0, 1)).numpy()

    return Peer(run, spikes)


def step_by_step(step: Callable[[torch.Tensor], torch.Tensor], clear: Callable[[], None]) -> Fire:
    """Neurons that take one step a call; `clear` has them start anew."""

    def fire(sums: torch.Tensor) -> torch.Tensor:
        clear()
        return torch.stack([step(now) for now in sums])

    return fire
