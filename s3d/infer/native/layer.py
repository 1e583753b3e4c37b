"""What the kernels are told of a layer, and which kernel takes it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.infer.native.weights import Kind, pack
from s3d.models.layers import Triple

SIZES = (
    *("ldi", "ldo", "cin", "cout", "b", "t", "h", "w", "out_t", "out_h", "out_w"),
    *("kt", "kh", "kw", "st", "sh", "sw", "pt", "ph", "pw", "relu", "streams", "threads"),
)
POINTERS = ("input", "out", "u", "bias")


class Layer(ctypes.Structure):
    """As `layer` in kernels.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in POINTERS),
        *((name, ctypes.c_long) for name in SIZES),
    ]


class Picture(ctypes.Structure):
    """As `picture` in kernels.c."""

    _fields_ = [
        ("input", ctypes.c_void_p),
        ("mean", ctypes.c_void_p),
        *((name, ctypes.c_long) for name in ("clip", "channel", "frame", "row", "pixel")),
    ]


@dataclass(frozen=True)
class Window:
    """What slides over the input.

    Attributes:
        kernel: Along time, height, width.
        stride: Likewise.
        before: Places added before each axis.
    """

    kernel: Triple
    stride: Triple
    before: Triple


POINT = Window((1, 1, 1), (1, 1, 1), (0, 0, 0))


def describe(
    x: Tensor | None,
    y: Tensor | None,
    window: Window,
    source: tuple[int, tuple[int, ...]],
    shape: tuple[int, ...],
) -> Layer:
    """Return the layer that reads x and writes y.

    Args:
        x: (B, T, H, W, C) float32 with a last stride of 1, its places evenly apart; None where it
            is never in memory or only known when the layer runs.
        y: (B, T', H', W', C'), likewise.
        window: What slides over it.
        source: The batch, and the shape (C, T, H, W) of what is read.
        shape: That of what is written.
    """
    layer = Layer()
    layer.b, (layer.cin, layer.t, layer.h, layer.w) = source
    layer.cout, layer.out_t, layer.out_h, layer.out_w = shape
    layer.ldi, layer.ldo = layer.cin, layer.cout
    if x is not None:
        layer.input, layer.ldi = x.data_ptr(), x.stride(3)
    if y is not None:
        layer.out, layer.ldo = y.data_ptr(), y.stride(3)
    layer.kt, layer.kh, layer.kw = window.kernel
    layer.st, layer.sh, layer.sw = window.stride
    layer.pt, layer.ph, layer.pw = window.before
    layer.threads = 1
    return layer


@dataclass(frozen=True)
class Weights:
    """Weights as a kernel takes them.

    Attributes:
        kind: The kernel.
        u: Packed.
        bias: Padded to whole vectors.
        window: Kernel, stride and padding.
    """

    kind: Kind
    u: Tensor
    bias: Tensor
    window: Window

    def bind(self, layer: Layer) -> None:
        """Let a layer use these weights, and rectify."""
        layer.u, layer.bias, layer.relu = self.u.data_ptr(), self.bias.data_ptr(), 1


def pack_weights(kind: Kind, weight: Tensor, bias: Tensor, window: Window, vector: int) -> Weights:
    """Return weights (C', C, kt, kh, kw) and bias (C',) as a kernel takes them.

    Args:
        kind: The kernel.
        weight: The kernel's values.
        bias: Added to each output channel.
        window: Kernel, stride and padding.
        vector: Floats of the processor's vectors.
    """
    padded = F.pad(bias.detach().to(torch.float32), (0, -len(bias) % (2 * vector))).contiguous()
    return Weights(kind, pack(kind, weight.detach(), vector), padded, window)
