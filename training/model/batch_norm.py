"""BatchNorm whose statistics are those of the whole batch, also where the batch is spread over processes.

torch's own SyncBatchNorm does this on GPUs only; here CPU processes take the same path, so that it can be proved there:
n processes train as one with the n-fold batch does. In one process, and in evaluation, it is torch's BatchNorm.

But a channel that does not vary, as none of a blank image does, is given no gradient. That would be rounding noise over
a deviation of 0: some three hundred times larger behind each layer of a network, until it is infinite.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce

# Variance up to which a channel is taken for constant: a deviation of 3e-6, which is rounding. The least that varies, a
# single spike in a batch, makes more.
STILL = 1e-11


def _processes() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def shared() -> bool:
    """Whether a batch is spread over several processes."""
    return _processes() > 1


def track(norm: nn.BatchNorm1d | nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics towards mean and biased variance `(C,)` of a batch of `count` values a channel."""
    norm.get_buffer("num_batches_tracked").add_(1)
    norm.get_buffer("running_mean").lerp_(mean, norm.momentum)
    norm.get_buffer("running_var").lerp_(variance * (count / (count - 1)), norm.momentum)


def _normalise(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor, processes: int) -> Tensor:
    """Normalise `(B, C, …)` by mean and variance over all processes, which hold equally many values each."""
    over = [0, *range(2, x.ndim)]
    count = processes * x.numel() // x.shape[1]
    mean = all_reduce(x.sum(dim=over, keepdim=True)) / count
    centred = x - mean
    variance = all_reduce(centred.square().sum(dim=over, keepdim=True)) / count
    track(norm, mean.detach().flatten(), variance.detach().flatten(), count)
    scale = norm.weight.view_as(mean) / torch.sqrt(variance + norm.eps)
    return torch.where(variance > STILL, centred * scale, 0.0) + norm.bias.view_as(mean)


def _where_varying(x: Tensor) -> Tensor:
    """`(B, C, …)` itself, whose gradient is 0 in channels that are constant."""
    variance = x.detach().var(dim=[0, *range(2, x.ndim)], correction=0, keepdim=True)
    return torch.where(variance > STILL, x, x.detach())


class _NormaliseVarying(torch.autograd.Function):
    """torch's BatchNorm in training, whose pass back leaves out channels that are constant.

    It finds them by the deviation that the pass forward has at hand, for which `_where_varying` reads the batch again.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *constants: float
    ) -> Tensor:
        """`constants`: momentum and eps."""
        normalised, *statistics = torch.native_batch_norm(x, weight, bias, mean, var, True, *constants)
        ctx.save_for_backward(x, weight, *statistics)
        ctx.eps = constants[1]
        return normalised

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse = ctx.saved_tensors
        to_x, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(  # type: ignore[attr-defined]
            grad, x, weight, None, None, mean, inverse, True, ctx.eps, [True, True, True]
        )
        still = inverse.double() ** -2 - ctx.eps <= STILL
        if still.any():
            to_x[:, still] = 0
        return to_x, to_weight, to_bias, None, None, None, None


def _normalise_alone(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Normalise `(B, C, …)` on a CPU by mean and variance of this process."""
    norm.get_buffer("num_batches_tracked").add_(1)
    running = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    normalised: Tensor = _NormaliseVarying.apply(x, norm.weight, norm.bias, *running, norm.momentum, norm.eps)
    return normalised


class BatchNorm1d(nn.BatchNorm1d):
    """For `(B, C)`."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalised `x`."""
        if not self.training:
            return super().forward(x)
        if (processes := _processes()) > 1:
            return _normalise(self, x, processes)
        return super().forward(_where_varying(x)) if x.is_cuda else _normalise_alone(self, x)


class BatchNorm2d(nn.BatchNorm2d):
    """For `(B, C, H, W)`."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalised `x`."""
        if not self.training:
            return super().forward(x)
        if (processes := _processes()) > 1:
            return _normalise(self, x, processes)
        return super().forward(_where_varying(x)) if x.is_cuda else _normalise_alone(self, x)
