"""The spiking neuron of the network, and the one place that knows SpikingJelly.

    v[t] = v[t-1] + (x[t] - v[t-1]) / tau;   s[t] = 1 where v[t] >= threshold;   v[t] = 0 where s[t] = 1

The gradient of the spike is that of a sigmoid of slope 4 (SpikingJelly's default); none flows through the reset.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from snnergy.training.model.batch_norm import BatchNorm2d, shared, track
from snnergy.training.model.lif_scan import Neuron, lif_scan, norm_lif_scan


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Make `import module` fail within the block, unless it is loaded already."""
    hidden = module not in sys.modules
    if hidden:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


# SpikingJelly imports lava-dl where it is installed, which takes seconds, prints, and brings Lava into a process that
# holds torch. Only its lava exchange needs it, which is not used here.
with _without("lava.lib.dl.slayer"):
    from spikingjelly.activation_based import functional, neuron, surrogate

_SURROGATE_SLOPE = 4.0
_SUPPORTED = frozenset(inspect.signature(neuron.LIFNode.__init__).parameters)
# From release 2 on SpikingJelly runs all time steps in one kernel of a GPU.
_FUSES = hasattr(functional, "lif_multi_step")


class LIF(neuron.LIFNode):
    """A population of leaky integrate-and-fire neurons with hard reset to 0.

    Maps a current `(T, ...)` to binary spikes of the same shape. The state is kept between calls: `reset` clears it.

    Args:
        tau: membrane time constant in time steps, above 1.
        threshold: membrane potential at which a neuron fires.
        role: what the population is for, in reports; a network gives each of its populations one.
    """

    def __init__(self, tau: float, threshold: float, role: str = "") -> None:
        arguments = {
            "tau": tau,
            "decay_input": True,
            "v_threshold": threshold,
            "v_reset": 0.0,
            "surrogate_function": surrogate.Sigmoid(alpha=_SURROGATE_SLOPE),
            "detach_reset": True,
            "step_mode": "m",
        }
        # Releases of SpikingJelly differ in what they accept; what one lacks is fixed there to the value above.
        super().__init__(**{name: value for name, value in arguments.items() if name in _SUPPORTED})
        self.role = role

    @property
    def constants(self) -> Neuron:
        """What its kernels compute with."""
        return Neuron(self.tau, self.v_threshold, _SURROGATE_SLOPE)

    def multi_step_forward(self, x_seq: Tensor, norm: BatchNorm2d | None = None) -> Tensor:
        """SpikingJelly's step for each time step of `(T, ...)`, which goes through `norm` first if there is one.

        The loop of its older releases indexes `x_seq[t]`, whose gradient is a zero tensor of the whole sequence for
        each t; `unbind` has one gradient for all. Where `scans` says so, `lif_scan.py` does the same in one pass, and
        a BatchNorm that is training with it; on a GPU, where it has one, SpikingJelly's own kernel.
        """
        constants, scans = self.constants, self.scans(x_seq)
        if norm is not None and scans and norm.training and not shared():
            spikes, self.v, mean, variance = norm_lif_scan(x_seq, norm, constants)
            track(norm, mean, variance, x_seq.numel() // len(mean))
            return spikes
        if norm is not None:
            x_seq = norm(x_seq.flatten(0, 1)).unflatten(0, x_seq.shape[:2])
        if scans:
            spikes, self.v = lif_scan(x_seq, constants)
            return spikes
        if x_seq.is_cuda and _FUSES:
            fused: Tensor = super().multi_step_forward(x_seq)
            return fused
        return torch.stack([self.single_step_forward(x) for x in x_seq.unbind(0)])

    def scans(self, x_seq: Tensor) -> bool:
        """Whether `lif_scan.py` can run this population on a current: on a CPU, from a cleared state."""
        return isinstance(self.v, float) and x_seq.dtype is torch.float32 and x_seq.device.type == "cpu"


def reset(network: nn.Module) -> None:
    """Set every membrane potential in `network` to 0."""
    functional.reset_net(network)
