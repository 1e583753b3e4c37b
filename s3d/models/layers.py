"""The layers: every separable one a channels-last 2D operation on a view of the activations.

Activations are (B, C, T, H, W) and lie in memory as (B, T, H, W, C). So a spatial operation is a
2D one on the view (B*T, C, H, W), a temporal one a 2D one on the view (B, C, T, H*W), and neither
copies. PyTorch's own 3D pooling and 1x1x1 convolutions are several times slower on a CPU.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.models.style import Padding, Style

Triple = tuple[int, int, int]
Norm = nn.BatchNorm2d | nn.SyncBatchNorm
Axis = Literal["space", "time", "both"]

SYMMETRIC = ("symmetric", "symmetric_ceil", "ceil", "static")
"""Paddings whose convolutions have k // 2 on both sides, which they add themselves."""

PADDED_FIRST = ("same", "static")
"""Paddings whose pools are given more zeros after than before, by `pad_axes`."""


def channels_last(x: Tensor) -> Tensor:
    """Return (B, C, T, H, W) activations laid out in memory as (B, T, H, W, C)."""
    return x.contiguous(memory_format=torch.channels_last_3d)


def frames_view(x: Tensor) -> Tensor:
    """Return (B, C, T, H, W) as (B*T, C, H, W), without a copy where x is channels-last."""
    return x.transpose(1, 2).flatten(0, 1)


def clips_view(x: Tensor, batch: int) -> Tensor:
    """Return (B*T, C, H, W) as (B, C, T, H, W): `frames_view` undone."""
    return torch.unflatten(x, 0, (batch, -1)).transpose(1, 2)


def padding_amount(style: Padding, size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many values TensorFlow's paddings add before and after one axis.

    Args:
        style: "same" or "static", as in `Style.padding`.
        size: Values along the axis.
        kernel: Kernel along the axis.
        stride: Stride along the axis.
    """
    if style == "same":
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    total = max(kernel - stride, 0)
    before = total // 2
    # The port rounds the count of outputs up; what that takes after the end is padding too.
    outputs = max(-(-(size + total - kernel) // stride) + 1, 1)
    return before, (outputs - 1) * stride + kernel - size - before


class Conv(nn.Module):
    """Convolve, normalise, rectify; (B, C, T, H, W) to (B, C', T', H', W').

    In training the batch norm is a module of its own, so that `SyncBatchNorm` can take its place.
    In eval mode it is folded into the kernel on the fly: the kernel is small beside what it reads.
    """

    def __init__(
        self, channels: tuple[int, int], kernel: Triple, style: Style, stride: Triple = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, style.padding
        self.weight = nn.Parameter(torch.empty(channels[1], channels[0], *kernel))
        temporal = kernel[0] > 1 and kernel[1:] == (1, 1)
        self.bias: nn.Parameter | None = None
        self.norm: Norm | None = None
        if temporal and style.temporal_norm == "bias":
            self.bias = nn.Parameter(torch.zeros(channels[1]))
        else:
            self.norm = _norm(channels[1], style)
        if not self.weight.is_meta:
            # A meta tensor has no values; to fill one, torch imports for a second and a half.
            nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if temporal and style.temporal_init == "identity":
            make_identity(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified, normalised convolution of x."""
        if self.norm is None:
            return F.relu_(self._convolve(x, self.weight, self.bias))
        if not self.training:
            weight, bias = fold_norm(self.weight, self.norm)
            return F.relu_(self._convolve(x, weight, bias))
        y = self._convolve(x, self.weight, None)
        return clips_view(F.relu_(self.norm(frames_view(y))), len(x))

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        batch, stride = len(x), self.stride
        if self.kernel == stride == (1, 1, 1):
            # A matrix product on what lies in memory as (B*T*H*W, C).
            y = F.linear(x.permute(0, 2, 3, 4, 1), weight.flatten(1), bias)
            return y.permute(0, 4, 1, 2, 3)
        if self.kernel[1:] == stride[1:] == (1, 1):
            x = self._pad(x, "time")
            height = x.shape[3]
            y = F.conv2d(x.flatten(3), weight.flatten(3), bias, (stride[0], 1), self._half("time"))
            return torch.unflatten(y, 3, (height, -1))
        if self.kernel[0] == 1:
            x = self._pad(x[:, :, :: stride[0]], "space")
            y = F.conv2d(frames_view(x), weight[:, :, 0], bias, stride[1:], self._half("space"))
            return clips_view(y, batch)
        x = self._pad(x, "both")
        return _conv3d(x, weight, bias, stride, self._half("both"))

    def _half(self, axis: Axis) -> tuple[int, ...]:
        """Return the padding a convolution adds itself: all of it where it is symmetric."""
        half = [k // 2 if self.padding in SYMMETRIC else 0 for k in self.kernel]
        return {"space": (half[1], half[2]), "time": (half[0], 0), "both": tuple(half)}[axis]

    def _pad(self, x: Tensor, axis: Axis) -> Tensor:
        if self.padding in SYMMETRIC:
            return x
        return pad_axes(x, self.kernel, self.stride, self.padding, axis)


def _conv3d(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Triple, padding: tuple[int, ...]
) -> Tensor:
    # For one clip on a CPU, F.conv3d takes a path ten times slower than oneDNN's.
    if len(x) == 1 and x.device.type == "cpu" and x.dtype == torch.float32 and _has_onednn():
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, (1, 1, 1), 1)
    return F.conv3d(x, weight, bias, stride, padding)


def _has_onednn() -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and not torch.compiler.is_compiling()


def pad_axes(x: Tensor, kernel: Triple, stride: Triple, style: Padding, axis: Axis) -> Tensor:
    """Pad (B, C, T, H, W) with zeros along time, space or both, as `padding_amount` says."""
    amounts: list[int] = []
    for i in (2, 1, 0):  # F.pad begins with the last axis
        wanted = axis == "both" or (axis == "time") == (i == 0)
        pair = padding_amount(style, x.shape[2 + i], kernel[i], stride[i]) if wanted else (0, 0)
        amounts += pair
    return F.pad(x, amounts) if any(amounts) else x


def _norm(channels: int, style: Style) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=style.norm_epsilon, momentum=1e-3)
    if not style.norm_has_scale:
        del norm.weight
        norm.register_buffer("weight", torch.ones(channels), persistent=False)
    return norm


def fold_norm(weight: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """Return the kernel and bias that convolve and normalise in one go.

    Args:
        weight: (C', C, kt, kh, kw).
        norm: A batch norm over C' channels, used with its running statistics.
    """
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    scale = torch.rsqrt(var + norm.eps) * norm.weight
    return weight * scale.view(-1, 1, 1, 1, 1), norm.bias - mean * scale


@torch.no_grad()
def make_identity(conv: Conv) -> None:
    """Set a temporal convolution, its norm included, to hand its input through unchanged."""
    frames = conv.kernel[0]
    conv.weight.zero_()
    conv.weight[:, :, frames // 2, 0, 0].fill_diagonal_(1.0)
    if conv.bias is not None:
        conv.bias.zero_()
    if isinstance(conv.norm, nn.BatchNorm2d):
        conv.norm.reset_running_stats()
        conv.norm.bias.zero_()
        assert conv.norm.running_var is not None
        # The norm divides by sqrt(var + epsilon): that is 1 where var is 1 - epsilon.
        conv.norm.running_var.fill_(1.0 - conv.norm.eps)
        conv.norm.weight.fill_(1.0)


class MaxPool(nn.Module):
    """Take the maximum over a window; a kernel shrinks to what is there.

    Works on values that are not negative, as everything behind a ReLU is: padding is with zeros.
    """

    def __init__(self, kernel: Triple, stride: Triple, style: Style) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, style.padding

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, C, T, H, W) over space, then over time."""
        kernel, batch = self._fit(x), len(x)
        if self.padding in PADDED_FIRST:
            x = pad_axes(x, kernel, self.stride, self.padding, "both")
        half, up = self._half(kernel), self._rounds_up()
        if kernel[1] > 1 or kernel[2] > 1 or self.stride[1:] != (1, 1):
            y = F.max_pool2d(frames_view(x), kernel[1:], self.stride[1:], half[1:], ceil_mode=up)
            x = clips_view(y, batch)
        if kernel[0] > 1 or self.stride[0] > 1:
            height = x.shape[3]
            y = F.max_pool2d(
                x.flatten(3), (kernel[0], 1), (self.stride[0], 1), (half[0], 0), ceil_mode=up
            )
            x = torch.unflatten(y, 3, (height, -1))
        return x

    def _fit(self, x: Tensor) -> Triple:
        """Return the kernel, an unpadded axis shrunk to the input's size."""
        sizes, padded = x.shape[2:], [i for i in range(3) if self._is_padded(i)]
        fits = [k if i in padded else min(k, sizes[i]) for i, k in enumerate(self.kernel)]
        return fits[0], fits[1], fits[2]

    def _is_padded(self, axis: int) -> bool:
        unpadded = self.padding == "ceil" and self.stride[axis] > 1
        return self.kernel[axis] % 2 == 1 and not unpadded

    def _half(self, kernel: Triple) -> tuple[int, int, int]:
        """Return the padding that max pooling adds itself."""
        if self.padding in PADDED_FIRST:
            return 0, 0, 0
        half = [k // 2 if self._is_padded(i) else 0 for i, k in enumerate(kernel)]
        return half[0], half[1], half[2]

    def _rounds_up(self) -> bool:
        # An odd kernel, padded, already has a window for each stride begun.
        even = self.kernel[2] % 2 == 0
        return self.padding == "ceil" or (self.padding == "symmetric_ceil" and even)


class Gate(nn.Module):
    """Weigh each channel by what the whole clip holds: sigmoid(W mean(x) + b) * x.

    Source: paper section 4.3 (S3D-G).
    """

    def __init__(self, channels: int, has_bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if has_bias else None
        if not self.weight.is_meta:
            nn.init.trunc_normal_(self.weight, std=0.01, a=-0.02, b=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Gate (B, C, T, H, W)."""
        weights = torch.sigmoid(F.linear(x.mean((2, 3, 4)), self.weight, self.bias))
        return x * weights[:, :, None, None, None]
