"""A graph run by OpenVINO.

Features come and go as (B, T, H, W, C), as everywhere in this package they lie in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from s3d.errors import InputError
from s3d.infer.engines.openvino_model import build_openvino_model
from s3d.models.graph import FramesInput, Graph
from s3d.models.quantise import Ranges

MISSING = "OpenVINO is not installed. Use `pip install openvino`, or --engine torch."


class OpenVinoRunner:
    """Run a graph on the CPU with OpenVINO, in 8 bits where ranges are given."""

    def __init__(
        self, graph: Graph, threads: int | None = None, ranges: Ranges | None = None
    ) -> None:
        openvino = import_openvino()
        model = build_openvino_model(graph, ranges)
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
        is_frames = isinstance(self.graph.input, FramesInput)
        values = np.ascontiguousarray((x if is_frames else x.movedim(1, 4)).numpy())
        found: npt.NDArray[np.float32] = request.infer([values], share_inputs=True)[0]
        output = torch.from_numpy(found)
        return output.movedim(4, 1) if output.ndim == 5 else output


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
