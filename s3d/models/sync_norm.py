"""Batch norms that see the batch of all processes, on any device."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SyncNorm(nn.BatchNorm2d):
    """Normalise with the statistics of all processes' values, however many each has.

    In training it gives the outputs, gradients and running statistics that `nn.BatchNorm2d` has
    for the whole batch in one process, and rounds less than that: on a CPU `nn.BatchNorm2d`
    multiplies before it subtracts the mean, and so loses digits of values far from 0. It takes the
    place of a norm and keeps its tensors.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        assert norm.momentum is not None
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        if not isinstance(norm.weight, nn.Parameter):
            del self.weight
            self.register_buffer("weight", None, persistent=False)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) normalised; in training, all processes must call it."""
        if not self.training:
            return super().forward(x)
        y: Tensor
        y, mean, var, count = _Normalise.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._track(mean, var * (count / (count - 1).clamp(min=1)))
        return y

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(var.to(self.running_var), self.momentum)


def synchronise_norms(network: nn.Module) -> None:
    """Put a `SyncNorm` in the place of every batch norm of a network."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, SyncNorm(child))


class _Normalise(torch.autograd.Function):
    """The norm itself; its statistics, forth and back, are sums over all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, var, count = _measure(values)
        scale = torch.rsqrt(var + eps)
        ctx.save_for_backward(x, weight, mean, scale, count)
        y = values - _wide(mean, values)
        y.mul_(_wide(scale * weight, y)).add_(_wide(bias, y))
        ctx.mark_non_differentiable(mean, var, count)
        return y.to(x.dtype), mean, var, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, count = ctx.saved_tensors
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        grad = grad.to(values.dtype)
        normal = (values - _wide(mean, values)).mul_(_wide(scale, values))
        own = torch.stack([grad.sum((0, 2, 3)), (grad * normal).sum((0, 2, 3))])
        sums = own.to(torch.float64, copy=True)
        _add_up(sums)
        shift, slope = sums / count
        back = grad - _wide(shift, grad)
        back.sub_(normal.mul_(_wide(slope, grad))).mul_(_wide(scale * weight, grad))
        needs = ctx.needs_input_grad
        return (
            back.to(x.dtype) if needs[0] else None,
            own[1].to(weight.dtype) if needs[1] else None,
            own[0].to(weight.dtype) if needs[2] else None,
            None,
        )


def _measure(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (C,), biased variance (C,) and count of all processes' values, in float64.

    In float64 nothing is lost in the difference of sums: that of values far from 0 would be.
    """
    var, mean = torch.var_mean(values, (0, 2, 3), correction=0)
    var, mean = var.double(), mean.double()
    count = values.numel() // values.shape[1]
    sums = torch.cat([mean, var + mean**2, torch.ones_like(mean[:1])]) * count
    _add_up(sums)
    total = sums[-1]
    mean, square = (sums[:-1] / total).chunk(2)
    return mean, (square - mean**2).clamp_(min=0), total


def _add_up(sums: Tensor) -> None:
    if dist.is_initialized():
        dist.all_reduce(sums)


def _wide(channels: Tensor, like: Tensor) -> Tensor:
    return channels.to(like.dtype).view(1, -1, 1, 1)
