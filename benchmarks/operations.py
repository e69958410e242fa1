"""The operations of a forward pass of any system, counted without knowing it: every convolution and matrix product.

    dense_macs            multiply-accumulates of layers that skip nothing, those at the padding among them
    accumulates           Σ |x| · synapses met, where what drives the weights is whole numbers: a 2 is two spikes
    multiply_accumulates  Σ [x ≠ 0] · synapses met, where it is real values; of an image, every pixel

A product of two activations has no weights: Σ |A| |B| accumulates where both are whole numbers, otherwise as many
multiply-accumulates as there are pairs without a 0. A sum of spike trains, each times a constant of the network, is no
whole number, but each train could send its own spikes to weights that hold its constant: it is counted so.

Not counted: BatchNorm, which folds into weights; products of entries, means and neurons; what the logits do not depend
on, such as readouts that training alone uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor
from torch._ops import ops
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from snnergy.artefacts.samples import MODALITIES
from snnergy.energy.operations import Operation
from snnergy.energy.prices import FP32
from snnergy.training.loop.evaluation import to_input
from snnergy.training.model.system import System

_aten: Any = ops.aten
# Besides views: a sum of spike trains that one of these has moved or added is one still.
_LINEAR = {
    _aten.clone.default,
    _aten._unsafe_view.default,
    _aten.cat.default,
    _aten.stack.default,
    _aten.constant_pad_nd.default,
    _aten.add.Tensor,
}


@dataclass(frozen=True)
class Operations:
    """Of one sample: `dense_macs` of every one, the driven ones of the mean one."""

    dense_macs: int
    accumulates: float
    multiply_accumulates: float


@dataclass(frozen=True)
class Product:
    """One convolution or matrix product of a forward pass, all samples together.

    needed: whether the logits depend on it.
    """

    operations: Operations
    needed: bool


def energy_pj(accumulates: float, multiply_accumulates: float) -> float:
    """Price of the operations in 45 nm fp32."""
    return round(accumulates * _pj("ac") + multiply_accumulates * _pj("mac_dense"), 1)


def _pj(operation: Operation) -> float:
    price = FP32.price(operation)
    assert price is not None and price.pj is not None, operation
    return price.pj


def measure_operations(network: System, samples: dict[str, npt.NDArray[Any]]) -> Operations:
    """Count what the logits need.

    Args:
        network: on the CPU, in evaluation mode.
        samples: video and audio uint8 `(N, T, C, H, W)`; one batch, so that a stream is real where it is in any sample.
    """
    video, audio = (to_input(torch.from_numpy(samples[name])) for name in MODALITIES)
    needed = [product.operations for product in products(network, video, audio) if product.needed]
    dense, count = sum(each.dense_macs for each in needed), video.shape[1]
    assert dense % count == 0  # no product is made once for a batch
    return Operations(
        dense // count,
        sum(each.accumulates for each in needed) / count,
        sum(each.multiply_accumulates for each in needed) / count,
    )


def products(network: System, video: Tensor, audio: Tensor) -> list[Product]:
    """Every product of the forward pass of two images `(T, B, C, H, W)`, in order."""
    with torch.enable_grad(), _Counter(network, (video, audio)) as counter, _Makers(counter) as makers:
        logits = network(video, audio)
    gradients = torch.autograd.grad(logits.sum(), makers.outputs, allow_unused=True)
    return [
        Product(operations, gradient is not None)
        for operations, gradient in zip(counter.products, gradients, strict=True)
    ]


def _memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _place(x: Tensor) -> tuple[Any, ...]:
    """What tells a tensor from others: operators are given new objects for what is the same memory."""
    return _memory(x), x.storage_offset(), tuple(x.shape), tuple(x.stride())


class _Counter(TorchDispatchMode):
    """Watches every operator below autograd.

    weights: memory of parameters. images: memory of the images and of what is made of them before the first product.
    trains: place of a sum of scaled spike trains → spikes in each entry. `_kept` keeps memory that is named in these
    from being used again.
    """

    def __init__(self, network: System, images: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.products: list[Operations] = []
        self.weights = {_memory(parameter) for parameter in network.parameters()}
        self.images = {_memory(image) for image in images}
        self.trains: dict[tuple[Any, ...], Tensor] = {}
        self._kept: list[Any] = [network, images]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = [x for x in tree_flatten(args)[0] if isinstance(x, Tensor)]
        if func in _PRODUCTS:
            self.products.append(_PRODUCTS[func](self, *args))
        elif any(_memory(x) in self.images for x in inputs):
            outputs = [x for x in tree_flatten(out)[0] if isinstance(x, Tensor)]
            self._kept += outputs
            self.images |= {_memory(x) for x in outputs}
        elif func is _aten.mul.Tensor:
            self._scale(out, *args)
        elif (func.is_view or func in _LINEAR) and any(_place(x) in self.trains for x in inputs):
            self._carry(out, func, args, kwargs or {})
        return out

    def _scale(self, out: Tensor, *factors: Any) -> None:
        """Spikes times one constant of the network are as many spikes."""
        constants = [x for x in factors if not isinstance(x, Tensor) or (x.ndim == 0 and _memory(x) in self.weights)]
        if len(constants) == 1:
            (x,) = (x for x in factors if x is not constants[0])
            self._set(out, self.spikes(x))

    def _carry(self, out: Any, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """The same of the spikes, where all that enters is spikes."""
        found = [self.spikes(x) for x in tree_flatten(args)[0] if isinstance(x, Tensor)]
        if all(spikes is not None for spikes in found):
            carried = func(*tree_map(lambda x: self.spikes(x) if isinstance(x, Tensor) else x, args), **kwargs)
            for each, spikes in zip(tree_flatten(out)[0], tree_flatten(carried)[0], strict=True):
                self._set(each, spikes)

    def _set(self, x: Tensor, spikes: Tensor | None) -> None:
        if spikes is not None:
            self._kept.append(x)
            self.trains[_place(x)] = spikes

    def spikes(self, x: Tensor) -> Tensor | None:
        """Spikes in each entry; None where they are real values."""
        if (found := self.trains.get(_place(x))) is not None:
            return found
        return x.abs() if _memory(x) not in self.images and bool((x == x.round()).all()) else None

    def driven(self, x: Tensor) -> tuple[Tensor, bool]:
        """Events of each entry, and whether they are spikes."""
        if (spikes := self.spikes(x)) is not None:
            return spikes.double(), True
        return (torch.ones_like(x) if _memory(x) in self.images else x != 0).double(), False


class _Makers(TorchFunctionMode):
    """Watches above autograd which output each product of a counter went into."""

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self.counter = counter
        self.outputs: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        before = len(self.counter.products)
        out = func(*args, **(kwargs or {}))
        self.outputs += [out] * (len(self.counter.products) - before)
        return out


def _operations(dense: int, events: Tensor, spikes: bool) -> Operations:
    count = events.sum().item()
    return Operations(dense, count, 0.0) if spikes else Operations(dense, 0.0, count)


def _convolution(
    counter: _Counter,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Operations:
    """x `(B, C, …)`, weight `(O, C / groups, …)`.

    Which windows cover a position is a matter of each axis alone.
    """
    assert not transposed
    events, spikes = counter.driven(x)
    met, positions = events.sum(dim=(0, 1)), 1
    for axis, kernel in enumerate(weight.shape[2:]):
        size, step, pad, apart = (each[axis] for each in (x.shape[2:], stride, padding, dilation))
        windows = (size + 2 * pad - apart * (kernel - 1) - 1) // step + 1
        read = torch.arange(windows)[:, None] * step - pad + torch.arange(kernel) * apart
        covers = torch.bincount(read[(read >= 0) & (read < size)], minlength=size).double()
        met = torch.tensordot(covers, met, dims=1)
        positions *= windows
    return _operations(len(x) * positions * weight.numel(), met * (len(weight) // groups), spikes)


def _matrices(counter: _Counter, a: Tensor, b: Tensor) -> Operations:
    """a `(…, N, K)` times b `(…, K, M)`."""
    dense = a.numel() * b.shape[-1]
    if _memory(b) in counter.weights:
        events, spikes = counter.driven(a)
        return _operations(dense, events * b.shape[-1], spikes)
    if _memory(a) in counter.weights:
        events, spikes = counter.driven(b)
        return _operations(dense, events * a.shape[-2], spikes)
    (left, left_spikes), (right, right_spikes) = counter.driven(a), counter.driven(b)
    if left_spikes != right_spikes:
        left, right = (left != 0).double(), (right != 0).double()
    return _operations(dense, left.sum(dim=-2) * right.sum(dim=-1), left_spikes and right_spikes)


_PRODUCTS: dict[Any, Callable[..., Operations]] = {
    _aten.convolution.default: _convolution,
    _aten.mm.default: _matrices,
    _aten.bmm.default: _matrices,
    _aten.addmm.default: lambda counter, _, a, b: _matrices(counter, a, b),
    _aten.baddbmm.default: lambda counter, _, a, b: _matrices(counter, a, b),
}
