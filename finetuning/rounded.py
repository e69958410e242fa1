"""The forward pass of a rounded network, with the gradient of the float one (straight through the rounding).

What drives a population is the sum over its synapses of w·s. The network computes that from its own parameters, and

    w_q·s = w·s + (w_q − w)·s,      w_q = mantissa · 2^exponent / scale of the population

so that each population is given the second term as well, w_q − w taken for a constant: the sum is that of the chip's
weights, its gradient by s too, and that by the parameters is the float network's. Bias, threshold and decay are those
of the chip as well, and so is what a sum loses where a negative exponent shifts it. Only a membrane that decays is
rounded on the chip, by less than a unit, and not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnergy.artefacts.held_scales import HeldScales
from snnergy.artefacts.samples import MODALITIES
from snnergy.artefacts.types import FloatArray
from snnergy.finetuning.lowered import Lowered
from snnergy.neuromorphic.ir import Conv2d, Dense, Operator
from snnergy.neuromorphic.limits import ALIGN_SHIFT, DECAY_ONE
from snnergy.neuromorphic.passes.rounding import Quantized, Setting, Task, rounded
from snnergy.neuromorphic.taps import as_matrix
from snnergy.training.model.neurons import LIF
from snnergy.training.model.system import System

_NOTHING = 1e-12  # of the largest weight: what double precision leaves of a weight that is on the grid


@dataclass(frozen=True)
class Shift:
    """What rounding changes at one population.

    terms: of each synapse that it changes. bias: added to the membrane in each step, `(neurons,)` or `(1,)`.
    tau, threshold: of the rounded population, in model units.
    """

    terms: tuple[Term, ...]
    bias: FloatArray
    tau: float
    threshold: float


@dataclass(frozen=True)
class Term:
    """A synapse whose weights are w_q − w.

    delay: in steps. mantissas: where its sums are shifted down, else None; they count in units of the source's `step`,
    and `factor` and 1 / `scale` make of the sum what the population is given.
    """

    source: str
    operator: Operator
    weight: Tensor
    delay: int
    mantissas: Tensor | None
    step: float
    factor: float
    scale: float


class Rounded:
    """Rounds a network whenever it has changed, and drives its populations accordingly, for as long as it lives."""

    def __init__(self, network: System, lowered: Lowered, scales: HeldScales) -> None:
        """Take hold of `network`, which must stay in evaluation mode: its BatchNorm is part of its weights."""
        self._lowered, self._scales = lowered, scales
        self._known: list[Tensor] = []
        self._shifts: dict[str, Shift] = {}
        self._sent: dict[str, Tensor] = {}
        network.register_forward_pre_hook(self._begin)
        network.register_forward_hook(self._end)
        populations = network.populations()
        for name, module in populations.items():
            if isinstance(module, LIF):
                module.register_forward_pre_hook(_Drive(self, name))
                module.register_forward_hook(_Return(module.tau, module.v_threshold))
            module.register_forward_hook(_Record(self, name))
        for name in scales.populations.keys() - populations.keys():
            network.get_submodule(name).register_forward_hook(_Readout(self, name))

    def integers(self, network: System) -> dict[str, Quantized]:
        """Every population as the network is rounded now."""
        tasks = self._lowered.tasks(network)
        return {name: self._quantized(tasks[name]) for name in self._scales.populations}

    def _quantized(self, task: Task) -> Quantized:
        held = self._scales.populations[task.population.name]
        (only,) = rounded(task, Setting(held.scale, held.exponents, held.threshold))
        return only

    def _begin(self, network: System, images: tuple[Tensor, Tensor]) -> None:
        state = list(network.state_dict().values())
        if not self._is_known(state):
            tasks = self._lowered.tasks(network)
            device = images[0].device
            self._shifts = {n: _shift(tasks[n], self._quantized(tasks[n]), device) for n in self._scales.populations}
            self._known = [tensor.clone() for tensor in state]
        self._sent = dict(zip(MODALITIES, images, strict=True))

    def _is_known(self, state: list[Tensor]) -> bool:
        """Whether the shifts are those of `state`, on its device."""
        return bool(self._known) and all(
            known.device == now.device and torch.equal(known, now)
            for known, now in zip(self._known, state, strict=True)
        )

    def _end(self, network: System, images: tuple[Tensor, Tensor], logits: Tensor) -> None:
        self._sent = {}

    def record(self, name: str, spikes: Tensor) -> None:
        """Keep what a population sends for those that it drives."""
        self._sent[name] = spikes

    def shift(self, name: str) -> Shift | None:
        """What rounding changes at a population; None where it is not rounded."""
        return self._shifts.get(name)

    def drive(self, shift: Shift) -> Iterator[Tensor]:
        """What each term adds at every step, `(T, B, neurons)`."""
        for term in shift.terms:
            yield _through(term, self._sent[term.source])


@dataclass(frozen=True)
class _Drive:
    """Before a LIF: makes its current and its constants those of the rounded population."""

    rounded: Rounded
    name: str

    def __call__(self, neuron: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        shift = self.rounded.shift(self.name)
        if shift is None:
            return None
        assert isinstance(neuron, LIF)
        neuron.tau, neuron.v_threshold = shift.tau, shift.threshold
        (current,) = arguments
        shape = current.shape
        # The membrane takes 1 / tau of the current.
        if shift.bias.any():
            bias = torch.from_numpy(shift.bias * shift.tau).to(current.device, torch.float32)
            current = current + (bias if bias.numel() == 1 else bias.reshape(shape[2:]))
        for drive in self.rounded.drive(shift):
            current = current + shift.tau * drive.view(shape)
        return (current,)


@dataclass(frozen=True)
class _Return:
    """Behind a LIF: gives it its own constants again, which are the network's."""

    tau: float
    threshold: float

    def __call__(self, neuron: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(neuron, LIF)
        neuron.tau, neuron.v_threshold = self.tau, self.threshold


@dataclass(frozen=True)
class _Record:
    """Behind a population: keeps its spikes."""

    rounded: Rounded
    name: str

    def __call__(self, population: nn.Module, arguments: tuple[Tensor, ...], spikes: Tensor) -> None:
        self.rounded.record(self.name, spikes)


@dataclass(frozen=True)
class _Readout:
    """Behind the readout, `(B, classes)`, which sums up all steps."""

    rounded: Rounded
    name: str

    def __call__(self, module: nn.Module, arguments: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        shift = self.rounded.shift(self.name)
        assert shift is not None
        steps = len(arguments[0])
        logits = logits + steps * torch.from_numpy(shift.bias).to(logits)
        for drive in self.rounded.drive(shift):
            logits = logits + drive.sum(dim=0)
        return logits


def _shift(task: Task, quantized: Quantized, device: torch.device) -> Shift:
    population, scale = task.population, quantized.population.scale
    terms = []
    for synapse, step, weight, held in zip(task.synapses, task.steps, task.weights, quantized.synapses, strict=True):
        assert synapse.operator.delays is None, "the exporter delays whole branches"
        change = (held.operator.weight * (2.0**held.exponent / scale) - weight) / step
        shifted = held.exponent < 0
        if shifted or np.abs(change).max(initial=0) > _NOTHING * np.abs(weight).max(initial=0) / step:
            mantissas = torch.from_numpy(held.operator.weight).to(device, torch.float32) if shifted else None
            moved = torch.from_numpy(change).to(device, torch.float32)
            factor = 2.0**held.exponent
            terms.append(Term(synapse.source, synapse.operator, moved, synapse.delay, mantissas, step, factor, scale))
    bias = quantized.population.bias / scale - population.bias
    # Between what the threshold keeps silent and the next membrane that there is.
    threshold = (quantized.population.vth + 0.5 / (1 << ALIGN_SHIFT)) / scale
    decay = int(quantized.population.dv[0])
    tau = DECAY_ONE / decay if decay else 1.0  # a readout keeps all that it is given
    return Shift(tuple(terms), np.ravel(bias), tau, threshold)


def _through(term: Term, sent: Tensor) -> Tensor:
    """What a synapse makes of `(T, B, …)`, `(T, B, targets)`."""
    if term.delay:
        sent = torch.cat([torch.zeros_like(sent[: term.delay]), sent[: -term.delay]])
    with torch.autocast(sent.device.type, enabled=False):
        sent = sent.float()
        rows = sent.flatten(0, 1)
        out = _applied(term.operator, term.weight, rows)
        if term.mantissas is not None:
            with torch.no_grad():
                sums = _applied(term.operator, term.mantissas, torch.round(rows / term.step)) * term.factor
            out = out + (torch.floor(sums) - sums) / term.scale
    return out.unflatten(0, sent.shape[:2])


def _applied(operator: Operator, weight: Tensor, x: Tensor) -> Tensor:
    """`(N, …)` to `(N, targets)`, with a gradient."""
    if isinstance(operator, Dense):
        return x.flatten(1) @ weight.T
    if not isinstance(operator, Conv2d):
        matrix = as_matrix(operator, weight.cpu().numpy()).tocoo()
        ends = torch.from_numpy(np.stack([matrix.row, matrix.col]))
        entries = torch.sparse_coo_tensor(ends, torch.from_numpy(matrix.data), matrix.shape, check_invariants=True)
        return torch.sparse.mm(entries.to(x.device), x.flatten(1).T).T
    stride = operator.stride
    if operator.weight.shape[2:] == (1, 1) and operator.padding == (0, 0):
        # As `training.model.layers` does, and for the same fault of oneDNN.
        x, stride = x[..., :: stride[0], :: stride[1]], (1, 1)
    return functional.conv2d(x, weight, None, stride, operator.padding, operator.dilation, operator.groups).flatten(1)
