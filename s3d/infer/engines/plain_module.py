"""A graph as a module of plain PyTorch operations, which `torch.export` can write down.

Nothing here is private to one processor or version. Activations are (B, C, T, H, W); what is only
of space or only of time is a 2D operation on a view, as in `s3d.models.layers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.models.graph import (
    Channels,
    Classification,
    Concatenation,
    Convolution,
    Cubes,
    FeaturesInput,
    FramesInput,
    Gating,
    Graph,
    MaxPooling,
    Node,
    Shape,
)
from s3d.models.layers import Triple, frames_view


class PlainModule(nn.Module):
    """Give the output of a graph.

    Attributes:
        graph: The graph.
        gives_scores: Whether "scores" are given too, the softmax of the logits.
    """

    def __init__(self, graph: Graph, gives_scores: bool = False) -> None:
        super().__init__()
        self.graph, self.gives_scores = graph, gives_scores
        for node in graph.nodes:
            for key, values in _constants(node).items():
                self.register_buffer(_buffer_name(node, key), values.detach().cpu().clone())

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Return "logits" (B, K), and "scores" (B, K) where these are wanted."""
        held: dict[Node, Tensor] = {}
        for node in self.graph.nodes:
            inputs = [held[source] for source in node.sources] or [frames]
            constants = [self.get_buffer(_buffer_name(node, key)) for key in _constants(node)]
            held[node] = _OPERATIONS[type(node)](node, *inputs, *constants)
        logits = held[self.graph.output]
        if not self.gives_scores:
            return {"logits": logits}
        return {"logits": logits, "scores": logits.softmax(1)}


def _constants(node: Node) -> dict[str, Tensor]:
    if isinstance(node, FramesInput):
        return {"mean": torch.tensor(node.mean) * 255}
    if isinstance(node, (Convolution, Gating, Classification)):
        return {"weight": node.weight, "bias": node.bias}
    return {}


def _buffer_name(node: Node, key: str) -> str:
    return f"{node.name}.{key}".replace(".", "_")


def _take_frames(_node: FramesInput, frames: Tensor, mean: Tensor) -> Tensor:
    return (frames.float() - mean).permute(0, 4, 1, 2, 3)


def _take_features(_node: FeaturesInput, features: Tensor) -> Tensor:
    return features


def _convolve(node: Convolution, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    x = _pad(x, node.before, node.after)
    kernel, stride = node.kernel, node.stride
    if kernel[1:] == stride[1:] == (1, 1):
        y = F.conv2d(x.flatten(3), weight.flatten(3), bias, (stride[0], 1))
        return torch.unflatten(y, 3, x.shape[3:]).relu()
    if kernel[0] == 1:
        x = x[:, :, :: stride[0]]
        y = F.conv2d(frames_view(x), weight[:, :, 0], bias, stride[1:])
        return _clips_view(y, x).relu()
    return F.conv3d(x, weight, bias, stride).relu()


def _pad(x: Tensor, before: Triple, after: Triple) -> Tensor:
    """Pad with zeros; no value is negative where these are for a pool."""
    amounts = [amount for axis in (2, 1, 0) for amount in (before[axis], after[axis])]
    return F.pad(x, amounts) if any(amounts) else x


def _pool(node: MaxPooling, x: Tensor) -> Tensor:
    x = _pad(x, node.before, node.after)
    kernel, stride = node.kernel, node.stride
    if kernel[1:] != (1, 1) or stride[1:] != (1, 1):
        x = _clips_view(F.max_pool2d(frames_view(x), kernel[1:], stride[1:]), x)
    if kernel[0] > 1 or stride[0] > 1:
        y = F.max_pool2d(x.flatten(3), (kernel[0], 1), (stride[0], 1))
        x = torch.unflatten(y, 3, x.shape[3:])
    return x


def _clips_view(y: Tensor, x: Tensor) -> Tensor:
    """Return (B*T, C, H, W) as (B, C, T, H, W), B and T as x has them: -1 would fix T."""
    return torch.unflatten(y, 0, (x.shape[0], x.shape[2])).transpose(1, 2)


def _concatenate(_node: Concatenation, *parts: Tensor) -> Tensor:
    return torch.cat(parts, 1)


def _take_channels(node: Channels, x: Tensor) -> Tensor:
    return x[:, node.start : node.start + node.shape[0]]


def _gate(_node: Gating, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    shares = torch.sigmoid(F.linear(x.mean((2, 3, 4)), weight, bias))
    return x * shares[:, :, None, None, None]


def _make_cubes(node: Cubes, x: Tensor) -> Tensor:
    (channels, *sizes), (t, h, w) = node.sources[0].shape, node.shape[1:]
    x = _pad(x, (0, 0, 0), _spare(sizes, (t, h, w)))
    cubes = x.reshape(-1, channels, t, 2, h, 2, w, 2)
    return cubes.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(-1, 8 * channels, t, h, w)


def _spare(sizes: Shape | list[int], halves: Triple) -> Triple:
    after = [2 * half - size for half, size in zip(halves, sizes, strict=True)]
    return after[0], after[1], after[2]


def _classify(node: Classification, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if node.kernel[1:] != (1, 1):
        x = _clips_view(F.avg_pool2d(frames_view(x), node.kernel[1:], 1), x)
    x = x.mean((3, 4))
    if node.kernel[0] == 2:
        # The mean of windows of 2: all but the first and last stand in two. As windows they would
        # be one less than there are steps, and torch.export would not let that be one.
        found = (2 * x.sum(2) - x[:, :, 0] - x[:, :, -1]) / (2 * (x.shape[2] - 1))
    else:
        found = x.mean(2)
    return F.linear(found, weight, bias)


_OPERATIONS: dict[type[Node], Callable[..., Any]] = {
    FramesInput: _take_frames,
    FeaturesInput: _take_features,
    Convolution: _convolve,
    MaxPooling: _pool,
    Concatenation: _concatenate,
    Channels: _take_channels,
    Gating: _gate,
    Cubes: _make_cubes,
    Classification: _classify,
}
