"""The operations of one run of a layer, by where they arise, as torch calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from snnergy.training.model.layers import Projection
from snnergy.training.model.neurons import LIF
from snnergy.training.systems.parts import TokenLinear

_aten: Any = torch.ops.aten  # type: ignore[attr-defined]
# torch's own counter does not know the kernel that it takes on a CPU.
_FUSED = {_aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}
# An addition for each entry that is summed, a multiplication (of bits: an AND) for each product.
_SUMS = {_aten.sum.dim_IntList, _aten.mean.dim}
_PRODUCTS = {_aten.mul.Tensor}


@dataclass
class Operations:
    """Of one run.

    Attributes:
        projections: multiply-accumulates of weights.
        products: multiply-accumulates of activations with each other, in matrix products.
        elementwise: additions of sums and means, and products of activations entry by entry.
        neurons: updates of a membrane.
    """

    projections: int = 0
    products: int = 0
    elementwise: int = 0
    neurons: int = 0

    @property
    def attention(self) -> int:
        """What is neither projection nor neuron."""
        return self.products + self.elementwise

    @property
    def flops(self) -> int:
        """As torch's `FlopCounterMode` counts: two for each multiply-accumulate of a convolution or matrix product."""
        return 2 * (self.projections + self.products)


class _Elementwise(TorchDispatchMode):
    """Counts sums and products outside of neurons and of what a projection folds away."""

    def __init__(self, operations: Operations) -> None:
        super().__init__()
        self.operations = operations
        self.inside = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not self.inside:
            if func in _SUMS:
                self.operations.elementwise += args[0].numel()
            elif func in _PRODUCTS:
                self.operations.elementwise += out.numel()
        return out


@contextmanager
def _hooked(module: nn.Module, flops: FlopCounterMode, counter: _Elementwise) -> Iterator[None]:
    operations = counter.operations

    def enter(part: nn.Module, given: tuple[Tensor, ...]) -> None:
        counter.inside += 1
        if isinstance(part, LIF):
            operations.neurons += given[0].numel()
        else:
            operations.projections -= flops.get_total_flops() // 2

    def leave(part: nn.Module, _given: Any, _out: Any) -> None:
        counter.inside -= 1
        if not isinstance(part, LIF):
            operations.projections += flops.get_total_flops() // 2

    parts = [part for part in module.modules() if isinstance(part, LIF | Projection | TokenLinear)]
    handles = [part.register_forward_pre_hook(enter) for part in parts]
    handles += [part.register_forward_hook(leave) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def operations(module: nn.Module, call: Callable[[], object]) -> Operations:
    """Count one run of `call`, which computes with `module` alone. BatchNorm folds into weights and counts nothing."""
    found = Operations()
    counter = _Elementwise(found)
    # Not in inference mode, where what a matrix product is made of stays hidden.
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_FUSED) as flops, counter:
        with _hooked(module, flops, counter):
            call()
        found.products = flops.get_total_flops() // 2 - found.projections
    return found
