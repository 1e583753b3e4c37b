"""A graph as an OpenVINO model, built operation by operation: no tracing, no converter, no ONNX.

Activations are (B, C, T, H, W); OpenVINO lays them out in memory as it likes, and likes channels
last. So features come and go as (B, T, H, W, C), as they lie in memory. Where ranges are given
convolutions are of 8 bits: what they read, and their weights, pass a FakeQuantize, which
OpenVINO turns into integers wherever its kernels take them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
)
from s3d.models.quantise import LEVELS, Ranges, quantised_convolutions

OPEN = -1
"""The size of an axis that is open."""

LARGEST_LEVEL = 127
"""Of a weight: as many levels lie below 0 as above it."""

SAFE_LEVEL = 63
"""The same on an x86 processor without VNNI, which sums two products in 16 bits."""

SMALLEST_WEIGHT = 1e-12


def build_openvino_model(
    graph: Graph, ranges: Ranges | None = None, *, gives_scores: bool = False
) -> Any:
    """Return the `openvino.Model` of a graph.

    Args:
        graph: Its axes of batch and time are open where it says so.
        ranges: Of the values that convolutions read, to compute in 8 bits; None computes in 32.
        gives_scores: Give "scores" too, the softmax of the logits.
    """
    import openvino

    rounded = set(quantised_convolutions(graph, ranges)) if ranges else set()
    levels = ranges.highest if ranges else {}
    made: dict[Node, Any] = {}
    parameter = _make_input(graph)
    for node in graph.nodes:
        if not node.sources:
            found = _take_input(node, parameter)
            made[node] = _round_frames(node, found) if ranges else found
        elif isinstance(node, Convolution):
            made[node] = _convolve(node, made[node.sources[0]], node in rounded)
        else:
            made[node] = _OPERATIONS[type(node)](node, [made[source] for source in node.sources])
        if node.name in levels:
            made[node] = _round(made[node], 0.0, levels[node.name], LEVELS)
    found, is_head = made[graph.output], len(graph.output.shape) == 1
    if not is_head:
        found = _ops().transpose(found, _constant([0, 2, 3, 4, 1]))
    outputs = {"logits" if is_head else "features": found}
    if gives_scores:
        outputs["scores"] = _ops().softmax(found, 1)
    results = [_name_result(found, name) for name, found in outputs.items()]
    return openvino.Model(results, [parameter], "s3d")


def _name_result(found: Any, name: str) -> Any:
    result = _ops().result(found)
    result.output(0).set_names({name})
    result.set_friendly_name(name)
    return result


def _ops() -> Any:
    from openvino import opset13

    return opset13


def _constant(values: Tensor | Sequence[int]) -> Any:
    if isinstance(values, Tensor):
        return _ops().constant(np.ascontiguousarray(values.detach().cpu().numpy()))
    return _ops().constant(list(values), np.int64)


def _make_input(graph: Graph) -> Any:
    node, batch = graph.input, OPEN if graph.batch is None else graph.batch
    channels, frames, *sizes = node.shape
    time = frames if graph.least_frames is None else OPEN
    is_frames = isinstance(node, FramesInput)
    shape = [batch, time, *sizes, channels]
    name, kind = ("frames", np.uint8) if is_frames else ("features", np.float32)
    parameter = _ops().parameter(shape, kind, name=name)
    parameter.output(0).set_names({name})
    return parameter


def _take_input(node: Node, parameter: Any) -> Any:
    if isinstance(node, FeaturesInput):
        return _ops().transpose(parameter, _constant([0, 4, 1, 2, 3]))
    assert isinstance(node, FramesInput)
    mean = _constant(torch.tensor(node.mean, dtype=torch.float32) * 255)
    values = _ops().subtract(_ops().convert(parameter, np.float32), mean)
    return _ops().transpose(values, _constant([0, 4, 1, 2, 3]))


def _round_frames(node: Node, x: Any) -> Any:
    """Round what is left of uint8 frames to as many levels, 0 among them: pads are 0."""
    if not isinstance(node, FramesInput):
        return x
    high = 255 * max(max(mean, 1 - mean) for mean in node.mean)
    return _round(x, -high * LEVELS / (LEVELS - 2), high, LEVELS)


def _round(x: Any, low: Any, high: Any, levels: int) -> Any:
    limits = [np.asarray(limit, np.float32) for limit in (low, high)]
    return _ops().fake_quantize(x, *limits, *limits, levels)


def _round_weight(weight: Tensor) -> Any:
    """Return weights as whole numbers times a step, which each output channel has of its own."""
    largest = weight.abs().amax((1, 2, 3, 4), keepdim=True).clamp_min(SMALLEST_WEIGHT)
    step = largest / _largest_level()
    levels = (weight / step).round().to(torch.int8)
    return _ops().multiply(_ops().convert(_constant(levels), np.float32), _constant(step))


@lru_cache(maxsize=1)
def _largest_level() -> int:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return LARGEST_LEVEL
    try:
        has_vnni = "vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        has_vnni = False
    return LARGEST_LEVEL if has_vnni else SAFE_LEVEL


def _convolve(node: Convolution, x: Any, rounds: bool) -> Any:
    weight = _round_weight(node.weight) if rounds else _constant(node.weight)
    found = _ops().convolution(
        x, weight, list(node.stride), list(node.before),
        list(node.after), [1, 1, 1],
    )  # fmt: skip
    return _ops().relu(_ops().add(found, _constant(node.bias.view(1, -1, 1, 1, 1))))


def _pool(node: MaxPooling, sources: list[Any]) -> Any:
    found = _ops().max_pool(
        sources[0], list(node.stride), [1, 1, 1], list(node.before), list(node.after),
        list(node.kernel), "floor",
    )  # fmt: skip
    return found.output(0)  # The other output says where the maxima lie.


def _concatenate(_node: Concatenation, sources: list[Any]) -> Any:
    return _ops().concat(sources, 1)


def _take_channels(node: Channels, sources: list[Any]) -> Any:
    begin, end = [node.start], [node.start + node.shape[0]]
    return _ops().slice(sources[0], *map(_constant, (begin, end, [1], [1])))


def _gate(node: Gating, sources: list[Any]) -> Any:
    mean = _ops().reduce_mean(sources[0], _constant([2, 3, 4]), keep_dims=False)
    found = _ops().matmul(mean, _constant(node.weight), False, True)
    shares = _ops().sigmoid(_ops().add(found, _constant(node.bias.view(1, -1))))
    return _ops().multiply(sources[0], _ops().unsqueeze(shares, _constant([2, 3, 4])))


def _make_cubes(node: Cubes, sources: list[Any]) -> Any:
    channels, *sizes = node.sources[0].shape
    t, h, w = node.shape[1:]
    after = [0, 0, *(2 * n - size for n, size in zip((t, h, w), sizes, strict=True))]
    zero = _ops().constant(0.0, np.float32)
    padded = _ops().pad(sources[0], _constant([0] * 5), _constant(after), "constant", zero)
    # The first axis is left open: 0 keeps it as it is.
    cubes = _ops().reshape(padded, _constant([0, channels, t, 2, h, 2, w, 2]), True)
    turned = _ops().transpose(cubes, _constant([0, 3, 5, 7, 1, 2, 4, 6]))
    return _ops().reshape(turned, _constant([0, 8 * channels, -1, h, w]), True)


def _classify(node: Classification, sources: list[Any]) -> Any:
    none = [0, 0, 0]
    averaged = _ops().avg_pool(sources[0], [1, 1, 1], none, none, list(node.kernel), True)
    mean = _ops().reduce_mean(averaged, _constant([2, 3, 4]), keep_dims=False)
    found = _ops().matmul(mean, _constant(node.weight), False, True)
    return _ops().add(found, _constant(node.bias.view(1, -1)))


_OPERATIONS: dict[type[Node], Callable[[Any, list[Any]], Any]] = {
    MaxPooling: _pool,
    Concatenation: _concatenate,
    Channels: _take_channels,
    Gating: _gate,
    Cubes: _make_cubes,
    Classification: _classify,
}
