"""A graph run by OpenVINO, built operation by operation: no tracing, no converter, no ONNX.

Activations are (B, C, T, H, W); OpenVINO lays them out in memory as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from s3d.errors import InputError
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

MISSING = "OpenVINO is not installed. Use `pip install openvino`, or --engine torch."


class OpenVinoRunner:
    """Run a graph on the CPU with OpenVINO."""

    def __init__(self, graph: Graph, threads: int | None = None) -> None:
        openvino = import_openvino()
        model = build_openvino_model(graph)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            # OpenVINO itself would take bfloat16 where the processor has it.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
        }
        self.graph = graph
        self._compiled = _core(openvino).compile_model(model, "CPU", settings)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the output for an input (B, ...) of the batch that the graph was made for."""
        # A request of its own for each call, so that threads can share a runner.
        request = self._compiled.create_infer_request()
        values = np.ascontiguousarray(x.numpy())
        found: npt.NDArray[np.float32] = request.infer([values], share_inputs=True)[0]
        return torch.from_numpy(found.copy())


def import_openvino() -> Any:
    """Return the module.

    Raises:
        InputError: It is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise InputError(MISSING) from None
    return openvino


_CORES: list[Any] = []


def _core(openvino: Any) -> Any:
    if not _CORES:  # One for all: each has its own pool of threads.
        _CORES.append(openvino.Core())
    return _CORES[0]


def build_openvino_model(graph: Graph) -> Any:
    """Return the `openvino.Model` of a graph, its input and output named as the graph's."""
    openvino = import_openvino()
    made: dict[Node, Any] = {}
    parameter = None
    for node in graph.nodes:
        if not node.sources:
            parameter = _make_input(node, graph.batch)
            made[node] = _take_input(node, parameter)
        else:
            made[node] = _OPERATIONS[type(node)](node, [made[s] for s in node.sources])
    result = made[graph.output]
    return openvino.Model([result], [parameter], "s3d")


def _ops() -> Any:
    from openvino import opset13

    return opset13


def _constant(values: Tensor | Sequence[int]) -> Any:
    if isinstance(values, Tensor):
        return _ops().constant(np.ascontiguousarray(values.detach().cpu().numpy()))
    return _ops().constant(list(values), np.int64)


def _make_input(node: Node, batch: int) -> Any:
    if isinstance(node, FramesInput):
        channels, *sizes = node.shape
        return _ops().parameter([batch, *sizes, channels], np.uint8, name="frames")
    return _ops().parameter([batch, *node.shape], np.float32, name="features")


def _take_input(node: Node, parameter: Any) -> Any:
    if isinstance(node, FeaturesInput):
        return parameter
    assert isinstance(node, FramesInput)
    mean = _constant(torch.tensor(node.mean, dtype=torch.float32) * 255)
    values = _ops().subtract(_ops().convert(parameter, np.float32), mean)
    return _ops().transpose(values, _constant([0, 4, 1, 2, 3]))


def _convolve(node: Convolution, sources: list[Any]) -> Any:
    found = _ops().convolution(
        sources[0], _constant(node.weight), list(node.stride), list(node.before),
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
    Convolution: _convolve,
    MaxPooling: _pool,
    Concatenation: _concatenate,
    Channels: _take_channels,
    Gating: _gate,
    Cubes: _make_cubes,
    Classification: _classify,
}
