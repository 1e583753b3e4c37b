"""A graph run by PyTorch: channels-last 2D operations, each convolution fused with its ReLU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
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
    walk,
)
from s3d.models.layers import Triple, channels_last, clips_view, frames_view

Step = Callable[..., Tensor]


class TorchRunner:
    """Run a graph.

    Activations are (B, C, T, H, W) and lie in memory as (B, T, H, W, C), as in `s3d.models.layers`.

    Attributes:
        is_plain: It takes only operations that every device and `torch.compile` know. In single
            precision on a CPU there are faster ones.
    """

    def __init__(
        self, graph: Graph, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.device, self.dtype = device, dtype
        self.is_plain = (device, dtype) != ("cpu", torch.float32)
        number = {node: i for i, node in enumerate(graph.nodes)}
        self.steps: list[tuple[Step, list[int], list[int]]] = [
            (
                _STEPS[type(node)](node, self),
                [number[s] for s in node.sources],
                [number[f] for f in freed],
            )
            for node, freed in walk(graph)
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the output for an input (B, ...) of any batch."""
        with torch.inference_mode():
            return self.run(x.to(self.device)).float().cpu()

    def run(self, x: Tensor) -> Tensor:
        """Return the output where it is computed, as `torch.compile` takes it."""
        held: list[Tensor | None] = []
        for step, sources, freed in self.steps:
            held.append(step(*[held[source] for source in sources] or [x]))
            for source in freed:
                held[source] = None
        found = held[-1]
        assert found is not None
        return found

    def place(self, values: Tensor) -> Tensor:
        """Return constants where and as this runner computes."""
        return values.detach().to(self.device, self.dtype)


def _take_frames(node: FramesInput, runner: TorchRunner) -> Step:
    mean = runner.place(torch.tensor(node.mean) * 255)

    def take(frames: Tensor) -> Tensor:
        return frames.to(runner.dtype).sub_(mean).permute(0, 4, 1, 2, 3)

    return take


def _take_features(_node: FeaturesInput, runner: TorchRunner) -> Step:
    return lambda x: channels_last(x.to(runner.dtype))


def _convolve(node: Convolution, runner: TorchRunner) -> Step:
    weight, bias = runner.place(node.weight), runner.place(node.bias)
    kernel, stride = node.kernel, node.stride
    pads, extra = _symmetric(node.before, node.after)
    if kernel[0] > 1 and kernel[1:] == stride[1:] == (1, 1):
        # Over time alone: height and width are one axis.
        convolve = _convolve_2d(runner, weight.flatten(3), bias, (stride[0], 1), (pads[0], 0))

        def along_time(x: Tensor) -> Tensor:
            x = F.pad(x, extra) if any(extra) else x
            return torch.unflatten(convolve(x.flatten(3)), 3, (x.shape[3], -1))

        return along_time
    if kernel[0] == 1:
        convolve = _convolve_2d(runner, weight[:, :, 0], bias, stride[1:], pads[1:])

        def in_space(x: Tensor) -> Tensor:
            x = x[:, :, :: stride[0]]
            x = F.pad(x, extra) if any(extra) else x
            return clips_view(convolve(frames_view(x)), len(x))

        return in_space

    def in_both(x: Tensor) -> Tensor:
        x = F.pad(x, extra) if any(extra) else x
        return F.relu_(F.conv3d(x, weight, bias, stride, pads))

    return _convolve_3d(runner, in_both, weight, bias, node)


def _symmetric(before: Triple, after: Triple) -> tuple[Triple, list[int]]:
    """Return what a convolution pads itself, and as `F.pad` has it what must be added first."""
    both = tuple(min(b, a) for b, a in zip(before, after, strict=True))
    extra = []
    for axis in (2, 1, 0):
        extra += [before[axis] - both[axis], after[axis] - both[axis]]
    return (both[0], both[1], both[2]), extra


def _convolve_2d(
    runner: TorchRunner, weight: Tensor, bias: Tensor, stride: tuple[int, int],
    pads: tuple[int, int],
) -> Step:  # fmt: skip
    weight = weight.contiguous(memory_format=torch.channels_last)
    fused = _fused_convolution(runner)
    if fused is None:
        return lambda x: F.relu_(F.conv2d(x, weight, bias, stride, pads))

    def convolve(x: Tensor) -> Tensor:
        found: Tensor = fused(x, weight, bias, [*pads], [*stride], [1, 1], 1, "relu", [], "")
        return found

    return convolve


def _convolve_3d(
    runner: TorchRunner, plain: Step, weight: Tensor, bias: Tensor, node: Convolution
) -> Step:
    fused = _fused_convolution(runner)
    if fused is None:
        return plain
    weight = weight.contiguous(memory_format=torch.channels_last_3d)
    pads, extra = _symmetric(node.before, node.after)

    def convolve(x: Tensor) -> Tensor:
        x = F.pad(x, extra) if any(extra) else x
        found: Tensor = fused(
            x, weight, bias, [*pads], [*node.stride], [1, 1, 1], 1, "relu", [], ""
        )
        return found

    return convolve


def _fused_convolution(runner: TorchRunner) -> Any:
    """Return oneDNN's convolution with a ReLU behind it, which `torch.compile` uses; or None."""
    if runner.is_plain or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    return getattr(torch.ops.mkldnn, "_convolution_pointwise", None)


def _pool(node: MaxPooling, runner: TorchRunner) -> Step:
    kernel, stride = node.kernel, node.stride
    pads, extra = _symmetric(node.before, node.after)
    # Axis by axis, the innermost first. PyTorch's own pools also find where each maximum lies.
    axes = [axis for axis in (2, 1, 0) if kernel[axis] > 1 or stride[axis] > 1]

    def pool(x: Tensor) -> Tensor:
        x = F.pad(x, extra) if any(extra) else x  # Zeros are nothing: no value is negative.
        for axis in axes:
            x = _pool_axis(x, 2 + axis, kernel[axis], stride[axis], pads[axis])
        return x

    def pool_in_one(x: Tensor) -> Tensor:
        return F.max_pool3d(F.pad(x, extra) if any(extra) else x, kernel, stride, pads)

    return pool_in_one if runner.is_plain else pool


def _pool_axis(x: Tensor, axis: int, kernel: int, stride: int, pad: int) -> Tensor:
    """Return maxima over windows along one axis: a maximum of whole arrays for each tap."""
    size = x.shape[axis]
    steps = (size + 2 * pad - kernel) // stride + 1

    def tap_values(tap: int) -> tuple[int, Tensor]:
        # From the first step at which this tap lies within the array to the last one.
        low = max(0, -((tap - pad) // stride))
        high = min(steps, (size - 1 - tap + pad) // stride + 1)
        begin = low * stride + tap - pad
        places = slice(begin, begin + (high - low - 1) * stride + 1, stride)
        return low, x[(slice(None),) * axis + (places,)]

    # The tap nearest to the pad has a value at every step, so it begins.
    taps = sorted(range(kernel), key=lambda tap: abs(tap - pad))
    _, whole = tap_values(taps[0])
    if kernel == 1:
        return whole
    y = torch.empty_like(whole, memory_format=torch.channels_last_3d)
    for number, (low, part) in enumerate(map(tap_values, taps[1:])):
        high = low + part.shape[axis]
        held = y.narrow(axis, low, high - low)
        if number:
            torch.maximum(held, part, out=held)
            continue
        torch.maximum(whole.narrow(axis, low, high - low), part, out=held)
        for begin, end in ((0, low), (high, steps)):
            if end > begin:
                y.narrow(axis, begin, end - begin).copy_(whole.narrow(axis, begin, end - begin))
    return y


def _concatenate(_node: Concatenation, _runner: TorchRunner) -> Step:
    # By the innermost axis: of a single clip torch.cat would not see that channels come last.
    return lambda *parts: torch.cat([p.movedim(1, 4) for p in parts], 4).movedim(4, 1)


def _take_channels(node: Channels, _runner: TorchRunner) -> Step:
    return lambda x: x[:, node.start : node.start + node.shape[0]]


def _gate(node: Gating, runner: TorchRunner) -> Step:
    weight, bias = runner.place(node.weight), runner.place(node.bias)

    def gate(x: Tensor) -> Tensor:
        shares = torch.sigmoid(F.linear(x.mean((2, 3, 4)), weight, bias))
        return x.mul_(shares[:, :, None, None, None])

    return gate


def _make_cubes(_node: Cubes, _runner: TorchRunner) -> Step:
    from s3d.models.blocks import SpaceToDepth

    cubes = SpaceToDepth()
    return lambda x: channels_last(cubes(x))


def _classify(node: Classification, runner: TorchRunner) -> Step:
    weight, bias = runner.place(node.weight), runner.place(node.bias)

    def classify(x: Tensor) -> Tensor:
        found = F.avg_pool3d(x, node.kernel, stride=1).mean((2, 3, 4))
        return F.linear(found, weight, bias)

    return classify


_STEPS: dict[type[Node], Callable[[Any, TorchRunner], Step]] = {
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
