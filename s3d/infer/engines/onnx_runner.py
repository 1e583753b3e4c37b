"""A graph as an ONNX model, written operation by operation, and run by ONNX Runtime.

Activations are (B, C, T, H, W). The model's first axis is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s3d.errors import InputError
from s3d.models.graph import (
    Channels,
    Classification,
    Concatenation,
    Convolution,
    Cubes,
    FramesInput,
    Gating,
    Graph,
    MaxPooling,
    Node,
)

OPSET = 17
IR_VERSION = 8
"""Old enough for runtimes of 2022."""


class OnnxRunner:
    """Run a graph on the CPU with ONNX Runtime."""

    def __init__(self, graph: Graph, threads: int | None = None) -> None:
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        self.graph = graph
        self._session = runtime.InferenceSession(
            build_onnx_model(graph).SerializeToString(), options, ["CPUExecutionProvider"]
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the output for an input (B, ...) of any batch."""
        values = {_input_name(self.graph.input): np.ascontiguousarray(x.numpy())}
        return torch.from_numpy(self._session.run(None, values)[0])


def import_onnxruntime() -> Any:
    """Return the module.

    Raises:
        InputError: It, or onnx, is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError:
        raise InputError(
            "ONNX Runtime is not installed. Use `pip install 's3d[onnx]'`, or --engine torch."
        ) from None
    return onnxruntime


def build_onnx_model(graph: Graph, *, gives_scores: bool = False) -> Any:
    """Return the `onnx.ModelProto` of a graph.

    Args:
        graph: Its axis of time is open where it says so; that of the batch always is.
        gives_scores: Give "scores" too, the softmax of the logits.
    """
    import onnx
    from onnx import TensorProto, helper

    writer = _Writer()
    for node in graph.nodes:
        if not node.sources:
            _take_input(node, writer)
        else:
            _OPERATIONS[type(node)](node, writer)
    first, last = graph.input, graph.output
    kind = TensorProto.UINT8 if isinstance(first, FramesInput) else TensorProto.FLOAT
    open_time = graph.least_frames is not None
    inputs = helper.make_tensor_value_info(_input_name(first), kind, _open_shape(first, open_time))
    shape, names = _open_shape(last, open_time), [_name_output(last, writer)]
    if gives_scores:
        names.append(writer.add("Softmax", names, "scores", axis=1))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    body = helper.make_graph(writer.nodes, "s3d", [inputs], outputs, writer.constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, opset_imports=opset, ir_version=IR_VERSION, producer_name="s3d")
    onnx.checker.check_model(model)
    return model


def _input_name(node: Node) -> str:
    return "frames" if isinstance(node, FramesInput) else node.name


def _name_output(node: Node, writer: _Writer) -> str:
    """Return the name of the output: "logits" of a head, else that of the block."""
    if len(node.shape) > 1:
        return node.name
    return writer.add("Identity", [node.name], "logits")


def _open_shape(node: Node, open_time: bool) -> list[int | str]:
    if len(node.shape) == 1:
        return ["batch", node.shape[0]]
    channels, frames, height, width = node.shape
    time: int | str = "time" if open_time else frames
    if isinstance(node, FramesInput):
        return ["batch", time, height, width, channels]
    return ["batch", channels, time, height, width]


class _Writer:
    """Collect the operations and constants of an ONNX model."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add an operation with one output, which has its name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def keep(self, name: str, values: Tensor | Sequence[int]) -> str:
        """Add a constant: floats of a tensor, or whole numbers."""
        from onnx import numpy_helper

        array = (
            values.detach().cpu().contiguous().numpy()
            if isinstance(values, Tensor)
            else np.asarray(values, np.int64)
        )
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def _take_input(node: Node, writer: _Writer) -> None:
    if not isinstance(node, FramesInput):
        return
    from onnx import TensorProto

    floats = writer.add("Cast", ["frames"], "frames.float", to=TensorProto.FLOAT)
    mean = writer.keep("frames.mean", torch.tensor(node.mean, dtype=torch.float32) * 255)
    values = writer.add("Sub", [floats, mean], "frames.centred")
    writer.add("Transpose", [values], node.name, perm=[0, 4, 1, 2, 3])


def _convolve(node: Convolution, writer: _Writer) -> None:
    name = node.name
    weight = writer.keep(f"{name}.weight", node.weight)
    bias = writer.keep(f"{name}.bias", node.bias)
    found = writer.add(
        "Conv", [node.sources[0].name, weight, bias], f"{name}.linear",
        kernel_shape=node.kernel, strides=node.stride, pads=[*node.before, *node.after],
    )  # fmt: skip
    writer.add("Relu", [found], name)


def _pool(node: MaxPooling, writer: _Writer) -> None:
    writer.add(
        "MaxPool", [node.sources[0].name], node.name,
        kernel_shape=node.kernel, strides=node.stride, pads=[*node.before, *node.after],
    )  # fmt: skip


def _concatenate(node: Concatenation, writer: _Writer) -> None:
    writer.add("Concat", [source.name for source in node.sources], node.name, axis=1)


def _take_channels(node: Channels, writer: _Writer) -> None:
    limits = {"starts": node.start, "ends": node.start + node.shape[0], "axes": 1}
    names = [writer.keep(f"{node.name}.{key}", [value]) for key, value in limits.items()]
    writer.add("Slice", [node.sources[0].name, *names], node.name)


def _gate(node: Gating, writer: _Writer) -> None:
    name, source = node.name, node.sources[0].name
    mean = writer.add("ReduceMean", [source], f"{name}.mean", axes=[2, 3, 4], keepdims=0)
    weight, bias = (
        writer.keep(f"{name}.weight", node.weight),
        writer.keep(f"{name}.bias", node.bias),
    )
    found = writer.add("Gemm", [mean, weight, bias], f"{name}.linear", transB=1)
    shares = writer.add("Sigmoid", [found], f"{name}.shares")
    axes = writer.keep(f"{name}.axes", [2, 3, 4])
    wide = writer.add("Unsqueeze", [shares, axes], f"{name}.wide")
    writer.add("Mul", [source, wide], name)


def _make_cubes(node: Cubes, writer: _Writer) -> None:
    name = node.name
    channels, *sizes = node.sources[0].shape
    t, h, w = node.shape[1:]
    after = [2 * n - size for n, size in zip((t, h, w), sizes, strict=True)]
    pads = writer.keep(f"{name}.pads", [*[0] * 7, *after])
    padded = writer.add("Pad", [node.sources[0].name, pads], f"{name}.padded")
    apart = writer.keep(f"{name}.apart", [0, channels, t, 2, h, 2, w, 2])
    cubes = writer.add("Reshape", [padded, apart], f"{name}.cubes")
    turned = writer.add("Transpose", [cubes], f"{name}.turned", perm=[0, 3, 5, 7, 1, 2, 4, 6])
    together = writer.keep(f"{name}.together", [0, 8 * channels, t, h, w])
    writer.add("Reshape", [turned, together], name)


def _classify(node: Classification, writer: _Writer) -> None:
    name = node.name
    averaged = writer.add(
        "AveragePool", [node.sources[0].name], f"{name}.windows",
        kernel_shape=node.kernel, strides=[1, 1, 1],
    )  # fmt: skip
    mean = writer.add("ReduceMean", [averaged], f"{name}.mean", axes=[2, 3, 4], keepdims=0)
    weight, bias = (
        writer.keep(f"{name}.weight", node.weight),
        writer.keep(f"{name}.bias", node.bias),
    )
    writer.add("Gemm", [mean, weight, bias], name, transB=1)


_OPERATIONS: dict[type[Node], Callable[[Any, _Writer], None]] = {
    Convolution: _convolve,
    MaxPooling: _pool,
    Concatenation: _concatenate,
    Channels: _take_channels,
    Gating: _gate,
    Cubes: _make_cubes,
    Classification: _classify,
}
