"""A graph run by kernels that were compiled for the processor that is here."""

from __future__ import annotations

import threading
from ctypes import CDLL

import torch
from torch import Tensor

from s3d.errors import InputError
from s3d.infer.native.compile import load_kernels
from s3d.infer.native.layer import Weights, Window, pack_weights
from s3d.infer.native.plan import Plan
from s3d.infer.native.weights import choose_kind
from s3d.models.graph import Convolution, FramesInput, Graph, Node

MISSING = "no C compiler was found that makes the native kernels. Use --engine torch."


class NativeRunner:
    """Run a graph on the CPU. Calls from many threads wait for each other.

    Attributes:
        graph: What it runs.
    """

    def __init__(self, graph: Graph, library: CDLL | None = None) -> None:
        """Pack the weights.

        Args:
            graph: Any.
            library: The compiled kernels; None is those of this machine.

        Raises:
            InputError: There are none.
        """
        library = library or load_kernels()
        if library is None:
            raise InputError(MISSING)
        self.graph, self._library, self._lock = graph, library, threading.Lock()
        vector = library.s3d_vector()
        self._weights: dict[Node, Weights] = {
            node: _weigh(node, vector) for node in graph.nodes if isinstance(node, Convolution)
        }
        self._plan: Plan | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the output for an input (B, ...) on the CPU, of any batch.

        Memory is laid out for the batch that was last seen.

        Raises:
            InputError: The input is not of the graph's shape.
        """
        _check_input(x, self.graph.input)
        with self._lock, torch.inference_mode():
            if self._plan is None or self._plan.batch != len(x):
                self._plan = None  # so that its memory is free for the next
                self._plan = Plan(self.graph, self._weights, self._library, len(x))
            return self._plan.run(x)


def _check_input(x: Tensor, node: Node) -> None:
    """Hold an input against the graph: the kernels read memory by the shapes of the graph."""
    channels, *sizes = node.shape
    is_frames = isinstance(node, FramesInput)
    wanted = (*sizes, channels) if is_frames else node.shape
    fits = x.dtype == torch.uint8 if is_frames else x.is_floating_point()
    if x.device.type != "cpu" or x.ndim != 5 or not len(x) or x.shape[1:] != wanted or not fits:
        kind = "uint8" if is_frames else "floats"
        raise InputError(
            f"the input is {x.dtype} {tuple(x.shape)} on {x.device}; the engine was made for "
            f"{kind} (batch, {', '.join(map(str, wanted))}) on the CPU."
        )


def _weigh(node: Convolution, vector: int) -> Weights:
    window = Window(node.kernel, node.stride, node.before)
    channels = node.weight.shape[1]
    kind = choose_kind(channels, node.kernel, node.stride, node.before)
    return pack_weights(kind, node.weight, node.bias, window, vector)
