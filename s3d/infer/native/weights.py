"""Weights as the kernels take them: transformed where a kernel multiplies less, cut in panels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.models.layers import Triple

Kind = Literal["points", "space", "time3", "time7", "stem", "direct"]

MOST_CHANNELS = 4096
"""As many zeros as kernels.c keeps; wider inputs are gathered."""

Rows = list[list[float]]


def choose_kind(channels: int, kernel: Triple, stride: Triple, before: Triple) -> Kind:
    """Return the kernel for a convolution.

    Args:
        channels: Of its input.
        kernel: Along time, height, width.
        stride: Likewise.
        before: Zeros before each axis.
    """
    if kernel == stride == (1, 1, 1) and before == (0, 0, 0):
        return "points"
    if channels > MOST_CHANNELS:
        return "direct"
    if kernel[1:] == (3, 3) and stride[1:] == (1, 1):
        return "space"
    if kernel[1:] == stride[1:] == (1, 1) and before[1:] == (0, 0):
        if kernel[0] == 3 and stride[0] == 1:
            return "time3"
        if kernel[0] in (7, 8) and stride[0] == 2:
            return "time7"
    flat = kernel[0] == stride[0] == 1 and before[0] == 0
    if flat and kernel[2] in (7, 8) and stride[1:] == (2, 2) and channels <= 4:
        return "stem"
    return "direct"


def pack(kind: Kind, weight: Tensor, vector: int) -> Tensor:
    """Return weights (C', C, kt, kh, kw) as a kernel reads them.

    Args:
        kind: The kernel.
        weight: The values.
        vector: Floats of the processor's vectors.

    Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015).
    """
    w = weight.double()
    return _cut_in_panels(_TRANSFORMS[kind](w), 2 * vector, vector)


def _points(w: Tensor) -> Tensor:
    return w.permute(2, 3, 4, 1, 0).flatten(0, 3)[None]


def _space(w: Tensor) -> Tensor:
    three = _three_taps()
    u = torch.einsum("ay,bx,oityx->abtio", three, three, w)
    return u.flatten(2, 3).flatten(0, 1)


def _time3(w: Tensor) -> Tensor:
    return torch.einsum("at,oit->aio", _three_taps(), w[..., 0, 0])


def _time7(w: Tensor) -> Tensor:
    # At a stride of 2 the frames of even places see the even taps, those of odd places the odd.
    w = _to_eight(w[..., 0, 0])
    return torch.cat([torch.einsum("at,oit->aio", _four_taps(), w[..., i::2]) for i in (0, 1)], 1)


def _stem(w: Tensor) -> Tensor:
    pairs = torch.unflatten(_to_eight(w[:, :, 0]), 3, (4, 2))
    return torch.einsum("am,ocrmf->arfco", _four_taps(), pairs).flatten(1, 3)


_TRANSFORMS = {
    "points": _points,
    "direct": _points,
    "space": _space,
    "time3": _time3,
    "time7": _time7,
    "stem": _stem,
}


def _to_eight(w: Tensor) -> Tensor:
    return F.pad(w, (0, 8 - w.shape[-1]))


def _three_taps() -> Tensor:
    """Return what F(4, 3) multiplies weights with: points 0, 1, -1, 2, -2 and infinity."""
    return _evaluate((0.0, 1.0, -1.0, 2.0, -2.0), 3)


def _four_taps() -> Tensor:
    """Return the same of F(4, 4): points 1, -1, 2, -2, 1/2, -1/2 and infinity."""
    return _evaluate((1.0, -1.0, 2.0, -2.0, 0.5, -0.5), 4)


def _evaluate(points: tuple[float, ...], taps: int) -> Tensor:
    rows: Rows = []
    for p in points:
        others = torch.tensor([p - q for q in points if q != p], dtype=torch.float64)
        rows.append([p**k / float(others.prod()) for k in range(taps)])
    rows.append([0.0] * (taps - 1) + [1.0])
    return torch.tensor(rows, dtype=torch.float64)


def _cut_in_panels(u: Tensor, wide: int, vector: int) -> Tensor:
    """Return (products, depth, C') as panels of output channels, each (products, depth, wide)."""
    parts = []
    for first in range(0, u.shape[2], wide):
        part = u[:, :, first : first + wide]
        full = wide if part.shape[2] > vector else vector
        parts.append(F.pad(part, (0, full - part.shape[2])).flatten())
    return torch.cat(parts).float().contiguous()
